"""Tasks and their files: making them, leasing them, ending them. Every method is one transaction.

A lease is owned: a change by someone who lost it in the meantime changes nothing and says so (False),
so a message that is delivered twice, or a worker that was thought dead, cannot undo another's work.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from state.database import StateDatabase
from state.tables import FileRow, TaskFileRow, TaskRow
from state.task_states import FINAL_STATES, RUNNING, STAGES, WAITING, Stage

MAX_PARSE_CRASHES = 2
MAX_EMBED_CRASHES = 6
"""An embedding process that dies takes down every file that it had in hand; most of them are innocent."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file of a task that is about to be made; `unchanged_chunks` is set when nothing has to be done for it."""

    file_hash: str
    filename: str
    generation: str
    unchanged_chunks: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimedFile:
    """What a stage needs to know about the file that it leased."""

    id: int
    task_id: str
    namespace: str
    project: str
    dataset: str
    strategy: str
    database: str
    config: dict[str, Any]
    request_id: str | None
    file_hash: str
    filename: str
    attempts: int
    crashes: int
    details: dict[str, Any]


class TaskStore:
    """`clock` gives seconds since the epoch; injected so that tests can move it."""

    def __init__(self, database: StateDatabase, *, lease_s: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._lease_s = lease_s
        self._clock = clock

    # -- making and reading ---------------------------------------------------------------------------------

    def create(self, task: TaskRow, files: Sequence[NewFile]) -> None:
        now = self._clock()
        task.created_at = now
        if all(file.unchanged_chunks is not None for file in files):
            task.finished_at = task.cleaned_at = now
        with self._database.write() as session:
            session.add(task)
            session.flush()
            session.add_all(_new_row(task.id, position, file, now) for position, file in enumerate(files))

    def get(self, namespace: str, project: str, task_id: str) -> tuple[TaskRow, list[TaskFileRow]] | None:
        with self._database.read() as session:
            task = session.get(TaskRow, task_id)
            if task is None or (task.namespace, task.project) != (namespace, project):
                return None
            return task, _files_of(session, task_id)

    # -- the life of one file -------------------------------------------------------------------------------

    def claim(self, file_id: int, stage: Stage, owner: str) -> ClaimedFile | None:
        """Lease a waiting file; None when it is not waiting (taken, ended, not due yet) or when another task has
        the same file in hand: two tasks write the same chunk ids, so they take turns.
        """
        now = self._clock()
        with self._database.write() as session:
            row = session.get(TaskFileRow, file_id)
            if row is None or row.state != WAITING[stage] or row.not_before > now:
                return None
            task = session.get_one(TaskRow, row.task_id)
            if _in_hand_elsewhere(session, task, row):
                return None
            lease = {"state": RUNNING[stage], "lease_owner": owner, "lease_until": now + self._lease_s}
            _set(row, now, lease)
            return _claimed(row, task)

    def renew(self, file_ids: Collection[int], owner: str) -> None:
        with self._database.write() as session:
            session.execute(
                update(TaskFileRow)
                .where(TaskFileRow.id.in_(file_ids), TaskFileRow.lease_owner == owner)
                .values(lease_until=self._clock() + self._lease_s)
            )

    def report(self, file_id: int, owner: str, **values: Any) -> bool:
        """Write progress (units_done, stored_count …); False when the lease is lost or the task cancelled."""
        with self._database.write() as session:
            row = _owned(session, file_id, owner)
            if row is None or _is_cancelled(session, row):
                return False
            _set(row, self._clock(), values)
            return True

    def parsed(self, file_id: int, owner: str, *, chunk_count: int, details: dict[str, Any]) -> bool:
        """End of the parse stage: the file waits to be embedded."""
        now = self._clock()
        values = {
            "state": "parsed",
            "chunk_count": chunk_count,
            "details": details,
            "attempts": 0,
            "crashes": 0,
            "enqueued_at": now,
        }
        return self._release(file_id, owner, values)

    def retry_later(self, file_id: int, owner: str, stage: Stage, *, delay_s: float, error: str) -> bool:
        """Put a file back for another try, because an upstream failed."""
        with self._database.write() as session:
            row = _owned(session, file_id, owner)
            if row is None:
                return False
            values = {"state": WAITING[stage], "attempts": row.attempts + 1, "error": error}
            _set(row, self._clock(), {**values, "not_before": self._clock() + delay_s, **_NO_LEASE})
            return True

    def skip(self, file_id: int, owner: str, *, chunk_count: int) -> bool:
        """The same file with the same options is live already."""
        counts = {"chunk_count": chunk_count, "skipped_count": chunk_count}
        return self._release(file_id, owner, {"state": "skipped", "reason": "unchanged", **counts})

    def end(self, file_id: int, owner: str, state: str, *, error: str, reason: str) -> bool:
        """End a file that was not processed: failed or cancelled."""
        return self._release(file_id, owner, {"state": state, "error": error, "reason": reason, "stored_count": 0})

    def may_discard(self, claimed: ClaimedFile, owner: str, generation: str) -> bool:
        """Whether the chunks of a generation that was not committed belong to nobody: not live, nobody writes them."""
        with self._database.read() as session:
            row = session.get(TaskFileRow, claimed.id)
            if row is not None and row.state not in FINAL_STATES and row.lease_owner != owner:
                return False
            file = _file_row(session, claimed.namespace, claimed.project, claimed.dataset, claimed.file_hash)
            if file is not None and file.live_generation == generation:
                return False
            return row is None or not _in_hand_elsewhere(session, session.get_one(TaskRow, claimed.task_id), row)

    def commit(
        self, claimed: ClaimedFile, owner: str, *, generation: str, chunk_count: int, details: dict[str, Any]
    ) -> bool:
        """The commit point of an ingest: the new generation becomes the one that queries see.

        False, and nothing changed, when the lease was lost, the task cancelled or the file removed meanwhile.
        """
        now = self._clock()
        with self._database.write() as session:
            row = _owned(session, claimed.id, owner)
            file = _file_row(session, claimed.namespace, claimed.project, claimed.dataset, claimed.file_hash)
            if row is None or file is None or _is_cancelled(session, row):
                return False
            values = {"state": "processed", "stored_count": chunk_count, "error": None, "details": details}
            previous = {"previous_generation": file.live_generation, "previous_database": file.database}
            _set(row, now, {**values, **previous, **_NO_LEASE})
            file.live_generation, file.database = generation, claimed.database
            file.chunk_count, file.updated_at = chunk_count, now
            return True

    def _release(self, file_id: int, owner: str, values: dict[str, Any]) -> bool:
        with self._database.write() as session:
            row = _owned(session, file_id, owner)
            if row is None:
                return False
            _set(row, self._clock(), {**values, **_NO_LEASE})
            return True

    # -- the end of a task ----------------------------------------------------------------------------------

    def finish_if_done(self, task_id: str) -> bool:
        """Mark a task as finished when its last file has ended; True for exactly one caller."""
        with self._database.write() as session:
            open_files = session.scalar(
                select(func.count()).where(TaskFileRow.task_id == task_id, TaskFileRow.state.not_in(FINAL_STATES))
            )
            if open_files:
                return False
            changed = session.execute(
                update(TaskRow)
                .where(TaskRow.id == task_id, TaskRow.finished_at.is_(None))
                .values(finished_at=self._clock())
            )
            return _rowcount(changed) == 1

    def mark_cleaned(self, task_id: str) -> None:
        with self._database.write() as session:
            session.execute(update(TaskRow).where(TaskRow.id == task_id).values(cleaned_at=self._clock()))

    # -- recovery -------------------------------------------------------------------------------------------

    def take_over_expired(self) -> int:
        """Put files whose worker went silent back to waiting; quarantine the ones that kill their worker."""
        now = self._clock()
        with self._database.write() as session:
            rows = session.scalars(
                select(TaskFileRow).where(TaskFileRow.state.in_(RUNNING.values()), TaskFileRow.lease_until < now)
            ).all()
            for row in rows:
                _set(row, now, {**_after_crash(row), **_NO_LEASE})
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

    def waiting(self, task_id: str) -> list[int]:
        """Files of a task that wait to be parsed, in order."""
        with self._database.read() as session:
            query = select(TaskFileRow.id).where(TaskFileRow.task_id == task_id, TaskFileRow.state == "queued")
            return list(session.scalars(query.order_by(TaskFileRow.position)))

    def mark_enqueued(self, file_ids: Collection[int]) -> None:
        with self._database.write() as session:
            session.execute(update(TaskFileRow).where(TaskFileRow.id.in_(file_ids)).values(enqueued_at=self._clock()))

    def unfinished_business(self) -> tuple[list[str], list[str]]:
        """(tasks whose files may all have ended, finished tasks that were not cleaned up), for the sweeper."""
        long_ago = self._clock() - 2 * self._lease_s
        has_open = select(TaskFileRow.id).where(
            TaskFileRow.task_id == TaskRow.id, TaskFileRow.state.not_in(FINAL_STATES)
        )
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
                .where(or_(*(TaskFileRow.state.in_((WAITING[stage], RUNNING[stage])) for stage in STAGES)))
                .group_by(TaskFileRow.state)
            )
            return {row[0]: row[1] for row in session.execute(query)}


