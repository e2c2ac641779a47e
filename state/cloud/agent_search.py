"""Finding agents' documents: the first ones in an order that meet a filter, and how many there are.

Where few documents meet a condition, these are looked up and sorted. Otherwise the index of the first field of the
order is walked, and each document on the way is asked whether it meets the filter. Where too few of the first ones do,
the sets of documents that meet the conditions are made, and the walk goes on as long as it takes.

Further fields of the order matter only among documents that are equal in the first: of the values that the walk passes,
the last is the only one that may have more documents than are wanted, and these are found by a search of their own.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    func,
    select,
    true,
)

from state.cloud.agent_documents import Place
from state.cloud.agent_orders import (
    MISSING_RANK,
    SORTED_LETTERS,
    Order,
    SortKey,
    behind,
    value_keys,
)
from state.cloud.agent_query import RECORDS, VALUES, Branch, Condition, Filter
from state.cloud.agent_values import path_keys
from state.cloud.agent_walk import Position, Stretch, Walk

FEW = 600
"""A condition that no more documents meet is looked up first, and what it finds is sorted."""

MISSING: Position = (MISSING_RANK, 0.0, "")


class Finding:
    """One search on a connection; `few` are the only documents that can meet the filter, where that is known."""

    def __init__(self, connection: Connection, place: Place, wanted: Filter, few: Sequence[int] | None = None) -> None:
        self._connection = connection
        self.place = place
        self._wanted = wanted
        self._few = few
        self._walk = Walk(connection, place, wanted)

    @classmethod
    def begin(cls, connection: Connection, place: Place, wanted: Filter) -> "Finding":
        """Looks up the documents that meet the most telling condition, unless each is met by many."""
        best: list[int] | None = None
        rest = wanted
        for condition in wanted.conditions:
            if condition.is_negated:
                continue
            numbers = list(connection.scalars(condition.matches().limit(FEW + 1)))
            if len(numbers) <= FEW and (best is None or len(numbers) < len(best)):
                best, rest = sorted(set(numbers)), wanted.without(condition)
            if best is not None and len(best) < FEW // 10:
                break
        return cls(connection, place, rest, best)

    # -- the first ones ---------------------------------------------------------------------------------------

    def first(self, orders: Sequence[Order], after: Position | None, limit: int) -> list[Position]:
        """Positions of the first items behind `after`, by at least one order."""
        order = orders[0]
        if self._few is not None or order.column == "id":
            return self._sorted(orders, after, limit, is_descending=orders[-1].is_descending)
        found: list[Position] = []
        for stretch in self._walk.stretches(order):
            if len(found) < limit and (stretch.begins_behind(after) or stretch.holds(after)):
                inside = after if stretch.holds(after) else None
                found += self._along(stretch, orders, inside, limit - len(found))
        if len(found) < limit and order.column is None:
            inside = after if after is not None and after[0] == MISSING_RANK else None
            found += self._without(orders, inside, limit - len(found))
        return found

    def _along(self, stretch: Stretch, orders: Sequence[Order], after: Position | None, limit: int) -> list[Position]:
        """Items of a stretch, by all orders."""
        order = orders[0]
        key = None if after is None else stretch.key(after)
        if len(orders) == 1:
            edge = None if after is None else (key, after[-1])
            rows = self._walk.along(stretch, edge, limit, is_descending=order.is_descending)
            return [(*stretch.keys(value), number) for value, number in rows]
        found: list[Position] = []
        if after is not None:
            found = self._equal(stretch, key, orders[1:], after[order.width :], limit)
        asked = limit - len(found)
        if asked <= 0:
            return found
        rows = self._walk.along(
            stretch, None if after is None else (key,), asked + 1, is_descending=order.is_descending
        )
        is_all = len(rows) <= asked
        numbers = [number for value, number in rows if is_all or value != rows[-1][0]]
        found += Finding(self._connection, self.place, Filter(), numbers).first(orders, None, asked)
        if not is_all and len(found) < limit:
            found += self._equal(stretch, rows[-1][0], orders[1:], None, limit - len(found))
        return found

    def _equal(
        self, stretch: Stretch, key: Any, orders: Sequence[Order], after: Position | None, limit: int
    ) -> list[Position]:
        """Items of one value on a stretch, by the orders that are left."""
        is_it = stretch.column == key
        numbers = list(self._connection.scalars(select(stretch.number).where(*stretch.base, is_it).limit(FEW + 1)))
        few, column, wanted = numbers if len(numbers) <= FEW else None, stretch.column.name, self._wanted
        if few is None and stretch.letter:
            test = Branch(stretch.letter, lambda row: row[column] == key, True)
            wanted = wanted.and_also(Condition(self.place.key, stretch.field, (test,)))
        elif few is None:
            wanted = replace(wanted, on_record=(*wanted.on_record, is_it))
        finding = Finding(self._connection, self.place, wanted, few)
        return [(*stretch.keys(key), *each) for each in finding.first(orders, after, limit)]

    def _without(self, orders: Sequence[Order], after: Position | None, limit: int) -> list[Position]:
        """Items that lack the first field."""
        order, rest = orders[0], orders[1:]
        if self._is_in_all(order.field):
            return []
        finding = self.lacking(order.field, SORTED_LETTERS)
        after = None if after is None else after[order.width :]
        if rest:
            found = finding.first(rest, after, limit)
        else:
            found = finding._sorted((), after, limit, is_descending=order.is_descending)
        return [(*MISSING, *each) for each in found]

    def lacking(self, field: str, letters: str) -> "Finding":
        """What is found of documents that have no value of these kinds there."""
        missing = Condition(self.place.key, field, (Branch(letters, lambda row: true(), False),), is_negated=True)
        return Finding(self._connection, self.place, self._wanted.and_also(missing), self._few)

    def _is_in_all(self, field: str) -> bool:
        row, paths = VALUES.c, path_keys(field, SORTED_LETTERS)
        having = self._number(select(func.count()).where(row.place == self.place.key, row.path.in_(paths)))
        return having == self._in_place()

    def _sorted(
        self, orders: Sequence[Order], after: Position | None, limit: int, *, is_descending: bool
    ) -> list[Position]:
        """All of what meets the filter is sorted. `is_descending` is about the numbers of equal ones."""
        row = RECORDS.c
        keys: list[SortKey] = []
        source: FromClause = RECORDS
        for order in orders:
            if order.column is not None:
                keys.append(SortKey(row[order.column], order.is_descending))
                continue
            value = VALUES.alias()
            # The path is hidden from the planner: the few values of this document are read, not all of that path.
            is_it = and_(value.c.number == row.number, func.coalesce(value.c.path, "").in_(order.paths))
            source = source.outerjoin(value, is_it)
            keys += value_keys(value.c, is_descending=order.is_descending)
        keys.append(SortKey(row.number, is_descending))
        query = select(*(each.expression for each in keys)).select_from(source).where(*self.where())
        if after is not None:
            query = query.where(behind(keys, after))
        rows = self._connection.execute(query.order_by(*(key.ordered for key in keys)).limit(limit))
        return [tuple(each) for each in rows]

    # -- all of them ------------------------------------------------------------------------------------------

    def where(self) -> list[ColumnElement[bool]]:
        """What holds for the RECORDS that meet the filter."""
        number = RECORDS.c.number
        if self._few is not None:  # these lie in the place: that alone is to choose the way to them
            return [number.in_(self._few), *self._wanted.on_record, *self._wanted.holds(number)]
        return [*self.place.conditions, *self._wanted.on_record, *self._wanted.within(number)]

    def among(self, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """What holds for the numbers of those that meet the filter, in a query over the values in the place."""
        if self._few is not None or self._wanted.on_record:
            return [number.in_(select(RECORDS.c.number).where(*self.where()))]
        return self._wanted.within(number)

    def count(self) -> int:
        conditions = self._wanted.conditions
        lead = next((each for each in conditions if not each.is_negated), None)
        if self._few is not None or self._wanted.on_record or not conditions:
            return self._number(select(func.count()).select_from(RECORDS).where(*self.where()))
        if lead is None and len(conditions) == 1:
            return self._in_place() - self._meeting(conditions[0], ())
        if lead is None:
            return self._number(select(func.count()).select_from(RECORDS).where(*self.where()))
        return self._meeting(lead, [each for each in conditions if each is not lead])

    def _meeting(self, lead: Condition, others: Sequence[Condition]) -> int:
        """How many meet a condition, negation aside, and the others: on the index alone."""
        met = lead.matches().subquery()
        counted = func.count(met.c.number.distinct()) if lead.in_lists else func.count()
        query = select(counted).select_from(met).where(*(each.within(met.c.number) for each in others))
        return self._number(query)

    def _in_place(self) -> int:
        return self._number(select(func.count()).select_from(RECORDS).where(*self.place.conditions))

    def _number(self, query: Select[Any]) -> int:
        return self._connection.scalar(query) or 0
