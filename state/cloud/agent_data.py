"""Agents' JSON documents: kept as they were sent, found by their values.

Every method is one transaction, but deletion by query, which takes several.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import delete, insert, select, update

from state.cloud.agent_documents import (
    AgentItem,
    Place,
    columns_of,
    documents_at,
    item_of,
    items_at,
    row_of,
    write_values,
)
from state.cloud.agent_groups import Found, Grouping
from state.cloud.agent_orders import Order
from state.cloud.agent_query import RECORDS, VALUES, read_filter
from state.cloud.agent_search import Finding
from state.cloud.agent_values import look_up, values_of
from state.cloud.agent_walk import Position
from state.cloud.paging import make_token, read_token
from state.database import StateDatabase

DELETED_AT_ONCE = 5_000
"""Each step writes most pages of the index again: fewer steps are faster, but others that write wait for one."""
MAX_OFFSET = 1_000
OLDEST_FIRST = Order("created_at", column="created_at")


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
        with self._database.locked() as connection:
            now = round(self._clock(), 6)
            items = [AgentItem(str(uuid.uuid4()), place, text, now, now) for text, _ in ready]
            returned = insert(RECORDS).returning(RECORDS.c.number, sort_by_parameter_order=True)
            numbers = connection.scalars(returned, [columns_of(each) for each in items])
            write_values(connection, place, zip(numbers, (values for _, values in ready), strict=True))
            return items

    def get(self, item_id: str, visible: str | None = None) -> AgentItem:
        """Raises NotFoundError also for an item of a project that may not be seen."""
        with self._database.read() as session:
            return item_of(row_of(session.connection(), item_id, visible))

    def replace(self, item_id: str, data: Mapping[str, Any], visible: str | None = None) -> AgentItem:
        text, values = orjson.dumps(data).decode(), values_of(data)
        with self._database.locked() as connection:
            row = row_of(connection, item_id, visible)
            before = item_of(row)
            now = max(round(self._clock(), 6), round(before.updated_at + 1e-6, 6))
            is_it = RECORDS.c.number == row.number
            connection.execute(update(RECORDS).where(is_it).values(data=text, updated_at=now))
            connection.execute(delete(VALUES).where(VALUES.c.number == row.number))
            write_values(connection, before.place, [(row.number, values)])
            return AgentItem(before.id, before.place, text, before.created_at, now)

    def delete(self, item_id: str, visible: str | None = None) -> None:
        with self._database.locked() as connection:
            row = row_of(connection, item_id, visible)
            connection.execute(delete(RECORDS).where(RECORDS.c.number == row.number))

    # -- many -----------------------------------------------------------------------------------------------

    def search(self, query: Search) -> ItemPage:
        """A page of what meets the filter, in the order asked for.

        Raises:
            InvalidInputError: a filter cannot be used like that, or the token is another query's.
        """
        wanted = read_filter(query.place.key, query.filters)
        orders = query.orders or (OLDEST_FIRST,)
        after = position_of(query.token, query.stamp(), _shape(orders))
        offset = 0 if after is not None else query.offset
        with self._database.read() as session:
            connection = session.connection()
            finding = Finding.begin(connection, query.place, wanted)
            places = finding.first(orders, after, query.limit + offset + 1)[offset:]
            total = finding.count() if query.with_total else None
            items = items_at(connection, [int(each[-1]) for each in places[: query.limit]])
        more = len(places) > query.limit
        token = make_token(places[query.limit - 1], query.stamp()) if more else None
        return ItemPage(items, token, total)

    def delete_matching(self, place: Place, filters: Mapping[str, Mapping[str, Any]]) -> int:
        """How many were deleted: those that met the filter when it began, in several transactions."""
        wanted, row = read_filter(place.key, filters), RECORDS.c
        with self._database.read() as session:
            connection = session.connection()
            numbers = list(connection.scalars(select(row.number).where(*Finding(connection, place, wanted).where())))
        numbers.sort()
        deleted = 0
        for start in range(0, len(numbers), DELETED_AT_ONCE):
            with self._database.locked() as connection:
                still = Finding(connection, place, wanted, numbers[start : start + DELETED_AT_ONCE]).where()
                chosen = list(connection.scalars(select(row.number).where(*place.conditions, *still)))
                connection.execute(delete(VALUES).where(VALUES.c.number.in_(chosen)))
                connection.execute(delete(RECORDS).where(row.number.in_(chosen)))
            deleted += len(chosen)
        return deleted

    def aggregate(self, query: Search, grouping: Grouping) -> GroupPage:
        """A page of groups of what meets the filter. See state/cloud/agent_groups.py."""
        stamp = query.stamp(group_by=grouping.fields)
        after = position_of(query.token, stamp, grouping.shape)
        offset = 0 if after is not None else query.offset
        wanted = read_filter(query.place.key, query.filters)
        with self._database.read() as session:
            connection = session.connection()
            finding = Finding.begin(connection, query.place, wanted)
            groups = grouping.first(connection, finding, after, query.limit + offset + 1)[offset:]
            shown = groups[: query.limit]
            items = documents_at(connection, [each.first for each in shown if each.first is not None])
        token = make_token(groups[query.limit - 1].position, stamp) if len(groups) > query.limit else None
        return GroupPage([_group(each, items, grouping.fields) for each in shown], token)


def _group(found: Found, documents: Mapping[int, Mapping[str, Any]], fields: Sequence[str]) -> Group:
    first = documents.get(found.first or 0)
    return Group({each: look_up(first or {}, each) for each in fields}, found.count, first)


def _shape(orders: Sequence[Order]) -> str:
    """Of a position: `n` for each number in it, `t` for each text."""
    parts = {None: "nnt", "id": "t"}
    return "".join(parts.get(each.column, "n") for each in orders) + "n"


def position_of(token: str | None, stamp: Mapping[str, Any], shape: str) -> Position | None:
    """Raises InvalidInputError for a token of another query."""
    return read_token(token, stamp, shape)
