"""The end of tasks, and what was lost on the way: files whose worker went silent, messages that never came."""

from collections.abc import Callable, Collection

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import aliased

from state.database import StateDatabase
from state.file_trace import log_end
from state.tables import TaskFileRow, TaskRow
from state.task_rows import CANCELLED, NO_LEASE, OPEN_STATES, after_crash, is_cancelled, notes_of, rowcount, set_values
from state.task_states import RUNNING, WAITING, Stage

IDS_PER_STATEMENT = 5_000
"""SQLite takes at most 32,766 values in one statement."""


class TaskRecovery:
    """The part of `TaskStore` that looks at tasks as a whole. Every method is one transaction."""

    def __init__(self, database: StateDatabase, *, lease_s: float, clock: Callable[[], float]) -> None:
        self._database = database
        self._lease_s = lease_s
        self._clock = clock

    def finish_if_done(self, task_id: str) -> bool:
        """Mark a task as finished when its last file has ended; True for exactly one caller."""
        open_file = select(TaskFileRow.id).where(TaskFileRow.task_id == task_id, TaskFileRow.state.in_(OPEN_STATES))
        with self._database.read() as session:  # the usual answer, without the write lock
            if session.scalar(open_file.limit(1)) is not None:
                return False
        with self._database.write() as session:
            if session.scalar(open_file.limit(1)) is not None:
                return False
            changed = session.execute(
                update(TaskRow)
                .where(TaskRow.id == task_id, TaskRow.finished_at.is_(None))
                .values(finished_at=self._clock())
            )
            return rowcount(changed) == 1

    def mark_cleaned(self, task_id: str) -> None:
        """The row of a task whose project was deleted goes."""
        with self._database.write() as session:
            session.execute(delete(TaskRow).where(TaskRow.id == task_id, TaskRow.removed_at.is_not(None)))
            session.execute(update(TaskRow).where(TaskRow.id == task_id).values(cleaned_at=self._clock()))

    def forget_ended(self, kept_s: float) -> int:
        """Delete the tasks that ended and were cleaned up longer ago than `kept_s`; returns how many.

        The last one of each database stays: its configuration is how the database can be dropped with its project
        when llamafarm.yaml does not say it any more.
        """
        newer = aliased(TaskRow)
        is_last = ~exists().where(
            newer.namespace == TaskRow.namespace,
            newer.project == TaskRow.project,
            newer.database == TaskRow.database,
            newer.created_at > TaskRow.created_at,
        )
        with self._database.write() as session:
            before = self._clock() - kept_s
            old = select(TaskRow.id).where(TaskRow.finished_at < before, TaskRow.cleaned_at.is_not(None), ~is_last)
            result = session.execute(delete(TaskRow).where(TaskRow.id.in_(list(session.scalars(old)))))
            return rowcount(result)

    # -- what was lost ----------------------------------------------------------------------------------

    def take_over_expired(self) -> int:
        """Put files whose worker went silent back to waiting; quarantine the ones that kill their worker."""
        now = self._clock()
        with self._database.write() as session:
            rows = session.scalars(
                select(TaskFileRow).where(TaskFileRow.state.in_(RUNNING.values()), TaskFileRow.lease_until < now)
            ).all()
            for row in rows:
                values = CANCELLED if is_cancelled(session, row) else after_crash(row)
                set_values(row, now, {**values, **NO_LEASE})
                log_end(session, row, notes_of(row), now)
            return len(rows)

    def due(self, stage: Stage, *, idle_s: float) -> list[int]:
        """Files that wait for a stage and for which no message was sent in the last `idle_s` seconds, oldest first."""
        now = self._clock()
        with self._database.read() as session:
            query = (
                select(TaskFileRow.id)
                .where(
                    TaskFileRow.state == WAITING[stage],
                    TaskFileRow.not_before <= now,
                    TaskFileRow.enqueued_at <= now - idle_s,
                )
                .order_by(TaskFileRow.id)
            )
            return list(session.scalars(query))

    def due_again(self, stage: Stage) -> list[int]:
        """Files whose wait for another try is over and for which no message was sent since, oldest first."""
        with self._database.read() as session:
            query = select(TaskFileRow.id).where(
                TaskFileRow.state == WAITING[stage],
                TaskFileRow.not_before <= self._clock(),
                TaskFileRow.not_before > TaskFileRow.enqueued_at,
            )
            return list(session.scalars(query.order_by(TaskFileRow.id)))

    def waiting(self, task_id: str) -> list[int]:
        """Files of a task that wait to be parsed, in order."""
        with self._database.read() as session:
            query = select(TaskFileRow.id).where(TaskFileRow.task_id == task_id, TaskFileRow.state == "queued")
            return list(session.scalars(query.order_by(TaskFileRow.position)))

    def mark_enqueued(self, file_ids: Collection[int]) -> None:
        ids, now = list(file_ids), self._clock()
        with self._database.write() as session:
            for start in range(0, len(ids), IDS_PER_STATEMENT):
                some = ids[start : start + IDS_PER_STATEMENT]
                session.execute(update(TaskFileRow).where(TaskFileRow.id.in_(some)).values(enqueued_at=now))

    def unfinished_business(self) -> tuple[list[str], list[str]]:
        """(tasks whose files may all have ended, finished tasks that were not cleaned up), for the sweeper."""
        long_ago = self._clock() - 2 * self._lease_s
        has_open = select(TaskFileRow.id).where(TaskFileRow.task_id == TaskRow.id, TaskFileRow.state.in_(OPEN_STATES))
        with self._database.read() as session:
            open_tasks = session.scalars(select(TaskRow.id).where(TaskRow.finished_at.is_(None), ~has_open.exists()))
            dirty_tasks = session.scalars(
                select(TaskRow.id).where(TaskRow.finished_at < long_ago, TaskRow.cleaned_at.is_(None))
            )
            return list(open_tasks), list(dirty_tasks)

    def backlog(self) -> dict[str, int]:
        """Files per unfinished state, over all tasks."""
        with self._database.read() as session:
            query = (
                select(TaskFileRow.state, func.count())
                .where(TaskFileRow.state.in_(OPEN_STATES))
                .group_by(TaskFileRow.state)
            )
            return {row[0]: row[1] for row in session.execute(query)}
