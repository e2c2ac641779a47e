"""Groups of agents' documents by the values of fields: strict equality, so that 1 and "1" and true differ.

A field that a document lacks counts as null. The oldest group comes first unless another order is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Select,
    String,
    Subquery,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.elements import KeyedColumnElement

from rag.errors import InvalidInputError
from state.cloud.agent_orders import MISSING_RANK, SORTED_KINDS, Order, SortKey, behind, ranks_of
from state.cloud.agent_query import RECORDS, VALUES
from state.cloud.agent_search import Finding
from state.cloud.agent_values import EXACT_FLOAT, KINDS, path_key, path_keys

MAX_GROUP_FIELDS = 10
EVERY_LETTER = "".join(dict.fromkeys(KINDS.values()))
VALUE_LETTERS = EVERY_LETTER.replace(KINDS["null"], "")


@dataclass(frozen=True, slots=True)
class Found:
    """`first` is the number of its oldest document; None for the one group of an empty place."""

    first: int | None
    count: int
    position: tuple[Any, ...]


class Grouping:
    """
    Args:
        fields: of the documents; none of them: one group of everything.
        orders: by these fields, or by `count`.

    Raises:
        InvalidInputError: an order names something else.
    """

    def __init__(self, fields: Sequence[str], orders: Sequence[Order]) -> None:
        self.fields = tuple(dict.fromkeys(fields))
        if len(self.fields) > MAX_GROUP_FIELDS:
            raise InvalidInputError(
                f"group_by names {len(self.fields)} fields; at most {MAX_GROUP_FIELDS} are possible"
            )
        for each in orders:
            if each.field not in (*self.fields, "count"):
                known = ", ".join(repr(name[:100]) for name in (*self.fields, "count"))
                raise InvalidInputError(f"order_by {each.field[:100]!r}: groups are ordered by {known}")
        self.orders = tuple(orders)

    @property
    def shape(self) -> str:
        return "".join("nnt" if each.field in self.fields else "n" for each in self.orders) + "n"

    def first(self, connection: Connection, finding: Finding, after: tuple[Any, ...] | None, limit: int) -> list[Found]:
        """The first groups of what is found, behind a position."""
        groups = self._of_one(connection, finding) if len(self.fields) == 1 else self._of_all(finding)
        keys = self._keys(groups)
        query = select(groups.c.first, groups.c.size, *(each.expression for each in keys))
        if after is not None:
            query = query.where(behind(keys, after))
        rows = connection.execute(query.order_by(*(each.ordered for each in keys)).limit(limit)).all()
        return [Found(row[0], row[1], tuple(row[2:])) for row in rows]

    def _of_one(self, connection: Connection, finding: Finding) -> Subquery:
        """By one field: along the index of its values. What is left are the documents without one."""
        row, field = VALUES.c, self.fields[0]
        base = [row.place == finding.place.key, *finding.among(row.number)]
        paths = {letter: path_key(field, letter) for letter in VALUE_LETTERS}
        sizes = select(row.path, func.count()).where(row.path.in_(paths.values()), *base).group_by(row.path)
        count_of = {each.path: each[1] for each in connection.execute(sizes)}
        parts: list[Select[Any]] = []
        for letter, path in paths.items():
            if path in count_of:
                ways = _ways(letter, is_sorted=any(each.field == field for each in self.orders))
                parts += [_counted(letter, by, row.path == path, *base, *which) for by, which in ways]
        if parts and sum(count_of.values()) == finding.count():
            return union_all(*parts).subquery()
        without = finding.lacking(field, VALUE_LETTERS)
        nulls = (
            select(
                literal("null", String).label("kind_0"),
                cast(null(), Float).label("real_0"),
                cast(null(), String).label("text_0"),
                func.min(RECORDS.c.number).label("first"),
                func.count().label("size"),
            )
            .where(*without.where())
            .having(func.count() > 0)
        )
        return union_all(*parts, nulls).subquery()

    def _of_all(self, finding: Finding) -> Subquery:
        """By any number of fields: each document is read with its values."""
        row = RECORDS.c
        source: FromClause = RECORDS
        columns: list[ColumnElement[Any]] = []
        for place, field in enumerate(self.fields):
            value = VALUES.alias()
            is_it = and_(
                value.c.number == row.number, func.coalesce(value.c.path, "").in_(path_keys(field, EVERY_LETTER))
            )
            source = source.outerjoin(value, is_it)
            is_null = func.coalesce(value.c.kind, "null") == "null"
            columns += [
                case((is_null, "null"), else_=value.c.kind).label(f"kind_{place}"),
                value.c.real.label(f"real_{place}"),
                value.c.text.label(f"text_{place}"),
            ]
        counts = [func.min(row.number).label("first"), func.count().label("size")]
        query = select(*columns, *counts).select_from(source).where(*finding.where())
        return query.group_by(*columns).subquery() if columns else query.subquery()

    def _keys(self, groups: Subquery) -> list[SortKey]:
        keys: list[SortKey] = []
        for order in self.orders:
            if order.field not in self.fields:
                keys.append(SortKey(groups.c.size, order.is_descending))
                continue
            place = self.fields.index(order.field)
            kind, real, text = (groups.c[f"{part}_{place}"] for part in ("kind", "real", "text"))
            rank = case(*((kind.in_(kinds), at) for kinds, at in ranks_of(order.is_descending)), else_=MISSING_RANK)
            sorted_texts = [each for kinds in SORTED_KINDS[1:] for each in kinds]
            keys += [
                SortKey(rank),
                SortKey(case((kind.in_(("number", "time")), real), else_=literal(0.0)), order.is_descending),
                SortKey(case((kind.in_(sorted_texts), text), else_=""), order.is_descending),
            ]
        return [*keys, SortKey(groups.c.first)]


def _ways(
    letter: str, *, is_sorted: bool
) -> list[tuple[Sequence[KeyedColumnElement[Any]], Sequence[ColumnElement[bool]]]]:
    """(columns that equal values of a kind have in common, which values): together all of that kind.

    No index has both columns. Integers that no float holds need them; so do times, if they are to be sorted.
    """
    row = VALUES.c
    if letter == KINDS["time"] and is_sorted:
        return [([row.text, row.real], [])]
    if letter != KINDS["number"]:
        return [([row.text], [])]
    is_exact = and_(row.real > -EXACT_FLOAT, row.real < EXACT_FLOAT)
    is_large = or_(row.real <= -EXACT_FLOAT, row.real >= EXACT_FLOAT)
    return [([row.real], [is_exact]), ([row.real, row.text], [is_large])]


def _counted(letter: str, by: Sequence[KeyedColumnElement[Any]], *where: ColumnElement[bool]) -> Select[Any]:
    kind = next(each for each, its_letter in KINDS.items() if its_letter == letter)
    names = {each.name for each in by}
    real, text = (VALUES.c[each] if each in names else None for each in ("real", "text"))
    return (
        select(
            literal(kind, String).label("kind_0"),
            (cast(null(), Float) if real is None else real).label("real_0"),
            (cast(null(), String) if text is None else text).label("text_0"),
            func.min(VALUES.c.number).label("first"),
            func.count().label("size"),
        )
        .where(*where)
        .group_by(*by)
    )
