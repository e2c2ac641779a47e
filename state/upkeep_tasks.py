"""Work on a whole database (rebuilding it, moving it) as a task of one row, which is claimed and leased as a file is.

Until such a task has ended, no file of the database is processed, and the other way round: it would write to a place
that is about to be left. One that was cancelled has not ended before its worker has found out.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from rag.errors import ConflictError
from state.database import StateDatabase
from state.tables import TaskFileRow, TaskRow
from state.task_states import WAITING

KIND = "upkeep"


class UpkeepTasks:
    """`clock` gives seconds since the epoch. Every method is one transaction."""

    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def create(self, task: TaskRow, work: dict[str, Any], *, title: str, chunk_count: int) -> int:
        """Keep a task and what it is to do; returns the row that the embed stage claims.

        Raises:
            ConflictError: something is writing to the database.
        """
        now = self._clock()
        task.created_at = now
        with self._database.write() as session:
            _refuse_if_any(session, task, is_wanted=TaskRow.kind.in_(("ingest", KIND)))
            session.add(task)
            session.flush()
            row = TaskFileRow(
                task_id=task.id,
                position=0,
                file_hash=hashlib.sha256(task.id.encode()).hexdigest(),
                filename=title,
                state=WAITING["embed"],
                chunk_count=chunk_count,
                details={"work": work},
                enqueued_at=now,
                updated_at=now,
            )
            session.add(row)
            session.flush()
            return row.id

    def finish(self, file_id: int, owner: str, result: dict[str, Any]) -> bool:
        """End the row with what was done; False when the lease was lost. A cancel that came since the work was put in
        use is forgotten: there is nothing to go back to.
        """
        with self._database.write() as session:
            row = session.get(TaskFileRow, file_id)
            task = None if row is None else session.get(TaskRow, row.task_id)
            if row is None or row.lease_owner != owner or task is None:
                return False
            task.cancelled_at = None
            row.state, row.error, row.lease_owner, row.lease_until = "processed", None, None, None
            row.stored_count, row.updated_at = row.chunk_count, self._clock()
            row.details = {**(row.details or {}), "result": result}
            return True


def refuse_during_upkeep(session: Session, task: TaskRow) -> None:
    """Raises ConflictError while the database of `task` is being rebuilt or moved."""
    _refuse_if_any(session, task, is_wanted=TaskRow.kind == KIND)


def _refuse_if_any(session: Session, task: TaskRow, *, is_wanted: ColumnElement[bool]) -> None:
    query = select(TaskRow.id).where(
        TaskRow.namespace == task.namespace,
        TaskRow.project == task.project,
        TaskRow.database == task.database,
        TaskRow.finished_at.is_(None),
        TaskRow.cancelled_at.is_(None) | (TaskRow.kind == KIND),
        TaskRow.removed_at.is_(None),
        is_wanted,
    )
    found = session.scalar(query.order_by(TaskRow.created_at).limit(1))
    if found is not None:
        raise ConflictError(f"task {found} is writing to database '{task.database}'. Wait for it, or cancel it first")
