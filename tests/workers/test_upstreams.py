"""Servers, disks, models and parsers that fail: how long a file waits for them, and what it says in the end."""

import errno
import os
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from billiard.exceptions import SoftTimeLimitExceeded

import workers.parse_stage
from rag.errors import EmbeddingError, StorageFullError, UpstreamError
from rag.pipelines.ingest import parse_file
from state.tables import TaskFileRow, TaskRow
from tests.workers.world import World, project_yaml
from workers.checkpoints import Checkpoints
from workers.stage_frame import UPSTREAM_ATTEMPTS
from workers.sweeper import sweep

DOWN = UpstreamError("the store at http://127.0.0.1:1 does not answer")


def test_no_task_is_made_while_the_broker_is_down(world: World) -> None:
    world.upload("a.txt", "text")
    world.queue.is_down = True
    with pytest.raises(UpstreamError):
        world.start()
    assert world.rows(TaskRow) == []


@pytest.mark.parametrize("position", range(4))
def test_a_broker_that_goes_down_in_between_costs_time_only(world: World, position: int) -> None:
    world.upload("a.txt", "text")
    task_id = world.start()
    for _ in range(position):
        world.step()
    name, argument = world.queue.messages.popleft()
    world.queue.is_down = True
    world.deliver(name, argument)
    with suppress(UpstreamError):
        sweep(world.runtime)
    world.queue.is_down = False
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}


def test_a_message_that_cannot_be_sent_after_the_task_was_made_is_sent_later(world: World) -> None:
    world.upload("a.txt", "text")
    world.fail(world.queue, "send", UpstreamError("gone"), times=1)
    task_id = world.start()
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}


@pytest.mark.parametrize("method", ["upsert", "records"])
def test_a_store_that_comes_back_is_waited_for(world: World, method: str) -> None:
    world.upload("a.txt", "text")
    world.process()
    world.upload("b.txt", "more text")
    world.fail(world.store(), method, DOWN, times=UPSTREAM_ATTEMPTS - 1)
    task_id = world.start()
    world.settle()
    assert set(world.states(task_id).values()) == {"skipped", "processed"}


def test_a_store_that_stays_away_fails_the_file_with_its_reason(world: World) -> None:
    world.upload("a.txt", "text")
    world.fail(world.store(), "upsert", DOWN)
    body = world.process()
    assert (body["state"], body["error"]) == ("FAILURE", "1 of 1 tasks failed")
    ((_, details),) = body["result"]["details"]
    assert "does not answer" in details["error"]
    assert f"tried {UPSTREAM_ATTEMPTS} times" in details["error"]
    assert details["reason"] == "UpstreamUnavailable"
    world.patches.undo()
    assert world.process()["state"] == "SUCCESS"


def test_a_file_that_waits_is_not_tried_before_its_time(world: World) -> None:
    world.upload("a.txt", "text")
    world.fail(world.store(), "upsert", DOWN, times=3)
    world.start()
    waits = []
    for _ in range(3):
        world.drain()
        (row,) = world.rows(TaskFileRow)
        waits.append(row.not_before - world.clock.now)
        world.clock.now = row.not_before - 0.1
        sweep(world.runtime)
        assert not world.queue.messages
        world.clock.now += 4
        sweep(world.runtime)
    assert waits == [1, 2, 4]


def test_a_store_that_is_down_when_the_task_ends_is_cleaned_up_later_without_piling_up(world: World) -> None:
    world.upload("a.txt", "first text. " * 40)
    world.process()
    world.configure(project_yaml(chunk_size=50))
    world.fail(world.store(), "delete", DOWN)
    task_id = world.start()
    world.drain()
    assert world.status(task_id)["state"] == "SUCCESS"
    for _ in range(50):
        world.clock.now += 60
        sweep(world.runtime)
    assert len(world.queue.messages) == 1
    world.patches.undo()
    world.settle()
    assert len(world.store().generations()) == 1


BAD_VECTORS = {
    "zero": lambda vectors: vectors * 0,
    "NaN": lambda vectors: vectors * np.nan,
    "too short": lambda vectors: vectors[:, :-1],
    "too few": lambda vectors: vectors[:-1],
}


@pytest.mark.parametrize("spoil", BAD_VECTORS.values(), ids=BAD_VECTORS.keys())
def test_vectors_that_cannot_be_used_fail_only_their_file(world: World, spoil: Any) -> None:
    """The third slice of one file is bad: of this file nothing stays, also not the first two."""
    world.upload("good.txt", "A good text about windmills.")
    world.upload("bad.txt", "\n\n".join(f"Section {index}. " + f"word{index} " * 30 for index in range(160)))
    batching: Any = world.assembly.embedder(world.config.database("main"))
    original = batching.embed_documents

    def embed(texts: list[str]) -> Any:
        vectors = original(texts)
        return spoil(vectors) if any("word140 " in text for text in texts) else vectors

    world.patches.setattr(batching, "embed_documents", embed)
    task_id = world.start()
    world.settle()
    assert world.states(task_id) == {"good.txt": "processed", "bad.txt": "failed"}
    assert "tried 2 times" in world.errors_of(task_id)["bad.txt"]
    assert {record.metadata["filename"] for record in _records(world)} == {"good.txt"}