_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}


def _new_row(task_id: str, position: int, file: NewFile, now: float) -> TaskFileRow:
    is_unchanged = file.unchanged_chunks is not None
    return TaskFileRow(
        task_id=task_id,
        position=position,
        file_hash=file.file_hash,
        filename=file.filename,
        generation=file.generation,
        state="skipped" if is_unchanged else "queued",
        reason="unchanged" if is_unchanged else None,
        chunk_count=file.unchanged_chunks or 0,
        skipped_count=file.unchanged_chunks or 0,
        enqueued_at=now,
        details={},
        updated_at=now,
    )


def _files_of(session: Session, task_id: str) -> list[TaskFileRow]:
    query = select(TaskFileRow).where(TaskFileRow.task_id == task_id).order_by(TaskFileRow.position)
    return list(session.scalars(query))


def _file_row(session: Session, namespace: str, project: str, dataset: str, file_hash: str) -> FileRow | None:
    query = select(FileRow).where(
        FileRow.namespace == namespace,
        FileRow.project == project,
        FileRow.dataset == dataset,
        FileRow.file_hash == file_hash,
    )
    return session.scalar(query)


def _in_hand_elsewhere(session: Session, task: TaskRow, row: TaskFileRow) -> bool:
    query = (
        select(TaskFileRow.id)
        .join(TaskRow, TaskRow.id == TaskFileRow.task_id)
        .where(
            TaskFileRow.file_hash == row.file_hash,
            TaskFileRow.id != row.id,
            TaskFileRow.state.in_(RUNNING.values()),
            TaskRow.namespace == task.namespace,
            TaskRow.project == task.project,
            TaskRow.dataset == task.dataset,
        )
    )
    return session.scalar(query.limit(1)) is not None


