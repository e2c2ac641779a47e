"""Cancelling: at every stage, twice, too late; what was there before is there again, and nothing else."""

from typing import Any

import pytest

from rag.errors import UpstreamError
from tests.workers.test_crashes import LONG
from tests.workers.world import LEASE_S, PLACE, World, project_yaml
from workers.sweeper import sweep


@pytest.fixture
def filled(world: World) -> World:
    """One file is live under other options; a task that changes them, and adds a file, is about to start."""
    world.upload("long.txt", LONG)
    world.process()
    world.configure(project_yaml(chunk_size=70))
    world.upload("short.txt", "A short text about windmills.")
    return world


def live(world: World) -> dict[str, Any]:
    found = world.generations.of_dataset(*PLACE, "docs")
    return {file_hash: each for file_hash, each in found.items() if each.generation is not None}


@pytest.mark.parametrize("message_count", range(5))
def test_cancel_between_any_two_messages_restores_what_was_there(filled: World, message_count: int) -> None:
    before = (filled.stored(), live(filled))
    task_id = filled.start()
    for _ in range(message_count):
        filled.step()
    body = filled.cancel(task_id)
    assert body["cancelled"] is True
    filled.settle()
    status = filled.status(task_id)
    assert (status["state"], status["error"], status["cancelled"]) == ("FAILURE", "Task cancelled", True)
    assert set(filled.states(task_id).values()) == {"cancelled"}
    assert (filled.stored(), live(filled)) == before


STAGES_INSIDE = {
    "while parsing": ("tasks", "parsed"),
    "while embedding": ("tasks", "commit"),
    "after a slice": ("store", "upsert"),
}


