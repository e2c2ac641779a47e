"""The files of an index or a pipeline as it has taken them in: what is searched, and what is told of each hit.

Chunks know the SHA-256 of their file and nothing of its metadata: that is kept here alone, so that a change of it needs
no work on chunks, and a filter on it is a list of files that may be searched. Several members may share one content.

Every change gives the collection's row of kind `MARK` another `ref`: lists that are kept elsewhere are good until then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from state.cloud.ids import NAMESPACE, database_name, new_id
from state.cloud.objects import CloudObject, CloudObjects, Wanted, not_found
from state.cloud.tables import CloudObjectRow

KIND = "member"
MARK = "member_mark"
TOLD = "told"
"""Key of `extra` of a data source's file: its metadata are what a client said, not what the source says."""
IDS_PER_STATEMENT = 5_000


@dataclass(frozen=True, slots=True)
class Collection:
    """An index or a pipeline, and the LlamaFarm database and dataset of the same name behind it."""

    id: str
    kind: Literal["index", "pipeline"]
    project_id: str

    @property
    def database(self) -> str:
        return database_name(self.kind, self.id)

    @property
    def dataset(self) -> str:
        return self.database

    @property
    def place(self) -> tuple[str, str, str]:
        """Namespace, project, dataset."""
        return NAMESPACE, self.project_id, self.dataset


@dataclass(frozen=True, slots=True)
class Member:
    """
    Args:
        id: as clients name it in this collection: of a directory file, a file, or a document.
        file_id: of the uploaded file behind it; None for a document that came as text.
        metadata: as users see and filter it, all layers merged.
        extra: what else is to be remembered of it.
    """

    id: str
    file_hash: str
    name: str
    file_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0
    updated_at: float = 0.0


class Members:
    def __init__(self, objects: CloudObjects) -> None:
        self._objects = objects

    def all(self, collection: Collection) -> list[Member]:
        """In the order in which they were added."""
        return [_member(each) for each in self._objects.all(KIND, Wanted(parent_id=collection.id))]

    def of_hashes(self, collection: Collection, hashes: Iterable[str]) -> list[Member]:
        """The members with one of these contents, in the order in which they were added."""
        some = CloudObjectRow.ref.in_(list(hashes))
        return [_member(each) for each in self._objects.all(KIND, Wanted(parent_id=collection.id, where=(some,)))]

    def find(self, collection: Collection, any_id: str) -> Member | None:
        """By its own id, or by the id of the file behind it."""
        found = self._objects.by_ids(KIND, [_key(collection, any_id)])
        if found:
            return _member(next(iter(found.values())))
        return next((each for each in self.all(collection) if each.file_id == any_id), None)

    def update(self, collection: Collection, put: Sequence[Member] = (), remove: Sequence[str] = ()) -> None:
        """Add members or replace those of the same id, and take others away, in one transaction.

        Raises:
            NotFoundError: the collection was deleted; nothing was changed.
        """
        now = self._objects.now()

        def work(session: Session) -> None:
            _require(session, collection)
            before = _created(session, collection, [each.id for each in put])
            gone = [_key(collection, each) for each in (*remove, *before)]
            for start in range(0, len(gone), IDS_PER_STATEMENT):
                some = CloudObjectRow.id.in_(gone[start : start + IDS_PER_STATEMENT])
                session.execute(delete(CloudObjectRow).where(CloudObjectRow.kind == KIND, some))
            # A moment apart each, so that their order is the given one.
            rows = [
                _row(collection, each, before.get(each.id, now + number * 1e-6), now) for number, each in enumerate(put)
            ]
            if rows:
                session.execute(insert(CloudObjectRow), rows)
            mark(session, collection.id, collection.project_id)

        self._objects.write(work)

    def forget(self, collection: Collection) -> None:
        self._objects.delete_of(KIND, collection.id)
        self._objects.delete_of(MARK, collection.id)


def mark(session: Session, collection_id: str, project_id: str) -> None:
    """Members of it are changed by this transaction."""
    row = session.get(CloudObjectRow, (collection_id, MARK))
    if row is not None:
        row.ref = new_id()
        return
    made = CloudObjectRow(id=collection_id, kind=MARK, project_id=project_id, parent_id=collection_id, ref=new_id())
    made.created_at, made.updated_at, made.body = 0.0, 0.0, {}
    session.add(made)


def _require(session: Session, collection: Collection) -> None:
    row = CloudObjectRow
    is_it = (row.id == collection.id, row.kind == collection.kind, row.deleted_at.is_(None))
    if session.scalar(select(row.id).where(*is_it)) is None:
        raise not_found(collection.kind, collection.id)


def _created(session: Session, collection: Collection, ids: Sequence[str]) -> dict[str, float]:
    """Member id → when it was added, for those that are there."""
    keys = {_key(collection, each): each for each in ids}
    found: dict[str, float] = {}
    columns = select(CloudObjectRow.id, CloudObjectRow.created_at).where(CloudObjectRow.kind == KIND)
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        some = CloudObjectRow.id.in_(list(keys)[start : start + IDS_PER_STATEMENT])
        found |= {keys[key]: created for key, created in session.execute(columns.where(some))}
    return found


def _key(collection: Collection, member_id: str) -> str:
    return f"{collection.id}/{member_id}"[:100]


def _row(collection: Collection, member: Member, created_at: float, now: float) -> dict[str, Any]:
    body = {"id": member.id, "file_id": member.file_id, "metadata": dict(member.metadata), "extra": dict(member.extra)}
    return {
        "id": _key(collection, member.id),
        "kind": KIND,
        "project_id": collection.project_id,
        "parent_id": collection.id,
        "name": member.name,
        "ref": member.file_hash,
        "unique_key": None,
        "created_at": created_at,
        "updated_at": now,
        "deleted_at": None,
        "body": body,
    }


def _member(found: CloudObject) -> Member:
    body = found.body
    return Member(
        id=body["id"],
        file_hash=found.ref or "",
        name=found.name or "",
        file_id=body["file_id"],
        metadata=body["metadata"],
        extra=body["extra"],
        created_at=found.created_at,
        updated_at=found.updated_at,
    )
