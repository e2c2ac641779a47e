"""Walking along the indexes of agents' documents: by one field, or by a time of the record."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, exists, not_, or_, select, tuple_

from state.cloud.agent_documents import Place
from state.cloud.agent_orders import SORTED_LETTERS, Order, SortKey, ranks_of
from state.cloud.agent_query import ANY, RECORDS, VALUES, Condition, Filter
from state.cloud.agent_values import KINDS, path_key

ASKED = 1_000
"""So many documents on a walk are asked one by one whether they meet the filter."""

Position: TypeAlias = tuple[Any, ...]
"""The sort keys of an item and, last, its number."""
_HAS_KIND = select(
    *(
        exists(ANY).where(VALUES.c.place == bindparam("place"), VALUES.c.path == bindparam(each))
        for each in SORTED_LETTERS
    )
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Documents in an order that an index gives: by a time of the record, or by a field's values of one kind.

    Args:
        letter: of the kind, see `KINDS`; empty for a time of the record.
        rank: of the kind among the others.
    """

    field: str
    letter: str
    rank: int
    column: ColumnElement[Any]
    number: ColumnElement[int]
    base: tuple[ColumnElement[bool], ...]

    def begins_behind(self, after: Position | None) -> bool:
        return after is None or (bool(self.letter) and after[0] < self.rank)

    def holds(self, after: Position | None) -> bool:
        return after is not None and (not self.letter or after[0] == self.rank)

    @property
    def is_real(self) -> bool:
        return self.letter in ("n", "t")

    def keys(self, key: Any) -> Position:
        if not self.letter:
            return (key,)
        return (self.rank, key, "") if self.is_real else (self.rank, 0.0, key)

    def key(self, position: Position) -> Any:
        if not self.letter:
            return position[0]
        return position[1] if self.is_real else position[2]


class Walk:
    """Of the documents in a place that meet a filter."""

    def __init__(self, connection: Connection, place: Place, wanted: Filter) -> None:
        self._connection = connection
        self._place = place
        self._wanted = wanted

    def stretches(self, order: Order) -> Iterator[Stretch]:
        """Those that exist, in this order."""
        if order.column is not None:
            record = RECORDS.c
            yield Stretch("", "", 0, record[order.column], record.number, tuple(self._place.conditions))
            return
        row, place = VALUES.c, self._place.key
        paths = {each: path_key(order.field, each) for each in SORTED_LETTERS}
        known = dict(zip(paths, self._connection.execute(_HAS_KIND, {"place": place, **paths}).one(), strict=True))
        for kinds, rank in ranks_of(order.is_descending):
            letter = KINDS[kinds[0]]
            if known[letter]:
                column = row.real if letter in ("n", "t") else row.text
                base = (row.place == place, row.path == paths[letter], column.is_not(None))
                yield Stretch(order.field, letter, rank, column, row.number, base)

    def along(
        self, stretch: Stretch, after: Position | None, limit: int, *, is_descending: bool
    ) -> Sequence[Row[Any, Any]]:
        """(value, number) along a stretch; `after` is such a pair, or a value alone."""
        keys = [SortKey(stretch.column, is_descending), SortKey(stretch.number, is_descending)]
        query = select(stretch.column, stretch.number).where(*stretch.base)
        others: list[Condition] = []
        for each in self._wanted.conditions:
            if not (stretch.letter and each.is_about(stretch.field)):
                others.append(each)
                continue
            tests = [branch.test(VALUES.c) for branch in each.branches if stretch.letter in branch.letters]
            if not tests:
                return []
            query = query.where(or_(*tests))
        if after is not None:
            query = query.where(_beyond(keys, after) if len(after) > 1 else keys[0].behind(after[0]))
        if not stretch.letter:
            query = query.where(*self._wanted.on_record)
        query = query.order_by(*(each.ordered for each in keys))
        if not others and (not stretch.letter or not self._wanted.on_record):
            return self._rows(query.limit(limit))
        return self._asking(stretch, query, keys, others, limit)

    def _asking(
        self, stretch: Stretch, query: Select[Any], keys: Sequence[SortKey], others: Sequence[Condition], limit: int
    ) -> Sequence[Row[Any, Any]]:
        """The first ones of a walk that meet conditions on the rest of their documents."""
        number = stretch.number
        on_record = self._wanted.on_record if stretch.letter else ()
        holding = query.where(*(each.holds(number) for each in others))
        if on_record:
            holding = holding.where(exists(ANY).where(RECORDS.c.number == number, *on_record))
        edge = self._rows(query.offset(ASKED + limit).limit(1))
        if not edge:
            return self._rows(holding.limit(limit))
        found = self._rows(holding.where(not_(_beyond(keys, edge[0]))).limit(limit))
        if len(found) == limit:
            return found
        query = query.where(*(each.within(number) for each in others))
        if on_record:
            query = query.where(number.in_(select(RECORDS.c.number).where(*self._place.conditions, *on_record)))
        return self._rows(query.limit(limit))

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any, Any]]:
        return self._connection.execute(query).all()


def _beyond(keys: Sequence[SortKey], last: Sequence[Any]) -> ColumnElement[bool]:
    """What comes after a pair of keys that have one direction."""
    pair = tuple_(*(each.expression for each in keys))
    return pair < tuple(last) if keys[0].is_descending else pair > tuple(last)
