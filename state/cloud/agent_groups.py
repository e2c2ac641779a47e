"""Groups of agents' documents by the values of fields: strict equality, so that 1 and "1" and true differ.

A field that a document lacks counts as null. The oldest group comes first unless another order is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, literal, select
from sqlalchemy.orm import Session, aliased

from rag.errors import InvalidInputError
from state.cloud.agent_query import MISSING_RANK, SORTED_KINDS, Order, SortKey, behind, ranks_of
from state.cloud.agent_values import KINDS, path_keys
from state.cloud.tables import AgentDataRow, AgentValueRow

MAX_GROUP_FIELDS = 10
EVERY_LETTER = "".join(dict.fromkeys(KINDS.values()))


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

    def first(
        self, session: Session, where: Sequence[ColumnElement[bool]], after: tuple[Any, ...] | None, limit: int
    ) -> list[Found]:
        """The first groups behind a position; `where` says which documents count."""
        groups = self._groups(where)
        keys = self._keys(groups)
        query = select(groups.c.first, groups.c.size, *(each.expression for each in keys))
        if after is not None:
            query = query.where(behind(keys, after))
        rows = session.execute(query.order_by(*(each.ordered for each in keys)).limit(limit)).all()
        return [Found(row[0], row[1], tuple(row[2:])) for row in rows]

    def _groups(self, where: Sequence[ColumnElement[bool]]) -> Subquery:
        row = AgentDataRow
        source: Any = row.__table__
        columns: list[ColumnElement[Any]] = []
        for place, field in enumerate(self.fields):
            value = aliased(AgentValueRow)
            is_it = and_(value.number == row.number, func.coalesce(value.path, "").in_(path_keys(field, EVERY_LETTER)))
            source = source.outerjoin(value, is_it)
            is_null = func.coalesce(value.kind, "null") == "null"
            columns += [
                case((is_null, "null"), else_=value.kind).label(f"kind_{place}"),
                value.real.label(f"real_{place}"),
                value.text.label(f"text_{place}"),
            ]
        counts = [func.min(row.number).label("first"), func.count().label("size")]
        query = select(*columns, *counts).select_from(source).where(*where)
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
