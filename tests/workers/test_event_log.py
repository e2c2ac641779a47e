"""Each processed file leaves one event, with every step in order, whatever went wrong on the way."""

from collections.abc import Callable
from typing import Any

import pytest

import workers.parse_stage
from state.events import EventFilter, EventStore, StoredEvent
from tests.workers.test_crashes import BOUNDARIES, fill
from tests.workers.world import PLACE, Crash, World, project_yaml
from workers.upkeep import tidy_up

STEPS = [
    "file_ingestion_start",
    "file_parsed",
    "chunks_created",
    "embeddings_generated",
    "chunks_stored",
    "processing_complete",
]


def events_of(world: World) -> list[StoredEvent]:
    """Oldest first."""
    store = EventStore(world.database)
    _, found = store.page(*PLACE, EventFilter("rag_processing"), limit=100, offset=0)
    whole = [store.get(*PLACE, each.event_id) for each in reversed(found)]
    return [each for each in whole if each is not None]


def data_of(event: StoredEvent) -> dict[str, Any]:
    return {name: data for name, _, data in event.body["notes"]}


def test_a_processed_file_leaves_its_steps_in_order(world: World) -> None:
    file_hash = world.upload("mill.txt", "The mill was rebuilt in 1843.\n\nIt burned down in 1902. " * 20)
    task_id = world.start()
    world.settle()
    (event,) = events_of(world)
    assert [name for name, _, _ in event.body["notes"]] == STEPS
    times = [at for _, at, _ in event.body["notes"]]
    assert times == sorted(times)
    data, count = data_of(event), world.status(task_id)["result"]["stored_count"]
    start = data["file_ingestion_start"]
    assert (start["filename"], start["dataset_name"], start["database"], start["strategy"]) == (
        "mill.txt", "docs", "main", "plain")  # fmt: skip
    assert (start["size_bytes"], start["content_type"]) == (world.paths().raw(file_hash).stat().st_size, "text/plain")
    assert data["file_parsed"] == {
        "filename": "mill.txt", "parsers": ["UniversalParser"], "mime_type": "text/plain"}  # fmt: skip
    assert (data["chunks_created"]["chunk_count"], data["chunks_created"]["file_hash"]) == (count, file_hash)
    assert 0 < data["chunks_created"]["avg_chunk_size"] <= 200
    assert data["embeddings_generated"]["embedding_count"] == count > 1
    assert data["embeddings_generated"]["embedding_dimension"] == 64
    assert data["chunks_stored"] == {
        "database": "main", "stored_count": count, "skipped_count": 0, "storage_type": "MemoryStore"}  # fmt: skip
    assert data["processing_complete"] == {
        "status": "processed", "total_chunks": count, "stored_chunks": count, "skipped_chunks": 0}  # fmt: skip
    assert (event.error, event.body["metadata"]) == (None, {"task_id": task_id})
    assert event.model == data["embeddings_generated"]["embedder"]


def test_a_configuration_with_numbers_of_any_size_is_no_obstacle(world: World) -> None:
    world.configure({**project_yaml(), "x-number": 10**30})
    world.upload("mill.txt", "The mill was rebuilt in 1843.")
    assert world.process()["state"] == "SUCCESS"
    assert len(events_of(world)) == 1


def test_a_file_that_did_not_change_leaves_no_second_event(world: World) -> None:
    world.upload("mill.txt", "The mill was rebuilt in 1843.")
    world.process()
    world.process()
    assert len(events_of(world)) == 1


def test_a_file_that_cannot_be_parsed_says_how_far_it_came(world: World) -> None:
    world.upload("empty.txt", "")
    task_id = world.start()
    world.settle()
    (event,) = events_of(world)
    assert [name for name, _, _ in event.body["notes"]] == [STEPS[0], STEPS[-1]]
    assert data_of(event)["processing_complete"]["status"] == "failed"
    assert event.error == world.errors_of(task_id)["empty.txt"]


def test_no_text_of_the_document_is_in_the_log(world: World) -> None:
    world.upload("mill.txt", "The password of the lighthouse is marmalade. " * 30)
    world.process()
    (event,) = events_of(world)
    assert "marmalade" not in str(event.body)


@pytest.mark.parametrize("boundary", BOUNDARIES.values(), ids=BOUNDARIES.keys())
def test_a_crash_leaves_one_event_per_file_all_the_same(boundary: Callable[[World], None], world: World) -> None:
    fill(world)
    before = len(events_of(world))
    world.start()
    boundary(world)
    with pytest.raises(Crash):
        world.step_all()
    world.settle()
    events = events_of(world)[before:]
    assert sorted(event.body["data"]["filename"] for event in events) == ["long.txt", "short.txt"]
    assert [[name for name, _, _ in event.body["notes"]] for event in events] == [STEPS, STEPS]


def test_a_file_that_kills_its_parser_is_in_the_log_as_failed(world: World) -> None:
    world.upload("killer.txt", "tick")
    world.start()

    def killing(*_: Any) -> Any:
        raise Crash("the parser")

    world.patches.setattr(workers.parse_stage, "parse_file", killing)
    world.settle()
    (event,) = events_of(world)
    assert [name for name, _, _ in event.body["notes"]] == [STEPS[0], STEPS[-1]]
    assert "crashed the parser twice" in (event.error or "")


def test_a_cancelled_task_leaves_no_event_for_what_it_did_not_do(world: World) -> None:
    world.upload("mill.txt", "The mill was rebuilt in 1843.")
    world.cancel(world.start())
    world.settle()
    assert events_of(world) == []


def test_old_events_are_forgotten_by_the_upkeep(world: World) -> None:
    world.upload("mill.txt", "The mill was rebuilt in 1843.")
    world.process()  # the world's clock stands long ago
    tidy_up(world.runtime)
    assert events_of(world) == []
