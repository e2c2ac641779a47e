"""How jobs end, and with them what gathers them. Each function is called within a transaction with the write lock."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from state.cloud.ids import new_id
from state.cloud.job_rows import FINAL, HOOK, OPEN, NewJob, row_of
from state.cloud.tables import CloudJobRow


def put(session: Session, row: CloudJobRow, values: Mapping[str, Any], now: float) -> None:
    """Change a job, and end what gathers it if that was its last."""
    for key, value in values.items():
        setattr(row, key, value)
    row.updated_at = now
    if row.state in FINAL:
        row.finished_at = now
        _have_told(session, row, now)
    session.flush()
    if row.state in FINAL:
        end_parent(session, row.parent_id, now)


def cancel(session: Session, row: CloudJobRow, now: float) -> None:
    if row.state in FINAL:
        return
    row.cancelled_at, row.updated_at = now, now
    if row.stage and row.state == "waiting":
        row.state, row.finished_at, row.error = "cancelled", now, "cancelled"
        _have_told(session, row, now)


def begin_parent(session: Session, item: CloudJobRow, now: float) -> None:
    """One of its items was taken in hand."""
    row = CloudJobRow
    begins = select(row.id).where(row.id == item.parent_id, row.state == "waiting", row.stage == "")
    if item.parent_id is not None and session.scalar(begins) is not None:
        session.execute(update(row).where(row.id == item.parent_id).values(state="running", started_at=now))


def end_parent(session: Session, parent_id: str | None, now: float) -> None:
    """One of its items has ended, or is gone."""
    if parent_id is None or _has_open_item(session, parent_id):  # of thousands of items, it is all but the last
        return
    parent = session.get(CloudJobRow, parent_id)
    if parent is not None and parent.state not in FINAL and not parent.stage:  # with a stage, its own worker ends it
        end_if_done(session, parent, now)


def end_if_done(session: Session, parent: CloudJobRow, now: float) -> None:
    """Its last item has ended: so has it. Only when every item that was tried failed has it failed."""
    row = CloudJobRow
    if _has_open_item(session, parent.id):
        return
    query = select(row.state, func.count()).where(row.parent_id == parent.id).group_by(row.state)
    counts: dict[str, int] = {each[0]: each[1] for each in session.execute(query)}
    failed, done = counts.get("failed", 0), counts.get("completed", 0) + counts.get("partial", 0)
    if parent.cancelled_at is not None or counts.keys() == {"cancelled"}:
        parent.state = "cancelled"
    elif failed and not done and not counts.get("skipped"):
        parent.state, parent.error = "failed", _why(session, parent, failed)
    else:
        parent.state = "completed"
    parent.finished_at = parent.updated_at = now


def _why(session: Session, parent: CloudJobRow, failed: int) -> str:
    if failed > 1:
        return f"all {failed} items failed; each of them says why"
    row = CloudJobRow
    error = session.scalar(select(row.error).where(row.parent_id == parent.id, row.state == "failed"))
    return f"no item succeeded: {error}"


def _has_open_item(session: Session, parent_id: str) -> bool:
    row = CloudJobRow
    an_open_one = select(row.id).where(row.parent_id == parent_id, row.state.in_(OPEN)).limit(1)
    return session.scalar(an_open_one) is not None


def _have_told(session: Session, row: CloudJobRow, now: float) -> None:
    """Whoever waits for the end of a job (`hooks` of its request) is told by a job of its own, made with that end."""
    if row.request.get("hooks"):
        about = {"kind": row.kind, "job_id": row.id}
        hook = NewJob(new_id(HOOK), HOOK, row.project_id, about, stage="ask", item_key=row.id)
        session.add(row_of(hook, None, 0, now))
