from collections.abc import Iterator
from pathlib import Path

import pytest

from state.cloud import tables as _tables  # noqa: F401  # puts its tables beside the others
from state.database import StateDatabase
from state.tables import Base


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[StateDatabase]:
    found = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    Base.metadata.create_all(found.engine)
    yield found
    found.close()
