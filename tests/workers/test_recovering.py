"""Loops that must end, waits that must not starve, and threads that must outlive what fails under them."""

import threading
from typing import Any

import pytest
from sqlalchemy.exc import InterfaceError

from rag.errors import ConflictError
from rag.pipelines import ingest
from tests.workers.test_crashes import LONG
from tests.workers.world import World, project_yaml
from workers import embed_stage
from workers.checkpoints import Checkpoints
from workers.leases import LeaseKeeper
from workers.sweeper import sweep


def test_a_checkpoint_that_can_never_be_read_fails_the_file_in_the_end(world: World) -> None:
    world.upload("a.txt", "some text")
    world.fail(Checkpoints, "load_document", ConflictError("it has format 99"))
    body = world.process()
    (details,) = [each for _, each in body["result"]["details"]]
    assert (details["status"], details["reason"]) == ("failed", "unusable_checkpoint")
    assert "it has format 99 (parsed again 2 times)" in details["error"]


def test_a_checkpoint_that_is_damaged_twice_is_made_again(world: World) -> None:
    world.upload("a.txt", "some text")
    world.fail(Checkpoints, "load_document", ValueError("bad"), times=2)
    assert world.process()["state"] == "SUCCESS"


def test_a_retry_does_not_wait_for_the_queue_to_be_empty(world: World) -> None:
    world.upload("a.txt", "some text")
    world.start()
    file_id = world.run_until("parse")
    world.queue.messages.clear()
    claimed = world.tasks.claim(file_id, "parse", "w")
    assert claimed is not None
    world.tasks.retry_later(file_id, "w", "parse", delay_s=4.0, error="down")
    world.queue.messages.append(("parse", 0))  # a long queue of others
    sweep(world.runtime)
    assert ("parse", file_id) not in world.queue.messages
    world.clock.now += 5
    sweep(world.runtime)
    sweep(world.runtime)
    assert list(world.queue.messages).count(("parse", file_id)) == 1


def test_two_threads_of_a_process_hold_their_leases_under_two_names(world: World) -> None:
    assert world.runtime.new_owner() != world.runtime.new_owner()


def test_metadata_is_made_slice_by_slice(world: World) -> None:
    world.configure(project_yaml(chunk_size=60))
    world.upload("long.txt", LONG)
    made, seen = [], []
    original = embed_stage.build_metadata
    upsert = world.store().upsert

    def counted(*args: Any) -> Any:
        for each in original(*args):
            made.append(each)
            yield each

    def recorded(records: Any) -> None:
        seen.append(len(made))
        upsert(records)

    world.patches.setattr(embed_stage, "build_metadata", counted)
    world.patches.setattr(world.store(), "upsert", recorded)
    world.process()
    assert seen[0] == ingest.WRITE_SLICE < seen[-1]


@pytest.mark.parametrize("error", [InterfaceError("x", {}, Exception()), ConflictError("x"), OSError("x")], ids=repr)
def test_the_lease_keeper_outlives_what_fails_under_it(error: Exception) -> None:
    renewed = threading.Event()

    class Tasks:
        calls = 0

        def renew(self, leases: Any) -> None:
            self.calls += 1
            if self.calls == 1:
                raise error
            assert leases == {(7, "w:1")}
            renewed.set()

    keeper = LeaseKeeper(Tasks(), interval_s=0.01)  # type: ignore[arg-type]  # the one method that is called
    with keeper.hold(7, "w:1"):
        assert renewed.wait(5)
