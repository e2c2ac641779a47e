"""Indexes and pipelines: whether they are in step with their files, and the one `sync` that brings them there.

What is told of a file is computed from what the ingest keeps (live generations, rows of open tasks). A collection's
body keeps only what would be forgotten with the tasks: when it was last in step, and why files failed.

`body.sync`: `job_id` of the last sync; `wanted` counts requests, `seen` is how many of them it has served; a job that
has `released` takes no more of them; `asked`: somebody wants it, not a schedule alone; `cancelled`: its ingest was.
`body.recorded`: ended tasks whose outcome the body has, and that are not cleaned up yet.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Collection as Collection_
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from rag.errors import NotFoundError
from state.cloud.ids import new_id
from state.cloud.jobs import FINAL, CloudJob, NewJob, job_of, row_of
from state.cloud.members import Collection, Member
from state.cloud.objects import CloudObject, CloudObjects, Wanted, not_found
from state.cloud.tables import CloudJobRow, CloudObjectRow
from state.database import StateDatabase
from state.generations import GenerationStore, LiveFile
from state.tables import TaskFileRow, TaskRow
from state.task_states import FINAL_STATES

SYNC = "sync"
DROP = "drop"
KINDS: tuple[Literal["index", "pipeline"], ...] = ("index", "pipeline")
MAX_ERROR_CHARS = 300
LEAST_INTERVAL_S = 60
"""Between two syncs of a schedule."""

FileState: TypeAlias = Literal["pending", "processing", "completed", "error", "cancelled"]
SyncState: TypeAlias = Literal["none", "syncing", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class FileStatus:
    state: FileState
    chunk_count: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """
    Args:
        sync: of the last sync with the ingest that it started; `none` when there never was one.
        files: hash → how far it is; `of` answers for every member.
        error: why the last sync failed as a whole.
    """

    sync: SyncState
    files: Mapping[str, FileStatus]
    otherwise: FileStatus = FileStatus("pending")
    error: str | None = None
    job: CloudJob | None = None
    tasks: tuple[str, ...] = ()

    def of(self, file_hash: str) -> FileStatus:
        return self.files.get(file_hash, self.otherwise)

    def counts(self, members: Iterable[Member]) -> Counter[FileState]:
        return Counter(self.of(each.file_hash).state for each in members)


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Of the tasks that are not over: hash → (state, error, generation) of its last row."""

    rows: Mapping[str, tuple[str, str | None, str | None]] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()

    @property
    def is_busy(self) -> bool:
        return bool(self.tasks)

    def generations(self) -> set[tuple[str, str | None]]:
        """(hash, generation) that are being written."""
        return {(each, row[2]) for each, row in self.rows.items() if row[0] not in FINAL_STATES}


def collection_of(found: CloudObject) -> Collection:
    assert found.kind in KINDS
    return Collection(found.id, found.kind, found.project_id)


