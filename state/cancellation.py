"""Ending a task early: what waits is cancelled at once, what runs finds out at its next cancel point,
what this task already wrote goes back to what was there before."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, true, update
from sqlalchemy.orm import Session, aliased

from state.database import StateDatabase
from state.tables import FileRow, TaskFileRow, TaskRow
from state.task_rows import OPEN_STATES
from state.task_states import REVERTED, RUNNING, WAITING

REMOVED_SINCE = "removed since"
"""Reason of a processed file that was taken out of the dataset before its task ended."""


@dataclass(frozen=True, slots=True)
class Reverted:
    """A generation that this task wrote and that is not live any more: its chunks are to be deleted.

    `file_id` is the file's row in the task: see `TaskStore.reserve_discard`.
    """

    file_id: int
    file_hash: str
    generation: str


@dataclass(frozen=True, slots=True)
class Cancellation:
    """`report` is set when the task had been cancelled before; `final_state` when it had already ended."""

    task: TaskRow
    pending_count: int = 0
    running_count: int = 0
    reverted: tuple[Reverted, ...] = ()
    report: dict[str, Any] | None = None
    has_ended: bool = False


class CancellationStore:
    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def cancel(self, namespace: str, project: str, task_id: str) -> Cancellation | None:
        """None when the project has no such task. A second call changes nothing."""
        with self._database.write() as session:
            task = session.get(TaskRow, task_id)
            if task is None or (task.namespace, task.project) != (namespace, project) or task.removed_at is not None:
                return None
            if task.cancelled_at is not None:
                return Cancellation(task, report=task.cancel_report or {})
            if task.finished_at is not None or _is_done(session, task):
                return Cancellation(task, has_ended=True)
            task.cancelled_at = self._clock()
            running_count = _count(session, task_id, RUNNING.values())
            pending_count = _cancel_waiting(session, task_id, self._clock())
            return Cancellation(task, pending_count, running_count, tuple(_revert(session, task, self._clock())))

    def save_report(self, task_id: str, report: dict[str, Any]) -> None:
        with self._database.write() as session:
            session.execute(update(TaskRow).where(TaskRow.id == task_id).values(cancel_report=report))

    def drop_work(
        self, namespace: str, project: str, dataset: str | None = None, file_hash: str | None = None
    ) -> list[str]:
        """Take a file (a dataset, a project) out of every unfinished task; returns the tasks that it was in.

        A stage that runs loses its lease: its commit will change nothing and it removes what it wrote.
        """
        with self._database.write() as session:
            tasks = select(TaskRow.id).where(TaskRow.namespace == namespace, TaskRow.project == project)
            if dataset is not None:
                tasks = tasks.where(TaskRow.dataset == dataset)
            tasks = tasks.where(TaskRow.finished_at.is_(None))
            is_file = true() if file_hash is None else TaskFileRow.file_hash == file_hash
            is_concerned = TaskFileRow.task_id.in_(tasks) & is_file
            is_unfinished = is_concerned & TaskFileRow.state.in_(OPEN_STATES)
            concerned = sorted(session.scalars(select(TaskFileRow.task_id).where(is_unfinished).distinct()))
            session.execute(
                update(TaskFileRow)
                .where(is_unfinished)
                .values(
                    state="cancelled",
                    reason="removed",
                    error="the file was removed while it waited",
                    lease_owner=None,
                    lease_until=None,
                    updated_at=self._clock(),
                )
                .execution_options(synchronize_session=False)
            )
            # A later cancel of the task has nothing to go back to, also when the same bytes are uploaded again.
            session.execute(
                update(TaskFileRow)
                .where(is_concerned, TaskFileRow.state == "processed")
                .values(reason=REMOVED_SINCE)
                .execution_options(synchronize_session=False)
            )
            return concerned


def _is_done(session: Session, task: TaskRow) -> bool:
    """Whether work that cannot be taken back has been done, and only its end is not noted yet."""
    return task.kind != "ingest" and not _count(session, task.id, OPEN_STATES)


def _count(session: Session, task_id: str, states: Collection[str]) -> int:
    query = select(func.count()).where(TaskFileRow.task_id == task_id, TaskFileRow.state.in_(states))
    return session.scalar(query) or 0


def _cancel_waiting(session: Session, task_id: str, now: float) -> int:
    changed = session.execute(
        update(TaskFileRow)
        .where(TaskFileRow.task_id == task_id, TaskFileRow.state.in_(WAITING.values()))
        .values(state="cancelled", reason="cancelled", error="Task cancelled", updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return _rowcount(changed)


def _revert(session: Session, task: TaskRow, now: float) -> list[Reverted]:
    """Make the former generations live again; the rows end as cancelled.

    What a later task found or made live again stays: who asked last decides.
    """
    query = select(TaskFileRow).where(TaskFileRow.task_id == task.id, TaskFileRow.state == "processed")
    rows = list(session.scalars(query))
    files = _live_by_hash(session, task) if rows else {}
    wanted_since = _wanted_since(session, task) if rows else set()
    reverted = []
    for row in rows:
        file = files.get(row.file_hash)
        previous = (row.previous_generation, row.previous_database)
        mine = (row.generation, task.database)
        is_mine = file is not None and (file.live_generation, file.database) == mine
        if (row.file_hash, row.generation) in wanted_since:
            is_mine = False
        if file is not None and is_mine and row.reason != REMOVED_SINCE and row.generation is not None:
            file.live_generation, file.database = previous
            file.chunk_count = int(row.details.get("previous_chunk_count", 0)) if row.previous_generation else 0
            file.updated_at = now
            if previous != mine:
                reverted.append(Reverted(row.id, row.file_hash, row.generation))
        row.state, row.reason, row.error, row.updated_at = "cancelled", REVERTED, "Task cancelled", now
        row.stored_count = 0
    return reverted


def _live_by_hash(session: Session, task: TaskRow) -> dict[str, FileRow]:
    query = select(FileRow).where(
        FileRow.namespace == task.namespace, FileRow.project == task.project, FileRow.dataset == task.dataset
    )
    return {row.file_hash: row for row in session.scalars(query)}


def _wanted_since(session: Session, task: TaskRow) -> set[tuple[str, str | None]]:
    """(file hash, generation) that a later task on the dataset ended with."""
    mine = aliased(TaskFileRow)
    query = (
        select(TaskFileRow.file_hash, TaskFileRow.generation)
        .join(TaskRow, TaskRow.id == TaskFileRow.task_id)
        .join(mine, (mine.file_hash == TaskFileRow.file_hash) & (mine.task_id == task.id))
        .where(
            TaskRow.namespace == task.namespace,
            TaskRow.project == task.project,
            TaskRow.dataset == task.dataset,
            TaskRow.database == task.database,
            TaskFileRow.id > mine.id,
            TaskFileRow.state.in_(("processed", "skipped")),
        )
    )
    return {(row[0], row[1]) for row in session.execute(query)}


def _rowcount(result: Any) -> int:
    return int(result.rowcount)
