"""Objects that clients make, read and delete. Every method is one transaction."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from rag.errors import ConflictError, NotFoundError
from state.cloud.paging import Page, make_token, page_size, read_token
from state.cloud.tables import CloudObjectRow, is_same
from state.database import StateDatabase

IDS_PER_STATEMENT = 5_000


Order: TypeAlias = Literal["created_at", "-created_at", "name", "id"]
ORDERS: Mapping[Order, tuple[tuple[InstrumentedAttribute[Any], ...], bool]] = {
    "created_at": ((CloudObjectRow.created_at, CloudObjectRow.id), False),
    "-created_at": ((CloudObjectRow.created_at, CloudObjectRow.id), True),
    "name": ((CloudObjectRow.name, CloudObjectRow.id), False),
    "id": ((CloudObjectRow.id,), False),
}
"""Each ends with the id, so that no two objects stand at one place; the flag says that it falls."""
SHAPES: Mapping[Order, str] = {"created_at": "nt", "-created_at": "nt", "name": "tt", "id": "t"}
"""Of positions in tokens; see `read_token`."""


@dataclass(frozen=True, slots=True)
class CloudObject:
    id: str
    kind: str
    project_id: str
    body: dict[str, Any]
    created_at: float
    updated_at: float
    parent_id: str | None = None
    name: str | None = None
    ref: str | None = None
    unique_key: str | None = None
    deleted_at: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which objects of a kind. None does not narrow; `where` are conditions on columns of CloudObjectRow, and `query`
    says the same in values, so that a page token belongs to them."""

    project_id: str | None = None
    parent_id: str | None = None
    name: str | None = None
    ref: str | None = None
    with_deleted: bool = False
    where: tuple[ColumnElement[bool], ...] = ()
    query: Mapping[str, Any] | None = None

    def conditions(self, kind: str) -> list[ColumnElement[bool]]:
        row = CloudObjectRow
        found: list[ColumnElement[bool]] = [row.kind == kind, *self.where]
        if not self.with_deleted:
            found.append(row.deleted_at.is_(None))
        for column, value in (
            (row.project_id, self.project_id),
            (row.parent_id, self.parent_id),
            (row.name, self.name),
            (row.ref, self.ref),
        ):
            if value is not None:
                found.append(column == value)
        return found

    def stamp(self, kind: str) -> dict[str, Any]:
        plain = {"project_id": self.project_id, "parent_id": self.parent_id, "name": self.name, "ref": self.ref}
        return {"kind": kind, **plain, "with_deleted": self.with_deleted, **(self.query or {})}


EVERY = Wanted()
_COLUMNS = CloudObjectRow.__table__.c
_BY_ID = select(*_COLUMNS).where(_COLUMNS.id == bindparam("object_id"), _COLUMNS.kind == bindparam("object_kind"))