class Collections:
    """`clock` gives seconds since the epoch."""

    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._generations = GenerationStore(database)
        self.objects = CloudObjects(database, clock=clock)

    # -- finding --------------------------------------------------------------------------------------------

    def get(self, kind: str, object_id: str, visible: str | None = None) -> CloudObject:
        return self.objects.get(kind, object_id, visible)

    def find(self, collection: Collection) -> CloudObject | None:
        """None when it was deleted."""
        try:
            return self.objects.get(collection.kind, collection.id)
        except NotFoundError:
            return None

    def behind(self, project_id: str, dataset: str) -> CloudObject | None:
        """The collection whose dataset this is."""
        for kind in KINDS:
            found = self.objects.by_ids(kind, [_id_of(kind, dataset)], project_id)
            for each in found.values():
                if collection_of(each).dataset == dataset:
                    return each
        return None

    # -- one sync at a time ---------------------------------------------------------------------------------

    def request_sync(self, collection: Collection, *, scheduled: bool = False) -> tuple[CloudJob, bool]:
        """The job that brings the collection in step with what is wanted now, and whether it was just made.

        One that is under way takes the request in: it looks again before it ends. A schedule's request does not make
        it look again, or short intervals would keep it going for ever: the schedule asks again when it has ended.

        Args:
            scheduled: nobody asked for it; files that failed are left alone.

        Raises:
            NotFoundError: the collection was deleted.
        """
        now = self._clock()
        with self._database.write() as session:
            row = _row(session, collection)
            if row is None:
                raise not_found(collection.kind, collection.id)
            sync = dict(row.body.get(SYNC) or {})
            job = session.get(CloudJobRow, sync.get("job_id", ""))
            is_open = job is not None and job.state not in FINAL and job.cancelled_at is None
            taking = job if is_open and not sync.get("released") else None
            if taking is not None and scheduled:
                return job_of(taking), False
            sync |= {"wanted": sync.get("wanted", 0) + 1, "at": now, "cancelled": False}
            if taking is not None:
                row.body = {**row.body, SYNC: {**sync, "asked": True}}
                return job_of(taking), False
            made = row_of(_new_job(SYNC, collection), None, 0, now)
            session.add(made)
            row.body = {**row.body, SYNC: {**sync, "job_id": made.id, "released": False, "asked": not scheduled}}
            session.flush()
            return job_of(made), True

    def requests(self, collection: Collection) -> int:
        """How many syncs were asked for; what is read afterwards is at least as new."""
        found = self.find(collection)
        return 0 if found is None else int((found.body.get(SYNC) or {}).get("wanted", 0))

    def release(self, collection: Collection, job_id: str, seen: int) -> bool:
        """A sync has served `seen` requests and ends; False when there are more by now."""

        def change(body: dict[str, Any]) -> dict[str, Any]:
            sync = body.get(SYNC) or {}
            is_done = sync.get("job_id") != job_id or sync.get("wanted", 0) <= seen
            done.append(is_done)
            return {SYNC: {**sync, "seen": seen, "released": True}} if is_done and sync.get("job_id") == job_id else {}

        done: list[bool] = []
        self._edit(collection, change)
        return not done or done[0]

    def drop(self, collection: Collection) -> CloudJob:
        """Delete the collection: gone at once for everybody; a job removes what stands behind it."""
        now = self._clock()
        with self._database.write() as session:
            row = _row(session, collection)
            if row is None:
                raise not_found(collection.kind, collection.id)
            row.deleted_at, row.updated_at, row.unique_key = now, now, None
            made = row_of(_new_job(DROP, collection), None, 0, now)
            session.add(made)
            session.flush()
            return job_of(made)

    # -- what is kept ---------------------------------------------------------------------------------------

    def note(self, collection: Collection, **values: Any) -> None:
        """Set keys of the body; `updated_at` is for what clients change. One that was deleted stays so."""
        self._edit(collection, lambda _: values)

    def record(
        self,
        collection: Collection,
        errors: Mapping[str, str],
        task_id: str | None = None,
        *,
        was_cancelled: bool = False,
    ) -> bool:
        """Keep why files failed and forget it for those that did not; returns whether all is in step now.

        It is when neither a sync nor an ingest is under way. The write lock decides whose record is the last.

        Args:
            errors: hash → sentence, of a task that ended; of a sync, those of which there were no bytes.
            task_id: that task; None: it is a sync that ended.
            was_cancelled: somebody ended the task early.
        """
        with self._database.write() as session:
            row = _row(session, collection)
            if row is None:
                return False
            body, now = dict(row.body), self._clock()
            sync, known = body.get(SYNC) or {}, [*(body.get("recorded") or ()), *([task_id] if task_id else ())]
            uncleaned = _uncleaned(session, collection)
            live = self._generations.of_dataset(*collection.place)
            told = {each: text[:MAX_ERROR_CHARS] for each, text in errors.items()}
            values: dict[str, Any] = {
                "missing": told if task_id is None else body.get("missing") or {},
                "errors": _still_told(body.get("errors") or {}, {} if task_id is None else told, live),
                "recorded": [each for each in uncleaned if each in known],
            }
            is_in_step = sync.get("released", True) and len(values["recorded"]) == len(uncleaned)
            if is_in_step and was_cancelled:
                values[SYNC] = {**sync, "cancelled": True}
            elif is_in_step:
                chunks = sum(each.chunk_count for each in live.values())
                values |= {"last_synced_at": now, "last_exported_at": now, "chunk_count": chunks}
            row.body = {**body, **values}
            return bool(is_in_step) and not was_cancelled

    def _edit(self, collection: Collection, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
        with self._database.write() as session:
            row = _row(session, collection)
            if row is not None:
                row.body = {**row.body, **change(dict(row.body))}

    # -- what is told ---------------------------------------------------------------------------------------

    def open_work(self, collection: Collection, recorded: Collection_[str] = ()) -> OpenWork:
        """Of the ingests that have not ended, or whose outcome was not recorded yet."""
        with self._database.read() as session:
            tasks = [each for each in _uncleaned(session, collection) if each not in recorded]
            columns = (TaskFileRow.file_hash, TaskFileRow.state, TaskFileRow.error, TaskFileRow.generation)
            order = select(*columns).where(TaskFileRow.task_id.in_(tasks)).order_by(TaskFileRow.id)
            rows = {row[0]: (row[1], row[2], row[3]) for row in session.execute(order)} if tasks else {}
        return OpenWork(rows, tuple(tasks))

    def status(self, found: CloudObject) -> CollectionStatus:
        collection, body = collection_of(found), found.body
        work = self.open_work(collection, body.get("recorded") or ())
        job = self._last_sync(body)
        is_syncing = work.is_busy or (job is not None and not job.is_final)
        live = self._generations.of_dataset(*collection.place)
        errors = {**(body.get("errors") or {}), **(body.get("missing") or {})}
        hashes = {*live, *work.rows, *errors}
        files = {each: _file_status(live.get(each), work.rows.get(each), errors.get(each)) for each in hashes}
        failed = job is not None and job.state == "failed" and not is_syncing
        was_cancelled = (body.get(SYNC) or {}).get("cancelled") or (job is not None and job.state == "cancelled")
        cancelled = bool(was_cancelled) and not is_syncing
        otherwise = FileStatus("pending")
        if failed and job is not None:
            otherwise = FileStatus("error", error=job.error)
        elif cancelled:
            otherwise = FileStatus("cancelled", error="the sync was cancelled")
        files = {each: otherwise if status.state == "pending" else status for each, status in files.items()}
        return CollectionStatus(
            sync="cancelled" if cancelled else _sync_state(job, is_syncing=is_syncing),
            files=files,
            otherwise=otherwise,
            error=job.error if failed and job is not None else None,
            job=job,
            tasks=work.tasks,
        )

    def all(self, kind: str, project_id: str | None = None) -> list[CloudObject]:
        return self.objects.all(kind, Wanted(project_id=project_id))

    def _last_sync(self, body: Mapping[str, Any]) -> CloudJob | None:
        job_id = (body.get(SYNC) or {}).get("job_id")
        if job_id is None:
            return None
        with self._database.read() as session:
            row = session.get(CloudJobRow, job_id)
            return None if row is None else job_of(row)


def is_live(file: LiveFile | None) -> bool:
    return file is not None and file.generation is not None


def _uncleaned(session: Session, collection: Collection) -> list[str]:
    """Ids of the ingests of its dataset that have not ended, or not been cleaned up after."""
    namespace, project, dataset = collection.place
    is_its = (TaskRow.namespace == namespace, TaskRow.project == project, TaskRow.dataset == dataset)
    query = select(TaskRow.id).where(*is_its, TaskRow.kind == "ingest", TaskRow.cleaned_at.is_(None))
    return list(session.scalars(query))


def _still_told(before: Mapping[str, str], errors: Mapping[str, str], live: Mapping[str, LiveFile]) -> dict[str, str]:
    return {each: text for each, text in before.items() if each in live and not is_live(live[each])} | dict(errors)


def _file_status(
    live: LiveFile | None, row: tuple[str, str | None, str | None] | None, error: str | None
) -> FileStatus:
    chunks = live.chunk_count if live is not None else 0
    state, why = (row[0], row[1]) if row is not None else (None, None)
    if state is not None and state not in FINAL_STATES:
        return FileStatus("pending" if state == "queued" else "processing", chunks)
    if state == "failed" or (error is not None and state is None):
        return FileStatus("error", chunks, (why or error or "")[:MAX_ERROR_CHARS])
    if is_live(live):
        return FileStatus("completed", chunks)
    if state == "cancelled":
        return FileStatus("cancelled", 0, why)
    return FileStatus("pending")


def _sync_state(job: CloudJob | None, *, is_syncing: bool) -> SyncState:
    if is_syncing:
        return "syncing"
    if job is None:
        return "none"
    return "failed" if job.state == "failed" else "done"


def _row(session: Session, collection: Collection) -> CloudObjectRow | None:
    row = session.get(CloudObjectRow, (collection.id, collection.kind))
    return None if row is None or row.deleted_at is not None else row


def _new_job(kind: str, collection: Collection) -> NewJob:
    request = {"id": collection.id, "kind": collection.kind}
    return NewJob(new_id(kind), kind, collection.project_id, request, stage="ask", item_key=collection.id)


def _id_of(kind: str, dataset: str) -> str:
    """Undoes `database_name`, for ids of ours."""
    name = dataset if kind == "index" else dataset.removeprefix(f"{kind}_")
    return name.replace("_", "-")
