"""Jobs of the LlamaCloud side: making, claiming, ending and finding them. Every method is one transaction.

A lease is owned, as a file's is (state/tasks.py): who lost it changes nothing and is told so (False). Final states
never change. A job that gathers others ends with the last of them, in the same transaction.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from rag.errors import NotFoundError
from state.cloud.paging import Page, make_token, page_size, read_token
from state.cloud.tables import CloudJobRow
from state.database import StateDatabase

JobStage: TypeAlias = Literal["parse", "embed", "ask"]
JobState: TypeAlias = Literal["waiting", "running", "completed", "partial", "failed", "skipped", "cancelled"]
STAGES: tuple[JobStage, ...] = get_args(JobStage)
OPEN: tuple[JobState, ...] = ("waiting", "running")
FINAL: tuple[JobState, ...] = ("completed", "partial", "failed", "skipped", "cancelled")
MAX_CRASHES = 2
NO_LEASE = {"lease_owner": None, "lease_until": None}


@dataclass(frozen=True, slots=True)
class NewJob:
    """`stage` is the first step; empty for a job that gathers others."""

    id: str
    kind: str
    project_id: str
    request: Mapping[str, Any]
    stage: str = ""
    name: str | None = None
    item_key: str | None = None
    params_hash: str | None = None
    priority: int = 0
    progress: Mapping[str, Any] = field(default_factory=dict)
    state: JobState = "waiting"
    error: str | None = None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CloudJob:
    id: str
    kind: str
    project_id: str
    state: JobState
    stage: str
    request: dict[str, Any]
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    created_at: float
    updated_at: float
    started_at: float | None
    finished_at: float | None
    cancelled_at: float | None
    parent_id: str | None
    position: int
    name: str | None
    item_key: str | None
    params_hash: str | None
    priority: int
    attempts: int
    crashes: int
    owner: str

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs of a kind; None does not narrow."""

    project_id: str | None = None
    parent_id: str | None = None
    states: tuple[JobState, ...] | None = None
    ids: tuple[str, ...] | None = None
    item_key: str | None = None
    params_hash: str | None = None
    created_from: float | None = None
    created_to: float | None = None

    def conditions(self, kind: str) -> list[ColumnElement[bool]]:
        row = CloudJobRow
        found: list[ColumnElement[bool]] = [row.kind == kind]
        for column, value in (
            (row.project_id, self.project_id),
            (row.parent_id, self.parent_id),
            (row.item_key, self.item_key),
            (row.params_hash, self.params_hash),
        ):
            if value is not None:
                found.append(column == value)
        if self.states is not None:
            found.append(row.state.in_(self.states))
        if self.ids is not None:
            found.append(row.id.in_(self.ids[:1000]))
        if self.created_from is not None:
            found.append(row.created_at >= self.created_from)
        if self.created_to is not None:
            found.append(row.created_at <= self.created_to)
        return found

    def stamp(self, kind: str) -> dict[str, Any]:
        return {"kind": kind, **{name: getattr(self, name) for name in self.__slots__}}