class CloudObjects:
    """`clock` gives seconds since the epoch."""

    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> float:
        return self._clock()

    # -- reading --------------------------------------------------------------------------------------------

    def get(self, kind: str, object_id: str, visible: str | None = None, *, with_deleted: bool = False) -> CloudObject:
        """By id.

        Args:
            visible: the one project that may be seen; None: all.

        Raises:
            NotFoundError: it does not exist, was deleted, or is another project's.
        """
        rows = self._database.rows(_BY_ID, {"object_id": object_id, "object_kind": kind})
        row = rows[0] if rows else None
        if row is None or (row.deleted_at is not None and not with_deleted) or visible not in (None, row.project_id):
            raise not_found(kind, object_id)
        return _object(row)

    def find(self, kind: str, unique_key: str) -> CloudObject | None:
        query = select(CloudObjectRow).where(CloudObjectRow.kind == kind, CloudObjectRow.unique_key == unique_key)
        with self._database.read() as session:
            row = session.scalar(query)
        return None if row is None else _object(row)

    def all(self, kind: str, wanted: Wanted = EVERY) -> list[CloudObject]:
        """In the order of creation."""
        with self._database.read() as session:
            rows = session.scalars(_ordered(select(CloudObjectRow).where(*wanted.conditions(kind))))
            return [_object(row) for row in rows]

    def by_ids(self, kind: str, ids: Iterable[str], visible: str | None = None) -> dict[str, CloudObject]:
        """Those that exist and are not deleted."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, CloudObject] = {}
        shown = Wanted(project_id=visible).conditions(kind)
        with self._database.read() as session:
            for start in range(0, len(wanted), IDS_PER_STATEMENT):
                some = CloudObjectRow.id.in_(wanted[start : start + IDS_PER_STATEMENT])
                found |= {row.id: _object(row) for row in session.scalars(select(CloudObjectRow).where(some, *shown))}
        return found

    def count(self, kind: str, wanted: Wanted = EVERY) -> int:
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(CloudObjectRow).where(*wanted.conditions(kind))) or 0

    def changed_at(self, kind: str, parent_id: str) -> float:
        """When one of a parent's objects was last made, changed or marked as deleted; 0 where there never was one."""
        newest = select(func.max(CloudObjectRow.updated_at)).where(
            CloudObjectRow.kind == kind, CloudObjectRow.parent_id == parent_id
        )
        with self._database.read() as session:
            return session.scalar(newest) or 0.0

    def page(
        self, kind: str, wanted: Wanted, token: str | None, size: int | None, order: Order = "created_at"
    ) -> Page[CloudObject]:
        """Raises InvalidInputError for a token of another query."""
        limit, stamp = page_size(size), {**wanted.stamp(kind), "order": order}
        columns, is_falling = ORDERS[order]
        after = read_token(token, stamp, SHAPES[order])
        shown, behind = wanted.conditions(kind), []
        if after is not None:
            behind = [tuple_(*columns) < tuple_(*after) if is_falling else tuple_(*columns) > tuple_(*after)]
        placed = [each.desc() if is_falling else each.asc() for each in columns]
        query = select(CloudObjectRow).where(*shown, *behind).order_by(*placed).limit(limit + 1)
        with self._database.read() as session:
            rows = list(session.scalars(query))
            total = session.scalar(select(func.count()).select_from(CloudObjectRow).where(*shown)) or 0
        more = len(rows) > limit
        last = [getattr(rows[limit - 1], each.key) for each in columns] if more else None
        next_token = make_token(last, stamp) if last else None
        return Page([_object(row) for row in rows[:limit]], next_token, total)

    # -- writing --------------------------------------------------------------------------------------------

    def insert(
        self,
        kind: str,
        object_id: str,
        *,
        project_id: str,
        body: Mapping[str, Any],
        parent_id: str | None = None,
        name: str | None = None,
        ref: str | None = None,
        unique_key: str | None = None,
    ) -> CloudObject:
        """Raises ConflictError when another object of the kind has the `unique_key`."""
        now = self._clock()
        row = CloudObjectRow(
            id=object_id,
            kind=kind,
            project_id=project_id,
            parent_id=parent_id,
            name=name,
            ref=ref,
            unique_key=unique_key,
            created_at=now,
            updated_at=now,
            body=dict(body),
        )
        with self._unique(kind, unique_key), self._database.write() as session:
            session.add(row)
        return _object(row)

    def change(
        self,
        kind: str,
        object_id: str,
        change: Callable[[CloudObject], Mapping[str, Any]],
        visible: str | None = None,
    ) -> CloudObject:
        """Replace columns by what `change` makes of the object, under the write lock.

        `updated_at` moves, unless all of them say what was there already.

        Raises:
            NotFoundError: as `get`.
            ConflictError: as `insert`.
        """
        with self._unique(kind, None), self._database.write() as session:
            row = session.get(CloudObjectRow, (object_id, kind))
            if row is None or row.deleted_at is not None or visible not in (None, row.project_id):
                raise not_found(kind, object_id)
            values = {
                key: value for key, value in change(_object(row)).items() if not is_same(getattr(row, key), value)
            }
            if not values:
                return _object(row)
            for key, value in values.items():
                setattr(row, key, value)
            row.updated_at = max(self._clock(), row.updated_at)
            session.flush()
            return _object(row)

    def edit_body(self, kind: str, object_id: str, **values: Any) -> CloudObject:
        """Set keys of the body and leave the others as they are now."""
        return self.change(kind, object_id, lambda found: {"body": {**found.body, **values}})

    def mark_deleted(self, kind: str, object_id: str) -> CloudObject:
        """Hide it, and give its unique key free."""
        now = self._clock()
        return self.change(kind, object_id, lambda _: {"deleted_at": now, "unique_key": None})

    def delete(self, kind: str, object_id: str) -> None:
        with self._database.write() as session:
            session.execute(delete(CloudObjectRow).where(CloudObjectRow.kind == kind, CloudObjectRow.id == object_id))

    def delete_of(self, kind: str, parent_id: str, ids: Sequence[str] | None = None) -> None:
        """All objects of a parent, or those of these ids."""
        is_its = (CloudObjectRow.kind == kind) & (CloudObjectRow.parent_id == parent_id)
        with self._database.write() as session:
            if ids is None:
                session.execute(delete(CloudObjectRow).where(is_its))
                return
            for start in range(0, len(ids), IDS_PER_STATEMENT):
                some = CloudObjectRow.id.in_(ids[start : start + IDS_PER_STATEMENT])
                session.execute(delete(CloudObjectRow).where(is_its, some))

    def mark_deleted_of(self, kind: str, parent_id: str) -> None:
        now, row = self._clock(), CloudObjectRow
        is_its = (row.kind == kind) & (row.parent_id == parent_id) & row.deleted_at.is_(None)
        with self._database.write() as session:
            session.execute(update(row).where(is_its).values(deleted_at=now, updated_at=now, unique_key=None))

    def write(self, work: Callable[[Session], None]) -> None:
        """Several changes in one transaction."""
        with self._database.write() as session:
            work(session)

    def _unique(self, kind: str, unique_key: str | None) -> "_Unique":
        return _Unique(kind, unique_key)


class _Unique:
    """Turns the database's refusal of a second unique key into a sentence."""

    def __init__(self, kind: str, unique_key: str | None) -> None:
        self._kind, self._key = kind, unique_key

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, IntegrityError):
            named = f" '{self._key.rpartition('/')[2][:100]}'" if self._key else " of this name"
            raise ConflictError(f"a {spoken(self._kind)}{named} exists already") from error


def not_found(kind: str, object_id: str) -> NotFoundError:
    return NotFoundError(f"{spoken(kind).capitalize()} {object_id[:100]!r} not found")


def spoken(kind: str) -> str:
    return kind.replace("_", " ")


def _ordered(query: Select[CloudObjectRow]) -> Select[CloudObjectRow]:
    return query.order_by(CloudObjectRow.created_at, CloudObjectRow.id)


def _object(row: CloudObjectRow | Row[Any]) -> CloudObject:
    return CloudObject(
        id=row.id,
        kind=row.kind,
        project_id=row.project_id,
        body=dict(row.body),
        created_at=row.created_at,
        updated_at=row.updated_at,
        parent_id=row.parent_id,
        name=row.name,
        ref=row.ref,
        unique_key=row.unique_key,
        deleted_at=row.deleted_at,
    )
