"""What the whole suite needs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from state.cloud import tables as _cloud_tables  # noqa: F401  # puts its tables beside the others
from state.database import StateDatabase
from state.tables import Base
from tests.e2e.system import API_PROCESSES, System, running_system
from tests.fixtures.fake_ollama import FakeOllama
from tests.fixtures.postgres import EMPTY, MIGRATED, postgres  # noqa: F401  # a fixture

STATES = ("sqlite", "postgresql")

# Started in the background by a shell, the suite would pass its deafness for Ctrl-C on to the commands it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--state", choices=STATES, default=STATES[0], help="the database of tests that do not name theirs")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked with `state` run on each of the databases it names, the others on that of the command line."""
    marker = metafunc.definition.get_closest_marker("state")
    if marker is not None and "state_kind" in metafunc.fixturenames:
        marks = {"sqlite": (), "postgresql": pytest.mark.postgres}
        kinds = [pytest.param(each, marks=marks[each]) for each in marker.args]
        metafunc.parametrize("state_kind", kinds, indirect=True, scope="function")


@pytest.fixture
def state_kind(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgresql`."""
    return str(getattr(request, "param", request.config.getoption("--state")))


@pytest.fixture
def empty_state_url(request: pytest.FixtureRequest, state_kind: str, tmp_path: Path) -> Iterator[str]:
    """Of a database without tables."""
    if state_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'state.db'}"
        return
    with request.getfixturevalue("postgres").database(EMPTY) as url:
        yield url


@pytest.fixture
def new_postgres(request: pytest.FixtureRequest, state_kind: str) -> Iterator[Callable[[], str | None]]:
    """Gives the URL of a new database that has its tables; None where the state is to be SQLite."""
    if state_kind == "sqlite":
        yield lambda: None
        return
    server = request.getfixturevalue("postgres")
    with ExitStack() as databases:
        yield lambda: databases.enter_context(server.database(MIGRATED))


@pytest.fixture
def postgres_url(new_postgres: Callable[[], str | None]) -> str | None:
    return new_postgres()


@pytest.fixture
def state_url(postgres_url: str | None, tmp_path: Path) -> str:
    """Of a database that has its tables."""
    if postgres_url is not None:
        return postgres_url
    database = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    Base.metadata.create_all(database.engine)
    database.close()
    return database.url


@pytest.fixture
def state_database(state_url: str) -> Iterator[StateDatabase]:
    database = StateDatabase(state_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, fake_ollama: FakeOllama) -> Iterator[System]:
    """One running system for all tests that only call it; those that kill parts start their own.

    It has four API processes, and its client opens a connection for each request: whatever is asserted holds whichever
    of them answers.
    """
    folder = tmp_path_factory.mktemp("system")
    with running_system(folder, OLLAMA_HOST=fake_ollama.url, LF_API_PROCESSES=str(API_PROCESSES)) as running:
        yield running
