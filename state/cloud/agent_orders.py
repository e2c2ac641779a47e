"""What agents' documents are sorted by: sort keys, and what comes behind a position among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, literal, or_

from rag.errors import InvalidInputError
from state.cloud.agent_query import Columns
from state.cloud.agent_values import ValueKind, path_keys

MAX_ORDERS = 5
MISSING_RANK = 4
SORTED_KINDS: tuple[tuple[ValueKind, ...], ...] = (("number",), ("time",), ("text", "long"), ("bool",))
"""Values of different kinds in one field: numbers first, then times, texts, truth values; all others come last."""
SORTED_LETTERS = "ntxb"


@dataclass(frozen=True, slots=True)
class Order:
    """By a field of the documents, or of the record (`column`)."""

    field: str
    is_descending: bool = False
    column: str | None = None

    @property
    def paths(self) -> list[str]:
        """Of values that can be sorted."""
        return path_keys(self.field, SORTED_LETTERS)

    @property
    def width(self) -> int:
        """How many sort keys it has."""
        return 3 if self.column is None else 1


RECORD_COLUMNS = {"id": "id", "created_at": "created_at", "updated_at": "updated_at"}
CONSTANT = ("deployment_name", "collection", "project_id")
"""The same for everything that one query finds."""


def read_orders(order_by: str | None, *, record: bool = True) -> tuple[Order, ...]:
    """`field, other desc`. Fields of documents may carry the prefix `data.`.

    Raises:
        InvalidInputError: it is written otherwise.
    """
    parts = [each.split() for each in (order_by or "").split(",") if each.strip()]
    if len(parts) > MAX_ORDERS:
        raise InvalidInputError(f"order_by names {len(parts)} fields; at most {MAX_ORDERS} are possible")
    found = [_order(words, record=record) for words in parts]
    return tuple(each for each in found if not (record and each.field in CONSTANT and each.column == ""))


def _order(words: list[str], *, record: bool) -> Order:
    direction = words[-1].lower() if len(words) > 1 else ""
    is_descending = direction == "desc"
    name = " ".join(words[:-1] if direction in ("asc", "desc") else words)
    if record and name in RECORD_COLUMNS:
        return Order(name, is_descending, RECORD_COLUMNS[name])
    if record and name in CONSTANT:
        return Order(name, is_descending, "")
    return Order(name.removeprefix("data."), is_descending)


@dataclass(frozen=True, slots=True)
class SortKey:
    expression: ColumnElement[Any]
    is_descending: bool = False

    @property
    def ordered(self) -> ColumnElement[Any]:
        return self.expression.desc() if self.is_descending else self.expression.asc()

    def behind(self, value: Any) -> ColumnElement[bool]:
        found: ColumnElement[bool] = self.expression < value if self.is_descending else self.expression > value
        return found


def value_keys(row: Columns, *, is_descending: bool) -> list[SortKey]:
    """By rank of the kind, number, text. Documents without the field come last in both directions."""
    ranks = ranks_of(is_descending)
    rank = case(*((row.kind.in_(kinds), place) for kinds, place in ranks), else_=MISSING_RANK)
    real = case((row.kind.in_(("number", "time")), row.real), else_=literal(0.0))
    text = case((row.kind.in_(("text", "long", "bool")), row.text), else_="")
    return [SortKey(rank), SortKey(real, is_descending), SortKey(text, is_descending)]


def ranks_of(is_descending: bool) -> list[tuple[tuple[ValueKind, ...], int]]:
    kinds = SORTED_KINDS[::-1] if is_descending else SORTED_KINDS
    return [(each, rank) for rank, each in enumerate(kinds)]


def behind(keys: Sequence[SortKey], position: Sequence[Any]) -> ColumnElement[bool]:
    """What comes after a position, by all keys together."""
    found: list[ColumnElement[bool]] = []
    for place, key in enumerate(keys):
        same = [each.expression == value for each, value in zip(keys[:place], position[:place], strict=True)]
        found.append(and_(*same, key.behind(position[place])))
    return or_(*found)
