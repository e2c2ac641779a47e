"""One running system for the whole suite; tests that kill parts start their own.

It has four API processes, and its client opens a connection for each request: whatever is asserted holds whichever of
them answers.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import API_PROCESSES, System, running_system
from tests.fixtures.fake_ollama import FakeOllama


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, fake_ollama: FakeOllama) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    with running_system(folder, OLLAMA_HOST=fake_ollama.url, LF_API_PROCESSES=str(API_PROCESSES)) as running:
        yield running