class CloudJobs:
    """`clock` gives seconds since the epoch."""

    def __init__(self, database: StateDatabase, *, lease_s: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._lease_s = lease_s
        self._clock = clock

    # -- making and reading ---------------------------------------------------------------------------------

    def create(self, job: NewJob, items: Sequence[NewJob] = ()) -> CloudJob:
        """One that gathers others is made with all of them, or not at all."""
        now = self._clock()
        with self._database.write() as session:
            row = row_of(job, None, 0, now)
            session.add(row)
            session.add_all(row_of(each, job.id, position, now) for position, each in enumerate(items))
            session.flush()
            if not job.stage:
                _end_parent(session, row, now)
            return job_of(row)

    def get(self, kind: str, job_id: str, visible: str | None = None) -> CloudJob:
        """Raises NotFoundError also for a job of a project that may not be seen."""
        with self._database.read() as session:
            row = session.get(CloudJobRow, job_id[:101])
        if row is None or row.kind != kind or visible not in (None, row.project_id):
            raise NotFoundError(f"{kind.replace('_', ' ').capitalize()} job {job_id[:100]!r} not found")
        return job_of(row)

    def items(self, parent_id: str) -> list[CloudJob]:
        """What a job gathers, in its order."""
        query = select(CloudJobRow).where(CloudJobRow.parent_id == parent_id).order_by(CloudJobRow.position)
        with self._database.read() as session:
            return [job_of(row) for row in session.scalars(query)]

    def all(self, kind: str, wanted: JobFilter) -> list[CloudJob]:
        query = select(CloudJobRow).where(*wanted.conditions(kind)).order_by(CloudJobRow.created_at, CloudJobRow.id)
        with self._database.read() as session:
            return [job_of(row) for row in session.scalars(query)]

    def page(self, kind: str, wanted: JobFilter, token: str | None, size: int | None) -> Page[CloudJob]:
        """By cursor, in the order of creation; raises InvalidInputError for a token of another query."""
        limit, stamp = page_size(size), wanted.stamp(kind)
        after, shown = read_token(token, stamp, 2), wanted.conditions(kind)
        behind = [] if after is None else [tuple_(CloudJobRow.created_at, CloudJobRow.id) > tuple_(*after)]
        query = select(CloudJobRow).where(*shown, *behind).order_by(CloudJobRow.created_at, CloudJobRow.id)
        with self._database.read() as session:
            rows = list(session.scalars(query.limit(limit + 1)))
            total = session.scalar(select(func.count()).select_from(CloudJobRow).where(*shown)) or 0
        more = len(rows) > limit
        last = rows[limit - 1] if more else None
        next_token = make_token((last.created_at, last.id), stamp) if last else None
        return Page([job_of(row) for row in rows[:limit]], next_token, total)

    def slice(self, kind: str, wanted: JobFilter, *, limit: int, offset: int) -> tuple[list[CloudJob], int]:
        """By offset: items of a parent in their order, others by creation; and how many there are in all."""
        shown, row = wanted.conditions(kind), CloudJobRow
        order = (row.position,) if wanted.parent_id is not None else (row.created_at, row.id)
        with self._database.read() as session:
            rows = session.scalars(select(row).where(*shown).order_by(*order).limit(limit).offset(offset))
            found = [job_of(each) for each in rows]
            return found, session.scalar(select(func.count()).select_from(row).where(*shown)) or 0

    def counts(self, parent_ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """Parent → state → how many items are in it."""
        ids = list(parent_ids)
        query = select(CloudJobRow.parent_id, CloudJobRow.state, func.count()).where(CloudJobRow.parent_id.in_(ids))
        found: dict[str, dict[str, int]] = {each: {} for each in ids}
        with self._database.read() as session:
            for parent_id, state, count in session.execute(query.group_by(CloudJobRow.parent_id, CloudJobRow.state)):
                found[str(parent_id)][state] = count
        return found

    def last_same(self, kind: str, item_key: str, params_hash: str, project_id: str) -> CloudJob | None:
        """The newest completed job that was given the same."""
        row = CloudJobRow
        is_same = (row.kind == kind, row.item_key == item_key, row.params_hash == params_hash)
        query = select(row).where(*is_same, row.project_id == project_id, row.state == "completed")
        with self._database.read() as session:
            found = session.scalar(query.order_by(row.finished_at.desc()).limit(1))
            return None if found is None else job_of(found)

    # -- the life of a job ----------------------------------------------------------------------------------

    def claim(self, stage: str, owner: str) -> CloudJob | None:
        """Lease the job of this stage that is next: by priority, then by age."""
        now, row = self._clock(), CloudJobRow
        query = (
            select(row)
            .where(row.state == "waiting", row.stage == stage, row.not_before <= now)
            .order_by(row.priority.desc(), row.created_at, row.position)
            .limit(1)
        )
        with self._database.read() as session:
            if session.scalar(query) is None:
                return None
        with self._database.write() as session:
            found = session.scalar(query)
            if found is None:
                return None
            found.state, found.lease_owner, found.lease_until = "running", owner, now + self._lease_s
            found.started_at, found.updated_at = found.started_at or now, now
            _touch_parent(session, found, now)
            return job_of(found)

    def renew(self, leases: Collection[tuple[str, str]]) -> None:
        """Prolong the leases (job id, owner) that are still theirs."""
        until = self._clock() + self._lease_s
        with self._database.write() as session:
            for job_id, owner in leases:
                is_its = (CloudJobRow.id == job_id, CloudJobRow.lease_owner == owner)
                session.execute(update(CloudJobRow).where(*is_its).values(lease_until=until))

    def is_wanted(self, job: CloudJob) -> bool:
        """Whether the lease is still its holder's and nobody asked for the job's end."""
        with self._database.read() as session:
            row = _owned(session, job)
            return row is not None and row.cancelled_at is None

    def report(self, job: CloudJob, **progress: Any) -> bool:
        """Set keys of `progress`; False when the job is not wanted any more."""
        with self._database.write() as session:
            row = _owned(session, job)
            if row is None or row.cancelled_at is not None:
                return False
            row.progress = {**row.progress, **progress}
            row.updated_at = self._clock()
            return True

    def go_on(self, job: CloudJob, stage: str, **progress: Any) -> bool:
        """The step is done; the next one is another worker's."""
        kept = {**job.progress, **progress}
        values = {"state": "waiting", "stage": stage, "attempts": 0, "crashes": 0, "progress": kept}
        return self._release(job, values)

    def finish(self, job: CloudJob, state: JobState, *, result: Mapping[str, Any] | None, error: str | None) -> bool:
        """End it. One whose end was asked for is cancelled, whatever it found."""
        return self._release(job, {"state": state, "result": None if result is None else dict(result), "error": error})

    def retry_later(self, job: CloudJob, *, delay_s: float, error: str) -> bool:
        values = {"state": "waiting", "attempts": job.attempts + 1, "not_before": self._clock() + delay_s}
        return self._release(job, {**values, "error": error})

    def cancel(self, kind: str, job_id: str) -> bool:
        """End a job and what it gathers: at once where it waits, as soon as its worker finds out where it runs.

        False when it had ended.
        """
        now = self._clock()
        with self._database.write() as session:
            row = session.get(CloudJobRow, job_id)
            if row is None or row.kind != kind or row.state in FINAL:
                return False
            items = session.scalars(select(CloudJobRow).where(CloudJobRow.parent_id == job_id)).all()
            for each in (row, *items):
                _cancel(each, now)
            session.flush()
            if not row.stage:
                _end_parent(session, row, now)
            return True

    def delete(self, job_id: str) -> None:
        """With what it gathers. A worker that has it in hand loses its lease."""
        with self._database.write() as session:
            session.execute(delete(CloudJobRow).where(or_(CloudJobRow.id == job_id, CloudJobRow.parent_id == job_id)))

    def set_priority(self, job_id: str, priority: int) -> None:
        with self._database.write() as session:
            session.execute(update(CloudJobRow).where(CloudJobRow.id == job_id).values(priority=priority))

    # -- what was lost --------------------------------------------------------------------------------------

    def take_over_expired(self) -> int:
        """Jobs whose worker went silent wait again; one that was in hand at two deaths is given up."""
        now, row = self._clock(), CloudJobRow
        query = select(row).where(row.state == "running", row.stage != "", row.lease_until < now)
        with self._database.read() as session:
            if session.scalar(query.limit(1)) is None:
                return 0
        with self._database.write() as session:
            rows = session.scalars(query).all()
            for each in rows:
                values: dict[str, Any] = {"state": "waiting", "crashes": each.crashes + 1}
                if each.crashes + 1 >= MAX_CRASHES:
                    error = (
                        f"the work ended {MAX_CRASHES} worker processes and is not tried again; see the worker's log"
                    )
                    values |= {"state": "failed", "error": error}
                _put(session, each, {**values, **NO_LEASE}, now)
            return len(rows)

    def due(self) -> dict[str, int]:
        """Stage → how many jobs wait to be claimed now."""
        row = CloudJobRow
        query = select(row.stage, func.count()).where(row.state == "waiting", row.not_before <= self._clock())
        with self._database.read() as session:
            return {stage: count for stage, count in session.execute(query.group_by(row.stage)) if stage}

    def _release(self, job: CloudJob, values: dict[str, Any]) -> bool:
        now = self._clock()
        with self._database.write() as session:
            row = _owned(session, job)
            if row is None:
                return False
            if row.cancelled_at is not None:
                values = {"state": "cancelled", "error": "cancelled"}
            _put(session, row, {**values, **NO_LEASE}, now)
            return row.cancelled_at is None


def _owned(session: Session, job: CloudJob) -> CloudJobRow | None:
    row = session.get(CloudJobRow, job.id)
    return row if row is not None and row.state == "running" and row.lease_owner == job.owner else None


def _put(session: Session, row: CloudJobRow, values: Mapping[str, Any], now: float) -> None:
    for key, value in values.items():
        setattr(row, key, value)
    row.updated_at = now
    if row.state in FINAL:
        row.finished_at = now
    session.flush()
    _touch_parent(session, row, now)


def _touch_parent(session: Session, item: CloudJobRow, now: float) -> None:
    if item.parent_id is None:
        return
    parent = session.get(CloudJobRow, item.parent_id)
    if parent is None or parent.state in FINAL or parent.stage:
        return
    parent.state, parent.started_at = "running", parent.started_at or now
    _end_parent(session, parent, now)


def _end_parent(session: Session, parent: CloudJobRow, now: float) -> None:
    """Its last item has ended: so has it. Only when every item that was tried failed has it failed."""
    row = CloudJobRow
    query = select(row.state, func.count()).where(row.parent_id == parent.id).group_by(row.state)
    counts: dict[str, int] = {row[0]: row[1] for row in session.execute(query)}
    if any(counts.get(state) for state in OPEN):
        return
    failed, done = counts.get("failed", 0), counts.get("completed", 0) + counts.get("partial", 0)
    if parent.cancelled_at is not None:
        parent.state = "cancelled"
    elif failed and not done and not counts.get("skipped"):
        parent.state, parent.error = "failed", f"all {failed} items failed; each of them says why"
    else:
        parent.state = "completed"
    parent.finished_at = parent.updated_at = now


def _cancel(row: CloudJobRow, now: float) -> None:
    if row.state in FINAL:
        return
    row.cancelled_at, row.updated_at = now, now
    if row.stage and row.state == "waiting":
        row.state, row.finished_at, row.error = "cancelled", now, "cancelled"


def row_of(job: NewJob, parent_id: str | None, position: int, now: float) -> CloudJobRow:
    return CloudJobRow(
        id=job.id,
        kind=job.kind,
        project_id=job.project_id,
        parent_id=parent_id,
        position=position,
        name=job.name,
        state=job.state,
        stage=job.stage,
        priority=job.priority,
        item_key=job.item_key,
        params_hash=job.params_hash,
        request=dict(job.request),
        progress=dict(job.progress),
        result=None if job.result is None else dict(job.result),
        error=job.error,
        created_at=now,
        updated_at=now,
        finished_at=now if job.state in FINAL else None,
    )


def job_of(row: CloudJobRow) -> CloudJob:
    return CloudJob(
        id=row.id,
        kind=row.kind,
        project_id=row.project_id,
        state=row.state,  # type: ignore[arg-type]  # written by this module alone
        stage=row.stage,
        request=dict(row.request),
        progress=dict(row.progress or {}),
        result=row.result,
        error=row.error,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancelled_at=row.cancelled_at,
        parent_id=row.parent_id,
        position=row.position,
        name=row.name,
        item_key=row.item_key,
        params_hash=row.params_hash,
        priority=row.priority,
        attempts=row.attempts,
        crashes=row.crashes,
        owner=row.lease_owner or "",
    )
