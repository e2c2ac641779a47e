"""Processes that die, messages that are lost or come twice, leases that run out: the end is the same every time."""

import os
from collections.abc import Callable
from typing import Any

import pytest

import workers.parse_stage
from rag.pipelines.ingest import parse_file
from state.tables import FileRow, TaskFileRow
from state.task_rows import MAX_PARSE_CRASHES
from tests.workers.conftest import MakeWorld
from tests.workers.world import LEASE_S, Crash, World, project_yaml
from workers.checkpoints import Checkpoints
from workers.embed_stage import run_embed
from workers.parse_stage import run_parse
from workers.sweeper import sweep

LONG = "\n\n".join(f"Section {index}. The bolt {index} is tightened to {index} newton metres." for index in range(150))


def outcome(world: World) -> Any:
    """What must not depend on what went wrong on the way."""
    files = [
        (file.dataset, file.file_hash, file.live_generation, file.chunk_count, file.database)
        for file in world.rows(FileRow)
    ]
    return sorted(files), world.stored()


def fill(world: World) -> None:
    """Two files; the first was processed before, with other options."""
    world.configure(project_yaml(chunk_size=60))
    world.upload("long.txt", LONG)
    world.process()
    world.upload("short.txt", "A short text about windmills.")
    world.configure(project_yaml(chunk_size=70))


@pytest.fixture
def expected(make_world: MakeWorld) -> Any:
    world = make_world()
    fill(world)
    world.process()
    return outcome(world)


BOUNDARIES: dict[str, Callable[[World], None]] = {
    "after the claim": lambda world: world.crash(world.tasks, "claim", when="after"),
    "after the claim for embedding": lambda world: world.crash(world.tasks, "claim", when="after", nth=3),
    "before the document is saved": lambda world: world.crash(Checkpoints, "save_document", when="before"),
    "after the document was saved": lambda world: world.crash(Checkpoints, "save_document", when="after"),
    "after the chunks were saved": lambda world: world.crash(Checkpoints, "save_chunks", when="after"),
    "after parsed": lambda world: world.crash(world.tasks, "parsed", when="after"),
    "before the first slice": lambda world: world.crash(world.store(), "upsert", when="before"),
    "after the first slice": lambda world: world.crash(world.store(), "upsert", when="after"),
    "after the second slice": lambda world: world.crash(world.store(), "upsert", when="after", nth=2),
    "between write and commit": lambda world: world.crash(world.tasks, "commit", when="before"),
    "between commit and finish": lambda world: world.crash(world.tasks, "commit", when="after", nth=2),
    "before the task is finished": lambda world: world.crash(world.tasks, "finish_if_done", when="before", nth=4),
    "after the task is finished": lambda world: world.crash(world.tasks, "finish_if_done", when="after", nth=4),
    "before the replaced chunks go": lambda world: world.crash(world.store(), "delete", when="before"),
    "after the replaced chunks went": lambda world: world.crash(world.store(), "delete", when="after"),
    "before the task is clean": lambda world: world.crash(world.tasks, "mark_cleaned", when="before"),
    "while fanning out": lambda world: world.crash(world.queue, "send_stage", when="after"),
    "before fanning out": lambda world: world.crash(world.queue, "send_stage", when="before"),
}


@pytest.mark.parametrize("boundary", BOUNDARIES.values(), ids=BOUNDARIES.keys())
def test_a_crash_at_a_boundary_changes_nothing_in_the_end(
    boundary: Callable[[World], None], world: World, expected: Any
) -> None:
    fill(world)
    task_id = world.start()
    boundary(world)
    with pytest.raises(Crash):  # it did happen
        world.step_all()
    world.settle()
    assert world.status(task_id)["state"] == "SUCCESS"
    assert outcome(world) == expected


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_of_the_state_or_the_store_changes_nothing_in_the_end(
    when: str, make_world: MakeWorld
) -> None:
    reference = make_world()
    fill(reference)
    reference.process()
    nth = 0
    while True:
        nth += 1
        world = make_world()
        fill(world)
        task_id = world.start()
        for name in ("upsert", "delete"):
            world.crash(world.store(), name, when=when, nth=nth)
        for name in ("claim", "parsed", "commit", "finish_if_done", "mark_cleaned", "reserve_discard", "end_discard"):
            world.crash(world.tasks, name, when=when, nth=nth)
        crashed = False
        while world.queue.messages:
            try:
                world.step()
            except Crash:
                crashed = True
        world.settle()
        assert world.status(task_id)["state"] == "SUCCESS", nth
        assert outcome(world) == outcome(reference), nth
        if not crashed:
            break
    assert nth > 3


