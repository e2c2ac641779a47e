"""Leases, commits and recovery: the promises of state/tasks.py, on real databases."""

from typing import Any

import pytest
from sqlalchemy import event

from state.cancellation import CancellationStore
from state.database import StateDatabase
from state.generations import GenerationStore
from state.tables import TaskRow
from state.task_rows import MAX_EMBED_CRASHES, ClaimedFile, NewFile
from state.tasks import TaskStore

PROJECT = ("acme", "handbook")
HASH = "a" * 64
LEASE_S = 10.0

pytestmark = pytest.mark.state("sqlite", "postgresql")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class World:
    """The stores of one state database, with a clock that tests move."""

    def __init__(self, database: StateDatabase) -> None:
        self.clock = Clock()
        self.database = database
        self.tasks = TaskStore(self.database, lease_s=LEASE_S, clock=self.clock)
        self.cancellations = CancellationStore(self.database, clock=self.clock)
        self.generations = GenerationStore(self.database)

    def add_task(self, task_id: str, files: list[NewFile] | None = None, dataset: str = "docs") -> list[int]:
        files = files or [NewFile(HASH, "a.pdf", f"gen-{task_id}")]
        self.generations.ensure(*PROJECT, dataset, {each.file_hash: each.filename for each in files})
        task = TaskRow(
            id=task_id, namespace="acme", project="handbook", dataset=dataset, strategy="s", database="main", config={}
        )
        self.tasks.create(task, files)
        return self.tasks.waiting(task_id)

    def claim(self, file_id: int, stage: str, owner: str) -> ClaimedFile:
        claimed = self.tasks.claim(file_id, stage, owner)  # type: ignore[arg-type]
        assert claimed is not None
        return claimed

    def process(self, file_id: int, generation: str, owner: str = "w") -> ClaimedFile:
        self.claim(file_id, "parse", owner)
        assert self.tasks.parsed(file_id, owner, chunk_count=3, details={})
        claimed = self.claim(file_id, "embed", owner)
        assert self.tasks.commit(claimed, owner, generation=generation, chunk_count=3, details={})
        return claimed

    def state(self, task_id: str) -> list[str]:
        found = self.tasks.get(*PROJECT, task_id)
        assert found is not None
        return [row.state for row in found[1]]

    def live(self) -> str | None:
        file = self.generations.of_file(*PROJECT, "docs", HASH)
        return file.generation if file else None


@pytest.fixture
def world(state_database: StateDatabase) -> World:
    return World(state_database)


def test_a_file_goes_through_its_states_and_its_chunks_become_live_together(world: World) -> None:
    (file_id,) = world.add_task("t1")
    assert world.live() is None
    world.process(file_id, "g1")
    assert world.state("t1") == ["processed"]
    assert world.live() == "g1"
    check = world.generations.live_check(*PROJECT, "main")
    assert check({(f"docs/{HASH}", "g1"), (f"docs/{HASH}", "g0"), ("other/x", "g1")}) == {(f"docs/{HASH}", "g1")}


def test_a_second_delivery_finds_nothing_to_claim(world: World) -> None:
    (file_id,) = world.add_task("t1")
    world.claim(file_id, "parse", "first")
    assert world.tasks.claim(file_id, "parse", "second") is None
    world.tasks.parsed(file_id, "first", chunk_count=1, details={})
    assert world.tasks.claim(file_id, "parse", "second") is None


def test_only_one_task_at_a_time_has_a_file_in_hand(world: World) -> None:
    (first,) = world.add_task("t1")
    (second,) = world.add_task("t2")
    world.claim(first, "parse", "w1")
    assert world.tasks.claim(second, "parse", "w2") is None
    world.tasks.end(first, "w1", "failed", error="x", reason="y")
    assert world.tasks.claim(second, "parse", "w2") is not None


def test_who_lost_the_lease_cannot_commit(world: World) -> None:
    (file_id,) = world.add_task("t1")
    world.claim(file_id, "parse", "old")
    world.tasks.parsed(file_id, "old", chunk_count=1, details={})
    claimed = world.claim(file_id, "embed", "old")
    world.clock.now += LEASE_S + 1
    assert world.tasks.take_over_expired() == 1
    world.claim(file_id, "embed", "new")
    assert not world.tasks.commit(claimed, "old", generation="g1", chunk_count=1, details={})
    assert not world.tasks.may_discard(claimed, "old", "g1"), "the new owner writes the same ids"
    assert world.live() is None


