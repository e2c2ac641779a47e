"""A cancelled parse gives the processor back within seconds, whatever the parser is busy with."""

import ctypes
import time
from collections.abc import Callable
from typing import Any

import billiard
import pytest
from celery import Celery

from config.settings import Settings
from tests.workers.test_celery import app, quiet_queue, wait_for_end, worker
from tests.workers.world import LEASE_S, World
from workers.app import create_celery
from workers.parse_stage import run_parse
from workers.runtime import open_runtime

__all__ = ["app", "quiet_queue", "worker"]

SOON_S = 4.0
"""Half a second until the next look, one of grace, and room for a busy machine."""


class Burner:
    """Stands in for a parser that computes without end and never reports progress."""

    def __init__(self) -> None:
        self.rounds = 0

    def __call__(self, *_: Any) -> Any:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            self.rounds += 1


class Wrapper(Burner):
    """The same; takes whatever stops it for a bad file."""

    def __call__(self, *_: Any) -> Any:
        try:
            super().__call__()
        except Exception as error:
            raise ValueError("a bad file") from error


def wait_until(is_so: Callable[[], Any], timeout_s: float = 10.0) -> None:
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@pytest.mark.usefixtures("quiet_queue", "worker")
@pytest.mark.parametrize("parser", [Burner(), Wrapper()], ids=["computes", "wraps what stops it"])
def test_a_parser_that_never_looks_up_is_stopped_in_a_real_worker(world: World, app: Celery, parser: Burner) -> None:
    world.patches.setattr("workers.parse_stage.parse_file", parser)
    world.upload("huge.txt", "a text that takes for ever")
    task_id = world.start()
    wait_until(lambda: parser.rounds)
    started = time.monotonic()
    world.cancel(task_id)
    status = wait_for_end(world, task_id)
    assert time.monotonic() - started < SOON_S
    assert (status["state"], status["error"]) == ("FAILURE", "Task cancelled")
    assert status["result"]["details"][0][1]["status"] == "cancelled"
    rounds = parser.rounds
    time.sleep(0.1)
    assert parser.rounds == rounds, "it still computes"


@pytest.mark.usefixtures("quiet_queue", "worker")
def test_a_removed_file_is_not_parsed_to_its_end(world: World, app: Celery) -> None:
    parser = Burner()
    world.patches.setattr("workers.parse_stage.parse_file", parser)
    file_hash = world.upload("huge.txt", "a text that takes for ever")
    world.start()
    wait_until(lambda: parser.rounds)
    world.remove_file(file_hash)
    wait_until(lambda: not world.runtime.leases._held, SOON_S)


def sleep_in_c(*_: Any) -> None:
    ctypes.CDLL(None).sleep(60)


def parse_in_a_process(settings: Settings, file_id: int) -> None:
    patches = pytest.MonkeyPatch()
    patches.setattr("workers.parse_stage.parse_file", sleep_in_c)
    run_parse(open_runtime(settings, create_celery(settings)), file_id)


def test_a_pool_process_that_hears_nothing_is_ended_and_its_file_with_it(world: World) -> None:
    world.clock.now = time.time()  # the other process has the real one
    world.upload("huge.txt", "a text that takes for ever")
    task_id = world.start()
    file_id = world.run_until("parse")
    process = billiard.Process(target=parse_in_a_process, args=(world.settings, file_id), daemon=True)
    process.start()
    wait_until(lambda: world.states(task_id)["huge.txt"] == "parsing")
    started = time.monotonic()
    world.cancel(task_id)
    process.join(SOON_S)
    assert process.exitcode == -9
    assert time.monotonic() - started < SOON_S
    assert world.states(task_id) == {"huge.txt": "cancelled"}, "at once, not only when the lease is over"
    assert world.status(task_id)["state"] == "FAILURE"
    world.step()  # the message comes again
    assert world.states(task_id) == {"huge.txt": "cancelled"}
    assert LEASE_S > SOON_S
