"""How many files of many collections are how far, counted by the database: what lists of collections tell.

It answers for those at rest: in step, with no failure to tell. Of the others each file has to be looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, literal, select
from sqlalchemy.orm import Session

from state.cloud.collections import SYNC, collection_of
from state.cloud.ids import NAMESPACE
from state.cloud.members import KIND
from state.cloud.objects import CloudObject
from state.cloud.tables import CloudJobRow, CloudObjectRow
from state.database import StateDatabase
from state.tables import FileRow, TaskRow

PER_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one collection at rest.

    Args:
        completed: members whose content can be found.
        chunks: of every such content, once.
    """

    total: int = 0
    completed: int = 0
    chunks: int = 0
    was_synced: bool = True


def tallies(database: StateDatabase, collections: Sequence[CloudObject]) -> dict[str, Tally]:
    """Id → tally, for those at rest. The collections are of one kind."""
    found: dict[str, Tally] = {}
    for start in range(0, len(collections), PER_STATEMENT):
        some = collections[start : start + PER_STATEMENT]
        with database.read() as session:
            resting = _at_rest(session, [each for each in some if not _has_trouble(each)])
            counted = _counted(session, resting)
        for each in resting:
            total, completed, chunks = counted.get(each.id, (0, 0, 0))
            found[each.id] = Tally(total, completed, chunks, was_synced=bool(_job_id(each)))
    return found


def _has_trouble(found: CloudObject) -> bool:
    body = found.body
    return bool(body.get("errors") or body.get("missing") or (body.get(SYNC) or {}).get("cancelled"))


def _job_id(found: CloudObject) -> str | None:
    job_id: str | None = (found.body.get(SYNC) or {}).get("job_id")
    return job_id


def _at_rest(session: Session, collections: Sequence[CloudObject]) -> list[CloudObject]:
    """Those whose last sync ended well, and that have no ingest that is under way or not recorded."""
    jobs = [job_id for each in collections if (job_id := _job_id(each))]
    query = select(CloudJobRow.id, CloudJobRow.state).where(CloudJobRow.id.in_(jobs))
    states = {row[0]: row[1] for row in session.execute(query)}
    ingests = _ingests(session, {collection_of(each).place for each in collections})
    resting = []
    for each in collections:
        job_id, recorded = _job_id(each), each.body.get("recorded") or ()
        has_ended = job_id is None or states.get(job_id) == "completed"
        if has_ended and ingests.get(collection_of(each).place, set()) <= set(recorded):
            resting.append(each)
    return resting


def _ingests(session: Session, places: Iterable[tuple[str, str, str]]) -> Mapping[tuple[str, str, str], set[str]]:
    """Place → its ingests that are not cleaned up."""
    wanted, found = set(places), dict[tuple[str, str, str], set[str]]()
    is_open = (TaskRow.namespace == NAMESPACE, TaskRow.kind == "ingest", TaskRow.cleaned_at.is_(None))
    is_theirs = TaskRow.project.in_({project for _, project, _ in wanted})
    query = select(TaskRow.namespace, TaskRow.project, TaskRow.dataset, TaskRow.id).where(*is_open, is_theirs)
    for namespace, project, dataset, task_id in session.execute(query):
        if (place := (namespace, project, dataset)) in wanted:
            found.setdefault(place, set()).add(task_id)
    return found


def _counted(session: Session, collections: Sequence[CloudObject]) -> dict[str, tuple[int, int, int]]:
    """Id → members, those that can be found, their chunks. The collections are of one kind."""
    if not collections:
        return {}
    member, file = CloudObjectRow, FileRow
    contents = (
        select(member.parent_id, member.project_id, member.ref, func.count().label("members"))
        .where(member.kind == KIND, member.parent_id.in_([each.id for each in collections]))
        .group_by(member.parent_id, member.project_id, member.ref)
        .subquery()
    )
    is_live = and_(
        file.namespace == NAMESPACE,
        file.project == contents.c.project_id,
        file.dataset == _dataset(contents.c.parent_id, collections[0].kind),
        file.file_hash == contents.c.ref,
        file.live_generation.is_not(None),
    )
    found = case((file.id.is_not(None), contents.c.members), else_=0)
    sums = [func.sum(each) for each in (contents.c.members, found, func.coalesce(file.chunk_count, 0))]
    query = select(contents.c.parent_id, *sums).outerjoin_from(contents, file, is_live).group_by(contents.c.parent_id)
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in session.execute(query)}


def _dataset(object_id: ColumnElement[str | None], kind: str) -> ColumnElement[str]:
    """`database_name` in SQL."""
    name = func.replace(func.lower(object_id), "-", "_")
    return case((func.substr(name, 1, 4) == "idx_", name), else_=literal(f"{kind}_").concat(name))