def _owned(session: Session, file_id: int, owner: str) -> TaskFileRow | None:
    row = session.get(TaskFileRow, file_id)
    return row if row is not None and row.lease_owner == owner else None


def _is_cancelled(session: Session, row: TaskFileRow) -> bool:
    task = session.get(TaskRow, row.task_id)
    return task is None or task.cancelled_at is not None


def _set(row: TaskFileRow, now: float, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = now


def _after_crash(row: TaskFileRow) -> dict[str, Any]:
    crashes = row.crashes + 1
    if row.state == "parsing":
        if crashes >= MAX_PARSE_CRASHES:
            error = f"'{row.filename}' crashed the parser twice and is not tried again; the file may be damaged"
            return {"state": "failed", "crashes": crashes, "reason": "quarantined", "error": error}
        return {"state": "queued", "crashes": crashes, "enqueued_at": 0.0}
    if crashes >= MAX_EMBED_CRASHES:
        error = f"the embedding process died {crashes} times while it held '{row.filename}'; see the embed worker's log"
        return {"state": "failed", "crashes": crashes, "reason": "quarantined", "error": error}
    return {"state": "parsed", "crashes": crashes, "enqueued_at": 0.0}


def _claimed(row: TaskFileRow, task: TaskRow) -> ClaimedFile:
    return ClaimedFile(
        id=row.id,
        task_id=task.id,
        namespace=task.namespace,
        project=task.project,
        dataset=task.dataset,
        strategy=task.strategy,
        database=task.database,
        config=task.config,
        request_id=task.request_id,
        file_hash=row.file_hash,
        filename=row.filename,
        attempts=row.attempts,
        crashes=row.crashes,
        details=dict(row.details or {}),
    )


def _rowcount(result: Any) -> int:
    return int(result.rowcount)
