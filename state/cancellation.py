"""Ending a task early: what waits is cancelled at once, what runs finds out at its next cancel point,
what this task already wrote goes back to what was there before."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from state.database import StateDatabase
from state.tables import FileRow, TaskFileRow, TaskRow
from state.task_states import RUNNING, WAITING


@dataclass(frozen=True, slots=True)
class Reverted:
    """A generation that this task wrote and that is not live any more: its chunks are to be deleted."""

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
            if task is None or (task.namespace, task.project) != (namespace, project):
                return None
            if task.cancelled_at is not None:
                return Cancellation(task, report=task.cancel_report or {})
            if task.finished_at is not None:
                return Cancellation(task, has_ended=True)
            task.cancelled_at = self._clock()
            running_count = len(_files(session, task_id, tuple(RUNNING.values())))
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
            unfinished = (*WAITING.values(), *RUNNING.values())
            query = select(TaskFileRow).where(TaskFileRow.task_id.in_(tasks), TaskFileRow.state.in_(unfinished))
            if file_hash is not None:
                query = query.where(TaskFileRow.file_hash == file_hash)
            rows = list(session.scalars(query))
            for row in rows:
                row.state, row.reason, row.error = "cancelled", "removed", "the file was removed while it waited"
                row.lease_owner = row.lease_until = None
                row.updated_at = self._clock()
            return sorted({row.task_id for row in rows})


def _files(session: Session, task_id: str, states: tuple[str, ...]) -> list[TaskFileRow]:
    query = select(TaskFileRow).where(TaskFileRow.task_id == task_id, TaskFileRow.state.in_(states))
    return list(session.scalars(query))


def _cancel_waiting(session: Session, task_id: str, now: float) -> int:
    rows = _files(session, task_id, tuple(WAITING.values()))
    for row in rows:
        row.state, row.reason, row.error, row.updated_at = "cancelled", "cancelled", "Task cancelled", now
    return len(rows)


def _revert(session: Session, task: TaskRow, now: float) -> list[Reverted]:
    """Make the former generations live again; the rows end as cancelled."""
    reverted = []
    for row in _files(session, task.id, ("processed",)):
        switched = session.execute(
            update(FileRow)
            .where(
                FileRow.namespace == task.namespace,
                FileRow.project == task.project,
                FileRow.dataset == task.dataset,
                FileRow.file_hash == row.file_hash,
                FileRow.live_generation == row.generation,
            )
            .values(live_generation=row.previous_generation, database=row.previous_database, updated_at=now)
        )
        row.state, row.reason, row.error, row.updated_at = "cancelled", "reverted", "Task cancelled", now
        row.stored_count = 0
        if switched.rowcount and row.generation and row.generation != row.previous_generation:  # type: ignore[attr-defined]  # a cursor result
            reverted.append(Reverted(row.file_hash, row.generation))
    return reverted