def test_a_renewed_lease_is_not_taken_over(world: World) -> None:
    (file_id,) = world.add_task("t1")
    world.claim(file_id, "parse", "w")
    world.clock.now += LEASE_S - 1
    world.tasks.renew([(file_id, "w")])
    world.clock.now += LEASE_S - 1
    assert world.tasks.take_over_expired() == 0


def test_a_file_that_crashes_the_parser_twice_is_quarantined(world: World) -> None:
    (file_id,) = world.add_task("t1")
    for expected in ("queued", "failed"):
        world.claim(file_id, "parse", "w")
        world.clock.now += LEASE_S + 1
        world.tasks.take_over_expired()
        assert world.state("t1") == [expected]
    found = world.tasks.get(*PROJECT, "t1")
    assert found is not None
    assert "crashed the parser twice" in (found[1][0].error or "")


def test_a_crash_of_the_embed_process_does_not_condemn_the_files_it_held(world: World) -> None:
    (file_id,) = world.add_task("t1")
    world.claim(file_id, "parse", "w")
    world.tasks.parsed(file_id, "w", chunk_count=1, details={})
    for _ in range(MAX_EMBED_CRASHES - 1):
        world.claim(file_id, "embed", "w")
        world.clock.now += LEASE_S + 1
        world.tasks.take_over_expired()
        assert world.state("t1") == ["parsed"]


def test_a_file_that_waits_for_an_upstream_is_not_claimed_before_its_time(world: World) -> None:
    (file_id,) = world.add_task("t1")
    world.claim(file_id, "parse", "w")
    world.tasks.retry_later(file_id, "w", "parse", delay_s=5, error="down")
    assert world.tasks.claim(file_id, "parse", "w") is None
    assert world.tasks.due("parse", idle_s=0) == []
    world.clock.now += 6
    assert world.tasks.due("parse", idle_s=0) == [file_id]
    assert world.claim(file_id, "parse", "w").attempts == 1


def test_a_task_finishes_once_when_its_last_file_ends(world: World) -> None:
    files = [NewFile(HASH, "a", "g"), NewFile("b" * 64, "b", "g")]
    first, second = world.add_task("t1", files)
    world.process(first, "g")
    assert not world.tasks.finish_if_done("t1")
    world.process(second, "g")
    assert world.tasks.finish_if_done("t1")
    assert not world.tasks.finish_if_done("t1")


def test_unchanged_files_end_at_once_and_an_all_unchanged_task_is_finished(world: World) -> None:
    world.add_task("t1", [NewFile(HASH, "a", "g", unchanged_chunks=7)])
    found = world.tasks.get(*PROJECT, "t1")
    assert found is not None
    assert found[0].finished_at is not None
    assert (found[1][0].state, found[1][0].skipped_count) == ("skipped", 7)


def test_a_task_of_another_project_is_not_found(world: World) -> None:
    world.add_task("t1")
    assert world.tasks.get("acme", "other", "t1") is None
    assert world.cancellations.cancel("acme", "other", "t1") is None


def test_cancel_ends_what_waits_and_goes_back_to_what_was_live(world: World) -> None:
    (before,) = world.add_task("t0")
    world.process(before, "g0")
    world.tasks.finish_if_done("t0")
    files = [NewFile(HASH, "a", "g1"), NewFile("b" * 64, "b", "g1"), NewFile("c" * 64, "c", "g1")]
    first, second, _ = world.add_task("t1", files)
    world.process(first, "g1")
    running = world.claim(second, "parse", "w")
    cancelled = world.cancellations.cancel(*PROJECT, "t1")
    assert cancelled is not None
    assert (cancelled.pending_count, cancelled.running_count) == (1, 1)
    assert [each.generation for each in cancelled.reverted] == ["g1"]
    assert world.live() == "g0"
    assert not world.tasks.report(second, "w", units_done=1), "the running one finds out"
    world.tasks.end(running.id, "w", "cancelled", error="Task cancelled", reason="cancelled")
    assert world.tasks.finish_if_done("t1")


def test_cancel_twice_and_cancel_of_an_ended_task_change_nothing(world: World) -> None:
    (file_id,) = world.add_task("t1")
    assert world.cancellations.cancel(*PROJECT, "t1") is not None
    world.cancellations.save_report("t1", {"files_reverted": 0})
    again = world.cancellations.cancel(*PROJECT, "t1")
    assert again is not None
    assert again.report == {"files_reverted": 0}
    (file_id,) = world.add_task("t2")
    world.process(file_id, "g")
    world.tasks.finish_if_done("t2")
    ended = world.cancellations.cancel(*PROJECT, "t2")
    assert ended is not None
    assert ended.has_ended
    assert world.live() == "g"


