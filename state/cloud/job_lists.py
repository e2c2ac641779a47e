"""The newest jobs of a kind, and what many jobs gather: one query each, however many there are."""

from collections.abc import Sequence

from sqlalchemy import select

from state.cloud.job_rows import CloudJob, JobFilter, job_of
from state.cloud.tables import CloudJobRow
from state.database import StateDatabase

PER_STATEMENT = 500


class JobLists:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def newest(self, kind: str, wanted: JobFilter, *, limit: int, skip: int = 0) -> list[CloudJob]:
        """The last `limit` of them, less as many as are skipped; oldest first."""
        row = CloudJobRow
        query = select(row).where(*wanted.conditions(kind)).order_by(row.created_at.desc(), row.id.desc())
        with self._database.read() as session:
            rows = session.scalars(query.limit(limit).offset(skip))
            return [job_of(each) for each in rows][::-1]

    def items_of(self, parent_ids: Sequence[str]) -> dict[str, list[CloudJob]]:
        """Parent → what it gathers, in its order."""
        found: dict[str, list[CloudJob]] = {each: [] for each in parent_ids}
        row = CloudJobRow
        with self._database.read() as session:
            for start in range(0, len(parent_ids), PER_STATEMENT):
                some = parent_ids[start : start + PER_STATEMENT]
                query = select(row).where(row.parent_id.in_(some)).order_by(row.parent_id, row.position)
                for each in session.scalars(query):
                    found[str(each.parent_id)].append(job_of(each))
        return found
