import pytest

from state.cloud import tables as _tables  # noqa: F401  # puts its tables beside the others
from state.database import StateDatabase


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
def database(state_database: StateDatabase) -> StateDatabase:
    return state_database
