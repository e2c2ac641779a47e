"""Agents' JSON documents: kept as they were sent, found by their values.

Every method is one transaction, but deletion by query, which takes several.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, insert, not_, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from rag.errors import NotFoundError
from state.cloud.agent_groups import Found, Grouping
from state.cloud.agent_query import (
    MISSING_RANK,
    Condition,
    Filter,
    Order,
    SortKey,
    behind,
    ranks_of,
    read_filter,
    value_keys,
)
from state.cloud.agent_values import KINDS, Value, ValueKind, look_up, values_of
from state.cloud.paging import make_token, read_token
from state.cloud.tables import AgentDataRow, AgentValueRow
from state.database import StateDatabase

FEW = 600
"""A condition that no more documents meet is looked up first, and what it finds is sorted."""
ROWS_PER_STATEMENT = 5_000
DELETED_AT_ONCE = 2_000
MAX_OFFSET = 1_000
LARGEST = 2**63
"""What an integer of a position stays below, so that every database takes it."""


@dataclass(frozen=True, slots=True)
class Place:
    project_id: str
    deployment: str
    collection: str

    @property
    def key(self) -> str:
        return hashlib.sha256(orjson.dumps([self.project_id, self.deployment, self.collection])).hexdigest()

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        row = AgentDataRow
        return [
            row.project_id == self.project_id,
            row.deployment == self.deployment,
            row.collection == self.collection,
        ]


@dataclass(frozen=True, slots=True)
class AgentItem:
    """`data` is JSON text."""

    id: str
    place: Place
    data: str
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class Search:
    """
    Args:
        filters: field → operator → operand, see `read_filter`.
        offset: how many are left out before the first page; a page token knows where it goes on.
    """

    place: Place
    filters: Mapping[str, Mapping[str, Any]]
    orders: tuple[Order, ...] = ()
    offset: int = 0
    token: str | None = None
    limit: int = 10
    with_total: bool = False

    def stamp(self, **more: Any) -> dict[str, Any]:
        orders = [(each.field, each.is_descending, each.column) for each in self.orders]
        return {"place": self.place.key, "filters": self.filters, "orders": orders, **more}


@dataclass(frozen=True, slots=True)
class ItemPage:
    items: Sequence[AgentItem]
    next_token: str | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """`key` is field → value; `first` is the oldest document, None in an empty place."""

    key: Mapping[str, Any]
    count: int
    first: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class GroupPage:
    items: Sequence[Group]
    next_token: str | None


Position = tuple[Any, ...]


class AgentDataStore:
    """`clock` gives seconds since the epoch."""

    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    # -- one item -------------------------------------------------------------------------------------------

    def create(self, place: Place, data: Mapping[str, Any]) -> AgentItem:
        return self.create_all(place, [data])[0]

    def create_all(self, place: Place, documents: Sequence[Mapping[str, Any]]) -> list[AgentItem]:
        """All of them or none.

        Raises:
            InvalidInputError: one is too deep, or holds too much.
        """
        ready = [(orjson.dumps(each).decode(), values_of(each)) for each in documents]
        if not ready:
            return []
        with self._database.write() as session:
            now = round(self._clock(), 6)
            items = [AgentItem(str(uuid.uuid4()), place, text, now, now) for text, _ in ready]
            returned = insert(AgentDataRow).returning(AgentDataRow.number, sort_by_parameter_order=True)
            numbers = session.scalars(returned, [_columns(each) for each in items])
            _index(session, place, zip(numbers, (values for _, values in ready), strict=True))
            return items

    def get(self, item_id: str, visible: str | None = None) -> AgentItem:
        """Raises NotFoundError also for an item of a project that may not be seen."""
        with self._database.read() as session:
            return _item(_row(session, item_id, visible))

    def replace(self, item_id: str, data: Mapping[str, Any], visible: str | None = None) -> AgentItem:
        text, values = orjson.dumps(data).decode(), values_of(data)
        with self._database.write() as session:
            row = _row(session, item_id, visible)
            row.data = text
            row.updated_at = max(round(self._clock(), 6), round(row.updated_at + 1e-6, 6))
            session.execute(delete(AgentValueRow).where(AgentValueRow.number == row.number))
            _index(session, _item(row).place, [(row.number, values)])
            return _item(row)

    def delete(self, item_id: str, visible: str | None = None) -> None:
        with self._database.write() as session:
            row = _row(session, item_id, visible)
            session.execute(delete(AgentDataRow).where(AgentDataRow.number == row.number))

    # -- many -----------------------------------------------------------------------------------------------

    def search(self, query: Search) -> ItemPage:
        """A page of what meets the filter, in the order asked for.

        Raises:
            InvalidInputError: a filter cannot be used like that, or the token is another query's.
        """
        found = read_filter(query.place.key, query.filters)
        after = position_of(query.token, query.stamp(), _shape(query.orders))
        offset = 0 if after is not None else query.offset
        wanted = query.limit + offset + 1
        with self._database.read() as session:
            finding = _Finding(session, query.place, found)
            places = finding.first(query.orders, after, wanted)[offset:]
            total = finding.count() if query.with_total else None
            items = _items(session, [int(each[-1]) for each in places[: query.limit]])
        more = len(places) > query.limit
        token = make_token(places[query.limit - 1], query.stamp()) if more else None
        return ItemPage(items, token, total)

    def delete_matching(self, place: Place, filters: Mapping[str, Mapping[str, Any]]) -> int:
        """How many were deleted: those that met the filter when it began, in several transactions."""
        found, row = read_filter(place.key, filters), AgentDataRow
        with self._database.read() as session:
            newest = session.scalar(select(func.max(row.number)).where(*place.conditions))
        deleted = 0
        where = [*place.conditions, *found.on_record, *found.within(row.number.expression), row.number <= (newest or 0)]
        while True:
            with self._database.write() as session:
                numbers = list(session.scalars(select(row.number).where(*where).limit(DELETED_AT_ONCE)))
                session.execute(delete(AgentValueRow).where(AgentValueRow.number.in_(numbers)))
                session.execute(delete(row).where(row.number.in_(numbers)))
            deleted += len(numbers)
            if len(numbers) < DELETED_AT_ONCE:
                return deleted

    def aggregate(self, query: Search, grouping: Grouping) -> GroupPage:
        """A page of groups of what meets the filter. See state/cloud/agent_groups.py."""
        stamp = query.stamp(group_by=grouping.fields)
        after = position_of(query.token, stamp, grouping.shape)
        offset = 0 if after is not None else query.offset
        found = read_filter(query.place.key, query.filters)
        where = [*query.place.conditions, *found.on_record, *found.within(AgentDataRow.number.expression)]
        with self._database.read() as session:
            groups = grouping.first(session, where, after, query.limit + offset + 1)[offset:]
            shown = groups[: query.limit]
            items = _documents(session, [each.first for each in shown if each.first is not None])
        token = make_token(groups[query.limit - 1].position, stamp) if len(groups) > query.limit else None
        return GroupPage([_group(each, items, grouping.fields) for each in shown], token)


class _Finding:
    """One search within a session. A position is the sort keys of an item and, last, its number."""

    def __init__(self, session: Session, place: Place, wanted: Filter) -> None:
        self._session = session
        self._place = place
        self._wanted = wanted
        self._few = self._first_few()

    def first(self, orders: Sequence[Order], after: Position | None, limit: int) -> list[Position]:
        """Positions of the first items behind `after`."""
        if self._few is None and len(orders) == 1 and orders[0].column is None:
            return self._along_values(orders[0], after, limit)
        return self._sorted(orders, after, limit)

    def count(self) -> int:
        row = AgentDataRow
        query = select(func.count()).select_from(row)
        if self._few is not None:
            query = query.where(*self._base(), *self._wanted.holds(row.number.expression))
        else:
            query = query.where(*self._base(), *self._wanted.within(row.number.expression))
        return self._session.scalar(query) or 0

    def _first_few(self) -> list[int] | None:
        """The documents that meet the most telling condition; None when each is met by many."""
        best: list[int] | None = None
        for condition in self._wanted.conditions:
            numbers = None if condition.is_negated else self._few_of(condition)
            if numbers is not None and (best is None or len(numbers) < len(best)):
                best = numbers
            if best is not None and len(best) < ROWS_PER_STATEMENT // 100:
                break
        return best

    def _few_of(self, condition: Condition) -> list[int] | None:
        numbers = list(self._session.scalars(condition.matches().limit(FEW + 1)))
        return None if len(numbers) > FEW else sorted(set(numbers))

    def _base(self) -> list[ColumnElement[bool]]:
        if self._few is not None:  # these lie in the place: that alone is to choose the way to them
            return [AgentDataRow.number.in_(self._few), *self._wanted.on_record]
        return [*self._place.conditions, *self._wanted.on_record]

    def _sorted(self, orders: Sequence[Order], after: Position | None, limit: int) -> list[Position]:
        row = AgentDataRow
        query: Select[Any] = select()
        keys: list[SortKey] = []
        source: Any = row
        for order in orders:
            if order.column is not None:
                keys.append(SortKey(getattr(row, order.column), order.is_descending))
                continue
            value = aliased(AgentValueRow)
            source = source.__table__ if source is row else source
            source = source.outerjoin(
                value, and_(value.number == row.number, func.coalesce(value.path, "").in_(order.paths))
            )
            keys += value_keys(value, is_descending=order.is_descending)
        if not orders:
            keys.append(SortKey(row.created_at.expression))
        keys.append(SortKey(row.number.expression, bool(orders) and orders[-1].is_descending))
        query = select(*(each.expression for each in keys)).select_from(source)
        query = query.where(*self._base(), *self._wanted.holds(row.number.expression))
        if after is not None:
            query = query.where(behind(keys, after))
        return [
            tuple(each) for each in self._session.execute(query.order_by(*(key.ordered for key in keys)).limit(limit))
        ]

    def _along_values(self, order: Order, after: Position | None, limit: int) -> list[Position]:
        """Walk the index of a field: one kind of value after the other."""
        found: list[Position] = []
        for kinds, rank in ranks_of(order.is_descending):
            if len(found) < limit and (after is None or after[0] <= rank):
                behind_it = after if after is not None and after[0] == rank else None
                found += self._of_kinds(order, kinds, rank, behind_it, limit - len(found))
        if len(found) < limit:
            behind_it = after if after is not None and after[0] == MISSING_RANK else None
            found += self._without(order, behind_it, limit - len(found))
        return found

    def _of_kinds(
        self, order: Order, kinds: tuple[ValueKind, ...], rank: int, after: Position | None, limit: int
    ) -> list[Position]:
        row, letter = AgentValueRow, KINDS[kinds[0]]
        is_real = kinds[0] in ("number", "time")
        column: Any = row.real if is_real else row.text
        keys = [SortKey(column, order.is_descending), SortKey(row.number.expression, order.is_descending)]
        query = select(column, row.number).where(
            row.place == self._place.key, row.path == order.path(kinds), column.is_not(None)
        )
        for condition in self._wanted.conditions:
            if not condition.is_about(order.field):
                query = query.where(condition.holds(row.number.expression))
            elif tests := [branch.test(row) for branch in condition.branches if letter in branch.letters]:
                query = query.where(or_(*tests))
            else:
                return []
        if after is not None:
            pair, last = tuple_(column, row.number), tuple_(after[1 if is_real else 2], after[3])
            query = query.where(pair < last if order.is_descending else pair > last)
        if self._wanted.on_record:
            record = exists().where(AgentDataRow.number == row.number, *self._wanted.on_record)
            query = query.where(record)
        rows = self._session.execute(query.order_by(*(key.ordered for key in keys)).limit(limit))
        return [(rank, value if is_real else 0.0, "" if is_real else value, number) for value, number in rows]

    def _without(self, order: Order, after: Position | None, limit: int) -> list[Position]:
        row, value = AgentDataRow, aliased(AgentValueRow)
        has_one = exists().where(value.number == row.number, func.coalesce(value.path, "").in_(order.paths))
        key = SortKey(row.number.expression, order.is_descending)
        query = select(row.number).where(*self._base(), not_(has_one), *self._wanted.holds(row.number.expression))
        if after is not None:
            query = query.where(key.behind(after[3]))
        numbers = self._session.scalars(query.order_by(key.ordered).limit(limit))
        return [(MISSING_RANK, 0.0, "", number) for number in numbers]


def _columns(item: AgentItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "project_id": item.place.project_id,
        "deployment": item.place.deployment,
        "collection": item.place.collection,
        "data": item.data,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }


def _index(session: Session, place: Place, documents: Iterable[tuple[int, Sequence[tuple[str, Value]]]]) -> None:
    key = place.key
    rows = [
        {"number": number, "place": key, "path": path, "kind": each.kind, "text": each.text, "real": each.real}
        for number, values in documents
        for path, each in values
    ]
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        session.execute(insert(AgentValueRow), rows[start : start + ROWS_PER_STATEMENT])


def _row(session: Session, item_id: str, visible: str | None) -> AgentDataRow:
    known = None
    if len(item_id) == 36 and item_id.isascii() and item_id.isprintable():
        known = session.scalar(select(AgentDataRow).where(AgentDataRow.id == item_id))
    if known is None or visible not in (None, known.project_id):
        raise NotFoundError(f"Agent data {item_id[:100]!r} not found")
    return known


def _items(session: Session, numbers: Sequence[int]) -> list[AgentItem]:
    """In this order; what was deleted meanwhile is left out."""
    query = select(AgentDataRow).where(AgentDataRow.number.in_(numbers))
    found = {row.number: _item(row) for row in session.scalars(query)}
    return [found[each] for each in numbers if each in found]


def _documents(session: Session, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    query = select(AgentDataRow.number, AgentDataRow.data).where(AgentDataRow.number.in_(numbers))
    return {number: orjson.loads(data) for number, data in session.execute(query)}


def _group(found: Found, documents: Mapping[int, Mapping[str, Any]], fields: Sequence[str]) -> Group:
    first = documents.get(found.first or 0)
    return Group({each: look_up(first or {}, each) for each in fields}, found.count, first)


def _item(row: AgentDataRow) -> AgentItem:
    place = Place(row.project_id, row.deployment, row.collection)
    return AgentItem(row.id, place, row.data, row.created_at, row.updated_at)


def _shape(orders: Sequence[Order]) -> str:
    """Of a position: `n` for each number in it, `t` for each text."""
    parts = {None: "nnt", "id": "t"}
    return "".join(parts.get(each.column, "n") for each in orders) + ("n" if orders else "nn")


def position_of(token: str | None, stamp: Mapping[str, Any], shape: str) -> Position | None:
    """Raises InvalidInputError for a token of another query."""
    return read_token(token, stamp, shape)