def _records(world: World) -> list[Any]:
    store = world.store()
    return [record for key in store.generations() for record in store.records(*key)]


def test_an_embedder_that_refuses_once_is_asked_again(world: World) -> None:
    world.upload("a.txt", "text")
    world.fail(world.embedder, "embed_documents", EmbeddingError("the vector of text 0 is zero"), times=1)
    task_id = world.start()
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}


def test_a_bug_in_a_parser_fails_its_file_and_says_so(world: World) -> None:
    world.upload("bad.txt", "bad")
    world.upload("good.txt", "good")
    _break_parser(world, ZeroDivisionError("division by zero"))
    task_id = world.start()
    world.settle()
    assert world.states(task_id) == {"bad.txt": "failed", "good.txt": "processed"}
    message = world.errors_of(task_id)["bad.txt"]
    assert "unexpected ZeroDivisionError in the parse stage of 'bad.txt'" in message
    assert str(world.settings.data_dir) not in message
    assert [type(error) for error in world.errors] == [ZeroDivisionError], "the log gets the trace"


def test_a_parser_that_takes_too_long_is_stopped(world: World) -> None:
    world.upload("bad.txt", "bad")
    world.upload("good.txt", "good")
    _break_parser(world, SoftTimeLimitExceeded())
    task_id = world.start()
    world.settle()
    assert world.states(task_id) == {"bad.txt": "failed", "good.txt": "processed"}
    assert "took longer than 600 s to parse (LF_PARSE_TIMEOUT_S)" in world.errors_of(task_id)["bad.txt"]


def _break_parser(world: World, error: Exception) -> None:
    original = parse_file

    def parse(probe: Any, *rest: Any) -> Any:
        if probe.filename == "bad.txt":
            raise error
        return original(probe, *rest)

    world.patches.setattr(workers.parse_stage, "parse_file", parse)


def test_a_full_disk_is_waited_for(world: World) -> None:
    world.upload("a.txt", "text")
    world.fail(Checkpoints, "_write", OSError(errno.ENOSPC, "No space left on device"), times=2)
    task_id = world.start()
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), StorageFullError("the disk is full")])
def test_a_disk_that_stays_full_fails_the_file(world: World, error: Exception) -> None:
    world.upload("a.txt", "text")
    world.fail(Checkpoints, "_write", error)
    task_id = world.start()
    world.settle()
    assert "the disk is full" in world.errors_of(task_id)["a.txt"]


def test_a_disk_that_is_full_in_the_middle_of_a_write_leaves_no_half_file(world: World) -> None:
    world.upload("a.txt", "text")
    world.fail(os, "fdopen", OSError(errno.ENOSPC, "No space left on device"), times=1)
    task_id = world.start()
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}


def test_bytes_that_are_gone_or_replaced_by_a_link_are_named(world: World) -> None:
    gone, linked = world.upload("gone.txt", "one"), world.upload("linked.txt", "two")
    task_id = world.start()
    world.paths().raw(gone).unlink()
    world.paths().raw(linked).rename(world.settings.data_dir / "elsewhere")
    world.paths().raw(linked).symlink_to(world.settings.data_dir / "elsewhere")
    world.settle()
    for name in ("gone.txt", "linked.txt"):
        assert world.errors_of(task_id)[name] == f"'{name}' has no stored bytes any more; upload it again"


def test_unreadable_bytes_are_reported_without_a_path(world: World) -> None:
    world.upload("a.txt", "text")
    world.fail(workers.parse_stage, "probe_file", PermissionError(errno.EACCES, "Permission denied", "/secret/path"))
    task_id = world.start()
    world.settle()
    assert world.errors_of(task_id) == {"a.txt": "'a.txt' cannot be read from the data directory: Permission denied"}


def test_an_unknown_embedder_fails_each_file_with_the_known_names(world: World) -> None:
    world.upload("a.txt", "text")
    raw = project_yaml(chunk_size=50)
    raw["rag"]["databases"][0]["embedding_strategies"][0]["type"] = "NoSuchEmbedder"
    world.configure(raw)
    task_id = world.start()
    world.settle()
    assert "NoSuchEmbedder" in world.errors_of(task_id)["a.txt"]
    assert "HashEmbedder" in world.errors_of(task_id)["a.txt"]
    world.configure(project_yaml(chunk_size=50))
