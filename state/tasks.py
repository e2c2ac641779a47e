"""Tasks and their files: making them, leasing them, ending them. Every method is one transaction.

A lease is owned: a change by someone who lost it in the meantime changes nothing and says so (False),
so a message that is delivered twice, or a worker that was thought dead, cannot undo another's work.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from state.database import StateDatabase
from state.events import Note
from state.file_trace import log_end
from state.tables import FileRow, TaskFileRow, TaskRow
from state.task_states import FINAL_STATES, RUNNING, WAITING, Stage
from state.upkeep_tasks import refuse_during_upkeep

MAX_PARSE_CRASHES = 2
MAX_EMBED_CRASHES = 6
"""An embedding process that dies takes down every file that it had in hand; most of them are innocent."""
DISCARD_S = 120.0
"""How long one who deletes the chunks of a file keeps others from writing some, should it die meanwhile."""
NEVER = -1.0
"""As the time of a file's last message: the sweeper sends one soon, whatever else waits."""
IDS_PER_STATEMENT = 5_000
"""SQLite takes at most 32,766 values in one statement."""

OPEN_STATES = (*WAITING.values(), *RUNNING.values())
"""Not final. Asked for by name, because `NOT IN` does not use the index."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file of a task that is about to be made; `unchanged_chunks` is set when nothing has to be done for it.

    `details` are what the stages are to know of this file alone.
    """

    file_hash: str
    filename: str
    generation: str
    unchanged_chunks: int | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimedFile:
    """What a stage needs to know about the file that it leased."""

    id: int
    owner: str
    """The name on the lease: of this claim alone, so that nobody else can pass for its holder."""
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
    generation: str = ""
    is_cancelled: bool = False
    kind: str = "ingest"
    """Of its task; what an `evaluate` claims is no file."""
    trace: list[Note] = field(default_factory=list)
    """What was done so far, for the event log; see `TaskStore.note`."""