@pytest.mark.parametrize("where", STAGES_INSIDE.values(), ids=STAGES_INSIDE.keys())
def test_cancel_inside_a_stage_is_noticed_and_undone(filled: World, where: tuple[str, str]) -> None:
    before = (filled.stored(), live(filled))
    target: Any = filled.tasks if where[0] == "tasks" else filled.store()
    original = getattr(target, where[1])
    task_id = filled.start()
    calls = []

    def cancelling(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            body = filled.cancel(task_id)
            assert body["running_tasks_at_cancel"] == 1
        return original(*args, **kwargs)

    filled.patches.setattr(target, where[1], cancelling)
    filled.settle()
    assert calls
    assert set(filled.states(task_id).values()) == {"cancelled"}
    assert (filled.stored(), live(filled)) == before


def test_a_cancelled_file_is_not_parsed_or_embedded_any_further(filled: World) -> None:
    task_id = filled.start()
    filled.run_until("embed")
    embedded = filled.count_embedded()
    filled.cancel(task_id)
    filled.settle()
    assert embedded == []


def test_cancel_takes_back_files_that_were_done(filled: World) -> None:
    before = (filled.stored(), live(filled))
    task_id = filled.start()
    filled.run_until("embed")
    filled.step()
    body = filled.cancel(task_id)
    assert (body["files_reverted"], body["files_failed_to_revert"], body["errors"]) == (1, 0, None)
    assert (filled.stored(), live(filled)) == before, "at once, not only when the task is cleaned up"


def test_a_second_cancel_says_so_and_changes_nothing(filled: World) -> None:
    task_id = filled.start()
    first = filled.cancel(task_id)
    second = filled.cancel(task_id)
    assert second == {**first, "message": "Task already cancelled", "already_cancelled": True}


def test_a_second_cancel_while_the_first_is_at_work_has_the_whole_body(filled: World) -> None:
    task_id = filled.start()
    filled.dispatcher._cancellations.cancel(*PLACE, task_id)  # the first one has not written its report yet
    body = filled.cancel(task_id)
    assert (body["task_id"], body["cancelled"], body["already_cancelled"]) == (task_id, True, True)


def test_cancel_of_an_ended_task_changes_nothing(filled: World) -> None:
    task_id = filled.start()
    filled.settle()
    stored = filled.stored()
    body = filled.cancel(task_id)
    assert (body["cancelled"], body["already_completed"]) == (False, True)
    assert body["message"] == "Task already success"
    filled.settle()
    assert filled.stored() == stored


def test_cancel_while_the_store_is_down_hides_now_and_deletes_later(filled: World) -> None:
    before = (filled.stored(), live(filled))
    task_id = filled.start()
    filled.run_until("embed")
    filled.step()
    filled.fail(filled.store(), "delete", UpstreamError("the store does not answer"))
    body = filled.cancel(task_id)
    assert (body["files_reverted"], body["files_failed_to_revert"]) == (0, 1)
    assert "does not answer" in body["errors"][0]["error"]
    assert live(filled) == before[1]
    filled.patches.undo()
    filled.settle()
    assert filled.stored() == before[0]


def test_chunks_of_an_interrupted_try_go_when_its_task_is_cancelled_while_it_waits(filled: World) -> None:
    before = filled.stored()
    filled.fail(filled.store(), "upsert", UpstreamError("down"), times=0)
    filled.crash(filled.store(), "upsert", when="after")
    task_id = filled.start()
    filled.drain()
    assert filled.stored() != before
    filled.cancel(task_id)
    filled.settle()
    assert filled.stored() == before


def test_a_worker_that_died_in_a_cancelled_task_does_not_bring_the_file_back(filled: World) -> None:
    before = filled.stored()
    filled.crash(filled.tasks, "commit", when="before")
    task_id = filled.start()
    filled.drain()
    filled.cancel(task_id)
    filled.clock.now += LEASE_S + 1
    embedded = filled.count_embedded()
    sweep(filled.runtime)
    assert set(filled.states(task_id).values()) == {"cancelled"}
    filled.settle()
    assert (filled.stored(), embedded) == (before, [])


def test_a_file_that_waits_for_an_upstream_ends_with_the_cancel(filled: World) -> None:
    filled.fail(filled.store(), "upsert", UpstreamError("down"))
    task_id = filled.start()
    filled.drain()
    filled.cancel(task_id)
    assert filled.status(task_id)["state"] == "FAILURE"


def test_cancelling_an_older_task_leaves_what_a_later_one_made_or_found(world: World) -> None:
    world.upload("a.txt", "one text")
    world.upload("b.txt", "another text")
    first = world.start()
    world.run_until("embed")
    world.step()
    second = world.start()
    while world.queue.messages and world.status(second)["state"] != "SUCCESS":
        world.queue.messages.rotate(-1)
        world.step()
    stored = world.stored()
    assert world.status(first)["state"] == "STARTED"
    world.cancel(first)
    world.settle()
    assert world.stored() == stored
    assert len(live(world)) == 2


def test_what_a_cancel_would_go_back_to_is_kept_while_another_task_ends(world: World) -> None:
    """X → Y by a first task, Y → Z by a second one: the end of the first must not delete Y."""
    world.upload("a.txt", LONG)
    world.process()
    world.configure(project_yaml(chunk_size=70))
    world.start()
    world.run_until("finish")
    (finish_of_first,) = world.queue.messages
    world.queue.messages.clear()
    stored = {key: value for key, value in world.stored().items() if live_generation(world) in key}
    world.upload("b.txt", "keeps the second task open")
    world.configure(project_yaml(chunk_size=80))
    second = world.start()
    world.run_until("embed")
    while "processed" not in world.states(second).values():
        world.step()
    world.deliver(*finish_of_first)
    world.cancel(second)
    world.settle()
    assert world.stored() == stored


def live_generation(world: World) -> str:
    (file,) = live(world).values()
    return str(file.generation)


def test_chunks_that_a_later_task_is_writing_again_are_not_deleted_by_the_end_of_an_earlier_one(world: World) -> None:
    """Options X → Y, then back to X: X is dead when the first task ends, but about to become live by the second."""
    world.upload("a.txt", LONG)
    world.process()
    expected = world.stored()
    world.configure(project_yaml(chunk_size=70))
    world.start()
    world.run_until("finish")
    (finish_of_first,) = world.queue.messages
    world.queue.messages.clear()
    world.configure(project_yaml())
    world.start()
    original = world.tasks.commit

    def commit(*args: Any, **kwargs: Any) -> bool:
        world.patches.setattr(world.tasks, "commit", original)
        world.deliver(*finish_of_first)
        return original(*args, **kwargs)

    world.patches.setattr(world.tasks, "commit", commit)
    world.settle()
    assert world.stored() == expected


def test_nobody_begins_to_write_chunks_while_they_are_being_deleted(world: World) -> None:
    world.upload("a.txt", LONG)
    world.process()
    expected = world.stored()
    world.configure(project_yaml(chunk_size=70))
    world.start()
    world.run_until("finish")
    original = world.store().delete
    world.configure(project_yaml())

    def delete(*args: Any) -> int:
        world.patches.setattr(world.store(), "delete", original)
        world.start()
        world.drain()
        return original(*args)

    world.patches.setattr(world.store(), "delete", delete)
    world.step()
    world.settle()
    assert world.stored() == expected
