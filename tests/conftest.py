"""What the whole suite needs."""

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.system import API_PROCESSES, System, running_system
from tests.fixtures.fake_ollama import FakeOllama

# Started in the background by a shell, the suite would pass its deafness for Ctrl-C on to the commands it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
