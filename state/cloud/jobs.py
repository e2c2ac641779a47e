"""Jobs of the LlamaCloud side: making, claiming, ending and finding them. Every method is one transaction.

A lease is owned, as a file's is (state/tasks.py): who lost it changes nothing and is told so (False). Final states
never change. A job that gathers others ends with the last of them, in the same transaction.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from rag.errors import NotFoundError
from state.cloud.job_ends import begin_parent, cancel, end_if_done, end_parent, put
from state.cloud.job_rows import (
    FINAL,
    HOOK,
    OPEN,
    STAGES,
    CloudJob,
    JobFilter,
    JobStage,
    JobState,
    NewJob,
    job_of,
    row_of,
)
from state.cloud.paging import Page, make_token, page_size, read_token
from state.cloud.tables import CloudJobRow
from state.database import StateDatabase

__all__ = [
    "FINAL",
    "HOOK",
    "OPEN",
    "STAGES",
    "CloudJob",
    "CloudJobs",
    "JobFilter",
    "JobStage",
    "JobState",
    "NewJob",
    "job_of",
    "row_of",
]

MAX_CRASHES = 2
NO_LEASE = {"lease_owner": None, "lease_until": None}


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
                end_if_done(session, row, now)
            return job_of(row)

    def get(self, kind: str, job_id: str, visible: str | None = None) -> CloudJob:
        """Raises NotFoundError also for a job of a project that may not be seen."""
        with self._database.read() as session:
            row = session.get(CloudJobRow, job_id)
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
        after, shown = read_token(token, stamp, "nt"), wanted.conditions(kind)
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
        due = (row.state == "waiting", row.stage == stage, row.not_before <= now)
        # Two walks along ix_cloud_job_due, one from either end: a sort of all that waits would be under the lock.
        urgency = select(row.priority).where(*due).order_by(row.priority.desc()).limit(1).correlate(None)
        urgent = select(row).where(*due, row.priority == urgency.scalar_subquery())
        query = urgent.order_by(row.created_at, row.position).limit(1)
        with self._database.read() as session:
            if session.scalar(select(row.id).where(*due).limit(1)) is None:
                return None
        with self._database.write() as session:
            found = session.scalar(query)
            if found is None:
                return None
            found.state, found.lease_owner, found.lease_until = "running", owner, now + self._lease_s
            found.started_at, found.updated_at = found.started_at or now, now
            begin_parent(session, found, now)
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
                cancel(session, each, now)
            session.flush()
            if not row.stage:
                end_if_done(session, row, now)
            end_parent(session, row.parent_id, now)
            return True

    def delete(self, job_id: str) -> None:
        """With what it gathers. A worker that has it in hand loses its lease; a parent ends if nothing is left."""
        row = CloudJobRow
        with self._database.write() as session:
            parent_id = session.scalar(select(row.parent_id).where(row.id == job_id))
            session.execute(delete(row).where(or_(row.id == job_id, row.parent_id == job_id)))
            end_parent(session, parent_id, self._clock())

    def set_priority(self, job_id: str, priority: int) -> None:
        with self._database.write() as session:
            session.execute(update(CloudJobRow).where(CloudJobRow.id == job_id).values(priority=priority))

    def try_failed_again(self, kind: str) -> int:
        """Jobs that must not be given up wait again; returns how many."""
        row, anew = CloudJobRow, {"attempts": 0, "crashes": 0, "finished_at": None, "updated_at": self._clock()}
        with self._database.write() as session:
            failed = update(row).where(row.kind == kind, row.state == "failed").values(state="waiting", **anew)
            result: Any = session.execute(failed)
            return int(result.rowcount)

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
                put(session, each, {**values, **NO_LEASE}, now)
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
            put(session, row, {**values, **NO_LEASE}, now)
            return row.cancelled_at is None


def _owned(session: Session, job: CloudJob) -> CloudJobRow | None:
    row = session.get(CloudJobRow, job.id)
    return row if row is not None and row.state == "running" and row.lease_owner == job.owner else None
