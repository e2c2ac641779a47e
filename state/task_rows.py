"""What a file of a task is, and how its row is read and changed within a transaction."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from state.events import Note
from state.tables import FileRow, TaskFileRow, TaskRow
from state.task_states import RUNNING, WAITING

MAX_PARSE_CRASHES = 2
MAX_EMBED_CRASHES = 6
"""An embedding process that dies takes down every file that it had in hand; most of them are innocent."""
OPEN_STATES = (*WAITING.values(), *RUNNING.values())
"""Not final. Asked for by name, because `NOT IN` does not use the index."""
NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until": None}
CANCELLED: dict[str, Any] = {
    "state": "cancelled",
    "reason": "cancelled",
    "error": "Task cancelled",
    "stored_count": 0,
}


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


def new_row(task_id: str, position: int, file: NewFile, now: float) -> dict[str, Any]:
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


def shown_task(session: Session, namespace: str, project: str, task_id: str) -> TaskRow | None:
    task = session.get(TaskRow, task_id)
    is_its = task is not None and (task.namespace, task.project) == (namespace, project)
    return task if task is not None and is_its and task.removed_at is None else None


def files_of(session: Session, task_id: str) -> list[TaskFileRow]:
    query = select(TaskFileRow).where(TaskFileRow.task_id == task_id).order_by(TaskFileRow.position)
    return list(session.scalars(query))


def hashes_of(namespace: str, project: str, dataset: str) -> Select[str]:
    return select(FileRow.file_hash).where(
        FileRow.namespace == namespace, FileRow.project == project, FileRow.dataset == dataset
    )


def file_row(session: Session, namespace: str, project: str, dataset: str, file_hash: str) -> FileRow | None:
    query = select(FileRow).where(
        FileRow.namespace == namespace,
        FileRow.project == project,
        FileRow.dataset == dataset,
        FileRow.file_hash == file_hash,
    )
    return session.scalar(query)


def is_in_hand_elsewhere(session: Session, task: TaskRow, row: TaskFileRow, now: float) -> bool:
    """Whether another task works on the same file, or somebody deletes chunks of it."""
    query = _same_file_elsewhere(task, row).where(
        or_(TaskFileRow.state.in_(RUNNING.values()), TaskFileRow.lease_until > now)
    )
    return session.scalar(query.limit(1)) is not None


def is_used_elsewhere(session: Session, task: TaskRow, row: TaskFileRow, chunks: tuple[str, str], now: float) -> bool:
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


def owned_row(session: Session, file_id: int, owner: str) -> TaskFileRow | None:
    row = session.get(TaskFileRow, file_id)
    return row if row is not None and row.lease_owner == owner else None


def is_cancelled(session: Session, row: TaskFileRow) -> bool:
    task = session.get(TaskRow, row.task_id)
    return task is None or task.cancelled_at is not None


def set_values(row: TaskFileRow, now: float, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = now


def notes_of(row: TaskFileRow) -> list[Note]:
    return [(name, at, data) for name, at, data in row.trace or ()]


def after_crash(row: TaskFileRow) -> dict[str, Any]:
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


def claimed_file(row: TaskFileRow, task: TaskRow) -> ClaimedFile:
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
        trace=notes_of(row),
    )


def rowcount(result: Any) -> int:
    return int(result.rowcount)