class TaskStore:
    """`clock` gives seconds since the epoch; injected so that tests can move it."""

    def __init__(self, database: StateDatabase, *, lease_s: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._lease_s = lease_s
        self._clock = clock

    # -- making and reading ---------------------------------------------------------------------------------

    def create(self, task: TaskRow, files: Sequence[NewFile]) -> list[NewFile]:
        """Returns the files that are in the task: those that were removed since they were listed stay out.

        Raises:
            ConflictError: the database is being rebuilt or moved.
        """
        now = self._clock()
        task.created_at = now
        with self._database.write() as session:
            refuse_during_upkeep(session, task)
            present = set(session.scalars(_hashes_of(task.namespace, task.project, task.dataset)))
            kept = [file for file in files if file.file_hash in present]
            if all(file.unchanged_chunks is not None for file in kept):
                task.finished_at = task.cleaned_at = now
            session.add(task)
            session.flush()
            if kept:
                rows = [_new_row(task.id, position, file, now) for position, file in enumerate(kept)]
                session.execute(insert(TaskFileRow), rows)
        return kept

    def last_configs(self, namespace: str, project: str) -> dict[str, dict[str, Any]]:
        """Database name → the configuration of the last task that wrote to it, as far as tasks are remembered."""
        is_mine = (TaskRow.namespace == namespace) & (TaskRow.project == project) & TaskRow.removed_at.is_(None)
        with self._database.read() as session:
            names = list(session.scalars(select(TaskRow.database).where(is_mine).distinct()))
            newest = select(TaskRow.config).where(is_mine).order_by(TaskRow.created_at.desc()).limit(1)
            return {name: session.scalars(newest.where(TaskRow.database == name)).one() for name in names}

    def get(self, namespace: str, project: str, task_id: str) -> tuple[TaskRow, list[TaskFileRow]] | None:
        with self._database.read() as session:
            task = _shown(session, namespace, project, task_id)
            return None if task is None else (task, _files_of(session, task_id))

    def get_file(self, namespace: str, project: str, task_id: str, position: int) -> tuple[TaskRow, TaskFileRow] | None:
        """One file of a task by its number."""
        query = select(TaskFileRow).where(TaskFileRow.task_id == task_id, TaskFileRow.position == position)
        with self._database.read() as session:
            task, row = _shown(session, namespace, project, task_id), session.scalar(query)
            return None if task is None or row is None else (task, row)

    def remove_of_project(self, namespace: str, project: str) -> None:
        """Nobody is told of the project's tasks any more. A row goes at once, or when its task is cleaned up: what a
        stage that runs is still writing is deleted by that.
        """
        is_its = (TaskRow.namespace == namespace) & (TaskRow.project == project)
        with self._database.write() as session:
            session.execute(delete(TaskRow).where(is_its, TaskRow.cleaned_at.is_not(None)))
            session.execute(
                update(TaskRow).where(is_its, TaskRow.removed_at.is_(None)).values(removed_at=self._clock())
            )

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
            if _in_hand_elsewhere(session, task, row, now):
                return None
            lease = {"state": RUNNING[stage], "lease_owner": owner, "lease_until": now + self._lease_s}
            _set(row, now, lease)
            return _claimed(row, task)

    def renew(self, leases: Collection[tuple[int, str]]) -> None:
        """Prolong the leases (file id, owner) that are still theirs."""
        until = self._clock() + self._lease_s
        with self._database.write() as session:
            for file_id, owner in leases:
                session.execute(
                    update(TaskFileRow)
                    .where(TaskFileRow.id == file_id, TaskFileRow.lease_owner == owner)
                    .values(lease_until=until)
                )

    def report(self, file_id: int, owner: str, **values: Any) -> bool:
        """Write progress (units_done, stored_count …); False when the lease is lost or the task cancelled."""
        with self._database.write() as session:
            row = _owned(session, file_id, owner)
            if row is None or _is_cancelled(session, row):
                return False
            _set(row, self._clock(), values)
            return True

    def is_wanted(self, file_id: int, owner: str) -> bool:
        """Whether the lease is still its holder's and the task goes on; changes nothing."""
        with self._database.read() as session:
            row = _owned(session, file_id, owner)
            return row is not None and not _is_cancelled(session, row)

    def note(self, claimed: ClaimedFile, name: str, **data: Any) -> None:
        """Remember a step for the event log. Written when the stage ends: a stage that is killed has done nothing."""
        claimed.trace.append((name, self._clock(), data))

    def parsed(
        self, file_id: int, owner: str, *, chunk_count: int, details: dict[str, Any], trace: Sequence[Note] = ()
    ) -> bool:
        """End of the parse stage: the file waits to be embedded. False when the lease is lost or the task cancelled;
        in the latter case the file has ended."""
        now = self._clock()
        values = {
            "state": "parsed",
            "chunk_count": chunk_count,
            "details": details,
            "trace": list(trace),
            "attempts": 0,
            "crashes": 0,
            "enqueued_at": now,
        }
        return self._put_back(file_id, owner, values)

    def retry_later(
        self,
        file_id: int,
        owner: str,
        stage: Stage,
        *,
        delay_s: float,
        error: str,
        details: dict[str, Any] | None = None,
    ) -> bool:
        """Put a file back for another try, because an upstream failed. False as for `parsed`.

        Args:
            details: replace those of the row.
        """
        with self._database.read() as session:
            row = session.get(TaskFileRow, file_id)
            attempts = 0 if row is None else row.attempts + 1
        values: dict[str, Any] = {"state": WAITING[stage], "attempts": attempts, "error": error}
        values |= {} if details is None else {"details": details}
        return self._put_back(file_id, owner, {**values, "not_before": self._clock() + delay_s})

    def skip(self, file_id: int, owner: str, *, chunk_count: int, generation: str) -> bool:
        """The same file with the same options is live already, as `generation`."""
        counts = {"chunk_count": chunk_count, "skipped_count": chunk_count, "generation": generation}
        return self._release(file_id, owner, {"state": "skipped", "reason": "unchanged", **counts})

    def end(
        self, file_id: int, owner: str, state: str, *, error: str, reason: str, trace: Sequence[Note] | None = None
    ) -> bool:
        """End a file that was not processed: failed or cancelled. Without a `trace`, what the row has counts."""
        values: dict[str, Any] = {"state": state, "error": error, "reason": reason, "stored_count": 0}
        return self._release(file_id, owner, values if trace is None else {**values, "trace": list(trace)})

    def may_discard(self, claimed: ClaimedFile, owner: str, generation: str) -> bool:
        """`reserve_discard` for a stage that gives up what it has written under `generation`."""
        return self.reserve_discard(claimed.id, owner, generation=generation, database=claimed.database)

    def reserve_discard(self, file_id: int, owner: str, *, generation: str, database: str) -> bool:
        """Whether the chunks of a generation belong to nobody: not live, not being written, not what a cancel would
        go back to. Until `end_discard`, nobody can begin to write chunks of this file: between this look and the
        deletion they could otherwise be written anew and become live.
        """
        now = self._clock()
        with self._database.write() as session:
            row = session.get(TaskFileRow, file_id)
            if row is None or (row.state not in FINAL_STATES and row.lease_owner != owner):
                return False
            task = session.get_one(TaskRow, row.task_id)
            file = _file_row(session, task.namespace, task.project, task.dataset, row.file_hash)
            if file is not None and (file.live_generation, file.database) == (generation, database):
                return False
            if _is_used_elsewhere(session, task, row, (generation, database), now):
                return False
            if row.state in FINAL_STATES:
                row.lease_owner, row.lease_until = owner, now + DISCARD_S
            return True

    def end_discard(self, file_id: int, owner: str) -> None:
        with self._database.write() as session:
            row = _owned(session, file_id, owner)
            if row is not None and row.state in FINAL_STATES:
                row.lease_owner = row.lease_until = None

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
            details = {**details, "previous_chunk_count": file.chunk_count}
            values = {"state": "processed", "stored_count": chunk_count, "error": None, "details": details}
            previous = {"previous_generation": file.live_generation, "previous_database": file.database}
            _set(row, now, {**values, **previous, **_NO_LEASE})
            file.live_generation, file.database = generation, claimed.database
            file.chunk_count, file.updated_at = chunk_count, now
            log_end(session, row, claimed.trace, now)
            return True

    def _release(self, file_id: int, owner: str, values: dict[str, Any]) -> bool:
        with self._database.write() as session:
            row = _owned(session, file_id, owner)
            if row is None:
                return False
            _set(row, self._clock(), {**values, **_NO_LEASE})
            log_end(session, row, _notes(row), self._clock())
            return True

    def _put_back(self, file_id: int, owner: str, values: dict[str, Any]) -> bool:
        """As `_release` to a state that waits; the file of a task that was cancelled meanwhile ends instead."""
        with self._database.write() as session:
            row = _owned(session, file_id, owner)
            if row is None:
                return False
            is_cancelled = _is_cancelled(session, row)
            _set(row, self._clock(), {**values, **(_CANCELLED if is_cancelled else {}), **_NO_LEASE})
            return not is_cancelled

    def embed_again(self, namespace: str, project: str, database: str) -> int:
        """Have the files that are being embedded begin anew, as what they wrote to the database is deleted; returns how
        many. Who embeds them now has lost the lease, and cannot make anything live.
        """
        now = self._clock()
        is_meant = (TaskRow.namespace == namespace, TaskRow.project == project, TaskRow.database == database)
        query = select(TaskFileRow).join(TaskRow, TaskRow.id == TaskFileRow.task_id)
        query = query.where(*is_meant, TaskRow.cancelled_at.is_(None), TaskFileRow.state == RUNNING["embed"])
        with self._database.write() as session:
            rows = session.scalars(query).all()
            values = {"state": WAITING["embed"], "stored_count": 0, "not_before": 0.0, "enqueued_at": NEVER}
            for row in rows:
                _set(row, now, {**values, **_NO_LEASE})
            return len(rows)

    # -- the end of a task ----------------------------------------------------------------------------------

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
            return _rowcount(changed) == 1

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
            return _rowcount(result)

    # -- recovery -------------------------------------------------------------------------------------------

    def take_over_expired(self) -> int:
        """Put files whose worker went silent back to waiting; quarantine the ones that kill their worker."""
        now = self._clock()
        with self._database.write() as session:
            rows = session.scalars(
                select(TaskFileRow).where(TaskFileRow.state.in_(RUNNING.values()), TaskFileRow.lease_until < now)
            ).all()
            for row in rows:
                values = _CANCELLED if _is_cancelled(session, row) else _after_crash(row)
                _set(row, now, {**values, **_NO_LEASE})
                log_end(session, row, _notes(row), now)
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


_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
_CANCELLED: dict[str, Any] = {
    "state": "cancelled",
    "reason": "cancelled",
    "error": "Task cancelled",
    "stored_count": 0,
}


def _new_row(task_id: str, position: int, file: NewFile, now: float) -> dict[str, Any]:
    is_unchanged = file.unchanged_chunks is not None
    return {
        "task_id": task_id,
        "position": position,
        "file_hash": file.file_hash,
        "filename": file.filename,
        "generation": file.generation,
        "state": "skipped" if is_unchanged else "queued",
        "reason": "unchanged" if is_unchanged else None,
        "chunk_count": file.unchanged_chunks or 0,
        "skipped_count": file.unchanged_chunks or 0,
        "enqueued_at": now,
        "details": file.details,
        "updated_at": now,
    }


def _shown(session: Session, namespace: str, project: str, task_id: str) -> TaskRow | None:
    task = session.get(TaskRow, task_id)
    is_its = task is not None and (task.namespace, task.project) == (namespace, project)
    return task if task is not None and is_its and task.removed_at is None else None


def _files_of(session: Session, task_id: str) -> list[TaskFileRow]:
    query = select(TaskFileRow).where(TaskFileRow.task_id == task_id).order_by(TaskFileRow.position)
    return list(session.scalars(query))


def _hashes_of(namespace: str, project: str, dataset: str) -> Select[str]:
    return select(FileRow.file_hash).where(
        FileRow.namespace == namespace, FileRow.project == project, FileRow.dataset == dataset
    )


def _file_row(session: Session, namespace: str, project: str, dataset: str, file_hash: str) -> FileRow | None:
    query = select(FileRow).where(
        FileRow.namespace == namespace,
        FileRow.project == project,
        FileRow.dataset == dataset,
        FileRow.file_hash == file_hash,
    )
    return session.scalar(query)


def _in_hand_elsewhere(session: Session, task: TaskRow, row: TaskFileRow, now: float) -> bool:
    """Whether another task works on the same file, or somebody deletes chunks of it."""
    query = _same_file_elsewhere(task, row).where(
        or_(TaskFileRow.state.in_(RUNNING.values()), TaskFileRow.lease_until > now)
    )
    return session.scalar(query.limit(1)) is not None


def _is_used_elsewhere(session: Session, task: TaskRow, row: TaskFileRow, chunks: tuple[str, str], now: float) -> bool:
    """Whether another task writes (or deletes) these chunks now, or would go back to them when it is cancelled."""
    generation, database = chunks
    is_in_hand = or_(TaskFileRow.state.in_(RUNNING.values()), TaskFileRow.lease_until > now)
    is_written = is_in_hand & (TaskFileRow.generation == generation) & (TaskRow.database == database)
    is_kept = (
        TaskRow.finished_at.is_(None)
        & (TaskFileRow.state == "processed")
        & (TaskFileRow.previous_generation == generation)
        & (TaskFileRow.previous_database == database)
    )
    return session.scalar(_same_file_elsewhere(task, row).where(or_(is_written, is_kept)).limit(1)) is not None


def _same_file_elsewhere(task: TaskRow, row: TaskFileRow) -> Select[int]:
    return (
        select(TaskFileRow.id)
        .join(TaskRow, TaskRow.id == TaskFileRow.task_id)
        .where(
            TaskFileRow.file_hash == row.file_hash,
            TaskFileRow.id != row.id,
            TaskRow.namespace == task.namespace,
            TaskRow.project == task.project,
            TaskRow.dataset == task.dataset,
        )
    )


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


def _notes(row: TaskFileRow) -> list[Note]:
    return [(name, at, data) for name, at, data in row.trace or ()]


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
        owner=row.lease_owner or "",
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
        generation=row.generation or "",
        is_cancelled=task.cancelled_at is not None,
        kind=task.kind,
        trace=_notes(row),
    )


def _rowcount(result: Any) -> int:
    return int(result.rowcount)
