from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.logging import configure_logging
from tests.workers.world import World, assert_invariants

MakeWorld = Callable[[], World]


@pytest.fixture(autouse=True, scope="session")
def _quiet_log() -> None:
    configure_logging(level="CRITICAL", as_json=True)


@pytest.fixture
def make_world(tmp_path: Path, new_postgres: Callable[[], str | None]) -> Iterator[MakeWorld]:
    """Worlds whose invariants are checked at the end of the test, once what was broken has been mended."""
    worlds: list[World] = []

    def make() -> World:
        worlds.append(World(tmp_path / f"world-{len(worlds)}", new_postgres()))
        return worlds[-1]

    yield make
    for world in worlds:
        world.patches.undo()
        world.queue.is_down = False
        world.settle()
        assert_invariants(world)
        world.database.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()