def test_a_commit_after_the_cancel_changes_nothing(world: World) -> None:
    (file_id,) = world.add_task("t1")
    world.claim(file_id, "parse", "w")
    world.tasks.parsed(file_id, "w", chunk_count=1, details={})
    claimed = world.claim(file_id, "embed", "w")
    world.cancellations.cancel(*PROJECT, "t1")
    assert not world.tasks.commit(claimed, "w", generation="g", chunk_count=1, details={})
    assert world.live() is None
    assert world.tasks.may_discard(claimed, "w", "g")


def test_a_commit_of_a_file_that_was_removed_meanwhile_changes_nothing(world: World) -> None:
    (file_id,) = world.add_task("t1")
    world.claim(file_id, "parse", "w")
    world.tasks.parsed(file_id, "w", chunk_count=1, details={})
    claimed = world.claim(file_id, "embed", "w")
    assert world.cancellations.drop_work(*PROJECT, "docs", HASH) == ["t1"]
    world.generations.forget(*PROJECT, "docs", HASH)
    assert not world.tasks.commit(claimed, "w", generation="g", chunk_count=1, details={})
    assert world.state("t1") == ["cancelled"]


def test_tasks_that_ended_long_ago_are_forgotten_with_their_files(world: World) -> None:
    (file_id,) = world.add_task("old")
    world.process(file_id, "g")
    world.tasks.finish_if_done("old")
    world.clock.now += 100
    assert world.tasks.forget_ended(50) == 0, "not cleaned up yet"
    world.tasks.mark_cleaned("old")
    world.add_task("young")
    assert world.tasks.forget_ended(50) == 1
    assert world.tasks.get(*PROJECT, "old") is None
    assert world.state("young") == ["queued"]


def test_the_last_task_of_a_database_is_never_forgotten(world: World) -> None:
    """Its configuration is how the database is dropped when llamafarm.yaml cannot be read any more."""
    (file_id,) = world.add_task("only")
    world.process(file_id, "g")
    world.tasks.finish_if_done("only")
    world.tasks.mark_cleaned("only")
    world.clock.now += 100
    assert world.tasks.forget_ended(50) == 0
    assert world.tasks.last_configs(*PROJECT)


@pytest.mark.state("sqlite")
def test_the_live_check_finds_its_rows_by_the_whole_key_of_a_file(world: World) -> None:
    """Otherwise every search reads all files of the project."""
    (file_id,) = world.add_task("t1")
    world.process(file_id, "g1")
    plans: list[str] = []

    @event.listens_for(world.database.engine, "before_cursor_execute")
    def explain(_c: object, cursor: Any, statement: str, values: Any, *_: object) -> None:
        plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall())

    check = world.generations.live_check(*PROJECT, "main")
    assert check({(f"docs/{HASH}", "g1")}) == {(f"docs/{HASH}", "g1")}
    assert check(set()) == set()
    assert any("dataset=?" in plan and "file_hash=?" in plan for plan in plans), plans


def test_a_file_without_a_row_stays_out_of_a_new_task(world: World) -> None:
    other = "b" * 64
    world.generations.ensure(*PROJECT, "docs", {HASH: "a.pdf"})
    task = TaskRow(
        id="t1", namespace="acme", project="handbook", dataset="docs", strategy="s", database="main", config={}
    )
    kept = world.tasks.create(task, [NewFile(HASH, "a.pdf", "g"), NewFile(other, "b.pdf", "g")])
    assert [each.file_hash for each in kept] == [HASH]
    assert len(world.tasks.waiting("t1")) == 1


def test_a_retry_is_due_again_until_its_message_was_sent(world: World) -> None:
    (file_id,) = world.add_task("t1")
    world.tasks.mark_enqueued([file_id])
    assert world.tasks.due_again("parse") == []
    world.claim(file_id, "parse", "w")
    world.tasks.retry_later(file_id, "w", "parse", delay_s=5, error="down")
    assert world.tasks.due_again("parse") == []
    world.clock.now += 6
    assert world.tasks.due_again("parse") == [file_id]
    world.tasks.mark_enqueued([file_id])
    assert world.tasks.due_again("parse") == []


def test_only_the_holder_of_a_lease_renews_it(world: World) -> None:
    (file_id,) = world.add_task("t1")
    assert world.claim(file_id, "parse", "w:1").owner == "w:1"
    world.clock.now += LEASE_S - 1
    world.tasks.renew([(file_id, "w:2")])
    world.clock.now += 2
    assert world.tasks.take_over_expired() == 1
