"""Evaluations: tasks of one row that is claimed, leased and taken over as a file is, with a request and a result."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select, update

from rag.errors import OverloadedError
from state.database import StateDatabase
from state.tables import EvaluationRow, TaskFileRow, TaskRow
from state.task_states import WAITING

KIND = "evaluate"
MAX_OPEN = 2
"""Evaluations that wait or run, over all projects: each holds one of the embed worker's threads for minutes."""
ROW_NAME = "evaluation"


class EvaluationStore:
    """`clock` gives seconds since the epoch. Every method is one transaction."""

    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def create(self, task: TaskRow, request: dict[str, Any]) -> int:
        """Keep a task and what it is asked for; returns the row that the embed stage claims.

        Raises:
            OverloadedError: `MAX_OPEN` are under way.
        """
        now = self._clock()
        task.created_at = now
        is_open = (TaskRow.kind == KIND, TaskRow.finished_at.is_(None), TaskRow.cancelled_at.is_(None))
        with self._database.write() as session:
            if (session.scalar(select(func.count()).select_from(TaskRow).where(*is_open)) or 0) >= MAX_OPEN:
                raise OverloadedError(
                    f"{MAX_OPEN} evaluations are under way already; try again when one has ended, or cancel one"
                )
            session.add(task)
            session.flush()
            session.add(EvaluationRow(task_id=task.id, request=request))
            row = TaskFileRow(
                task_id=task.id,
                position=0,
                file_hash=hashlib.sha256(task.id.encode()).hexdigest(),
                filename=ROW_NAME,
                state=WAITING["embed"],
                enqueued_at=now,
                updated_at=now,
            )
            session.add(row)
            session.flush()
            return row.id

    def request(self, task_id: str) -> dict[str, Any] | None:
        with self._database.read() as session:
            return session.scalar(select(EvaluationRow.request).where(EvaluationRow.task_id == task_id))

    def result(self, task_id: str) -> dict[str, Any] | None:
        with self._database.read() as session:
            return session.scalar(select(EvaluationRow.result).where(EvaluationRow.task_id == task_id))

    def finish(self, file_id: int, owner: str, task_id: str, result: dict[str, Any]) -> bool:
        """Keep what was found and end the row; False when the lease was lost or the task cancelled."""
        with self._database.write() as session:
            row, task = session.get(TaskFileRow, file_id), session.get(TaskRow, task_id)
            if row is None or row.lease_owner != owner or task is None or task.cancelled_at is not None:
                return False
            session.execute(update(EvaluationRow).where(EvaluationRow.task_id == task_id).values(result=result))
            row.state, row.error, row.lease_owner, row.lease_until = "processed", None, None, None
            row.stored_count, row.updated_at = row.chunk_count, self._clock()
            return True
