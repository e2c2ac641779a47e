"""Jobs of long ago are forgotten: those of which the results were to be fetched, not kept."""

from collections.abc import Sequence

from sqlalchemy import delete as delete_rows
from sqlalchemy import exists, or_, select
from sqlalchemy.orm import aliased

from state.cloud.tables import CloudJobRow
from state.database import StateDatabase

KINDS = (
    "batch",
    "batch_v2",
    "classify",
    "classify_run",
    "classify_v2",
    "drop",
    "extract",
    "extract_schema",
    "parse",
    "split",
    "sync",
    "webhook",
)
"""Results of agents and of sheets are not among them: they stay until somebody deletes them."""
NEWEST_STAYS = ("sync",)
"""Of each `item_key`: it says how the collection is."""
IDS_PER_STATEMENT = 1_000


def forget_ended(database: StateDatabase, before: float) -> int:
    """Delete the jobs that ended before a time, in seconds since the epoch, with what they gather; returns how many."""
    row = CloudJobRow
    newer = aliased(row)
    is_followed = exists().where(
        newer.kind == row.kind, newer.item_key == row.item_key, newer.created_at > row.created_at
    )
    may_go = or_(row.kind.not_in(NEWEST_STAYS), is_followed)
    is_doomed = (row.kind.in_(KINDS), row.parent_id.is_(None), row.finished_at < before, may_go)
    with database.read() as session:
        ids = list(session.scalars(select(row.id).where(*is_doomed)))
    for some in _parts(ids):
        with database.write() as session:
            session.execute(
                delete_rows(row)
                .where(or_(row.id.in_(some), row.parent_id.in_(some)))
                .execution_options(synchronize_session=False)
            )
    return len(ids)


def known_jobs(database: StateDatabase, ids: Sequence[str]) -> set[str]:
    """Those of the ids that are of jobs."""
    found: set[str] = set()
    with database.read() as session:
        for some in _parts(ids):
            found.update(session.scalars(select(CloudJobRow.id).where(CloudJobRow.id.in_(some))))
    return found


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + IDS_PER_STATEMENT] for start in range(0, len(ids), IDS_PER_STATEMENT)]