def test_a_file_that_kills_its_parser_twice_is_given_up_and_the_others_go_on(world: World) -> None:
    world.upload("killer.txt", "deadly")
    world.upload("good.txt", "harmless")
    original = parse_file

    def parse(probe: Any, *rest: Any) -> Any:
        if probe.filename == "killer.txt":
            raise Crash
        return original(probe, *rest)

    world.patches.setattr(workers.parse_stage, "parse_file", parse)
    task_id = world.start()
    world.settle()
    assert world.states(task_id) == {"killer.txt": "failed", "good.txt": "processed"}
    assert "crashed the parser twice" in world.errors_of(task_id)["killer.txt"]
    assert [row.crashes for row in world.rows(TaskFileRow)] == [MAX_PARSE_CRASHES, 0]


def test_every_message_delivered_twice(world: World, expected: Any) -> None:
    fill(world)
    world.start()
    while world.queue.messages:
        name, argument = world.queue.messages[0]
        world.step()
        world.deliver(name, argument)
    assert outcome(world) == expected


def test_a_stage_message_that_comes_before_its_turn_or_after_the_end_has_no_effect(world: World) -> None:
    world.upload("a.txt", "text")
    task_id = world.start()
    file_id = world.run_until("parse")
    run_embed(world.runtime, file_id)
    assert world.states(task_id) == {"a.txt": "queued"}
    world.settle()
    stored = world.stored()
    for stage in (run_parse, run_embed):
        stage(world.runtime, file_id)
        stage(world.runtime, 4_711)
    assert (world.states(task_id), world.stored()) == ({"a.txt": "processed"}, stored)


@pytest.mark.parametrize("stage", ["parse", "embed"])
def test_a_worker_that_lost_its_lease_cannot_undo_the_work_of_the_next(world: World, stage: str, expected: Any) -> None:
    """The first one stalls in the middle; a second one takes over and finishes; then the first one goes on."""
    fill(world)
    task_id = world.start()
    file_id = world.run_until(stage)
    stalled = world.runtime
    interrupt, original = ("parsed", world.tasks.parsed) if stage == "parse" else ("commit", world.tasks.commit)

    def stall(*args: Any, **kwargs: Any) -> Any:
        world.patches.setattr(world.tasks, interrupt, original)
        world.clock.now += LEASE_S + 1
        sweep(stalled)
        world.runtime = world.worker("worker-2")
        world.drain()
        assert world.status(task_id)["state"] == "SUCCESS"
        return original(*args, **kwargs)

    world.patches.setattr(world.tasks, interrupt, stall)
    world.deliver(stage, file_id, stalled)
    world.settle()
    assert world.status(task_id)["state"] == "SUCCESS"
    assert outcome(world) == expected
    assert not world.errors


def test_a_queue_that_lost_everything_is_rebuilt_from_the_state(world: World, expected: Any) -> None:
    fill(world)
    task_id = world.start()
    for _ in range(6):
        world.queue.messages.clear()
        world.clock.now += 2 * LEASE_S
        sweep(world.runtime)
        if world.queue.messages:
            world.step()
    world.settle()
    assert world.status(task_id)["state"] == "SUCCESS"
    assert outcome(world) == expected


def test_the_sweeper_sends_nothing_while_messages_wait(world: World) -> None:
    world.upload("a.txt", "text")
    world.start()
    world.run_until("parse")
    world.clock.now += 100
    sweep(world.runtime)
    assert [name for name, _ in world.queue.messages] == ["parse"]


def test_a_damaged_checkpoint_is_made_again(world: World) -> None:
    world.upload("a.txt", "some text")
    task_id = world.start()
    world.run_until("embed")
    for path in world.paths().text_dir.iterdir():
        path.write_bytes(b"")
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}


def test_a_checkpoint_of_another_version_is_made_again(world: World) -> None:
    world.upload("a.txt", "some text")
    task_id = world.start()
    world.run_until("embed")
    for path in world.paths().text_dir.glob("*.text.json"):
        path.write_bytes(b'{"format": 99}')
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}


def test_a_half_written_file_of_a_killed_process_goes_with_the_next_clean_up(world: World) -> None:
    world.upload("a.txt", "some text")
    world.paths().text_dir.mkdir()
    left = world.paths().text_dir / ".part-abc"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    world.process()
    assert not left.exists()
