"""Filters and orders over agents' documents, as conditions on the index of their values.

Every condition exists in two forms. `matches` is the set of documents that meet it: good where they are few. `holds`
asks about one document at a time: good where many meet it and only the first ones in some order are wanted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, not_, or_, select, union_all
from sqlalchemy.orm import aliased
from sqlalchemy.sql.selectable import CompoundSelect

from rag.errors import InvalidInputError
from state.cloud.agent_values import KINDS, NULL, Value, ValueKind, microseconds, path_keys, value_of
from state.cloud.tables import AgentDataRow, AgentValueRow

Operand: TypeAlias = str | int | float | bool | None
Operator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "includes", "excludes"]
RANGES: Mapping[str, str] = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__"}
RECORD_TIMES = ("created_at", "updated_at")
MAX_FIELDS = 50
MAX_LIST = 500
MAX_RANGE_CHARS = 200
"""Of a text that others are compared with: all of it lies in what the index keeps of long ones."""
MAX_ORDERS = 5
MISSING_RANK = 4
SORTED_KINDS: tuple[tuple[ValueKind, ...], ...] = (("number",), ("time",), ("text", "long"), ("bool",))
"""Values of different kinds in one field: numbers first, then times, texts, truth values; all others come last."""
SORTED_LETTERS = "ntxb"

Columns: TypeAlias = Any
"""AgentValueRow or an alias of it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to meet a condition.

    Args:
        letters: of the kinds that it is about, see `KINDS`.
        is_exact: the index leads to one entry for each document.
    """

    letters: str
    test: Callable[[Columns], ColumnElement[bool]]
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """On a field of the documents in one place."""

    place: str
    path: str
    branches: tuple[Branch, ...]
    in_lists: bool = False
    is_negated: bool = False

    def is_about(self, field: str) -> bool:
        """Whether a value of this field meets it or does not, whatever else is in the document."""
        return self.path == field and not self.is_negated and not self.in_lists

    def matches(self) -> Select[Any] | CompoundSelect[Any]:
        """Numbers of documents that meet it, negation aside; some stand there twice."""
        row = AgentValueRow
        parts = [
            select(row.number).where(row.place == self.place, row.path.in_(self._paths(branch)), branch.test(row))
            for branch in self.branches
        ]
        return parts[0] if len(parts) == 1 else union_all(*parts)

    def holds(self, number: ColumnElement[int]) -> ColumnElement[bool]:
        found = or_(*(self._holds(branch, number) for branch in self.branches))
        return not_(found) if self.is_negated else found

    def within(self, number: ColumnElement[int]) -> ColumnElement[bool]:
        chosen = number.in_(self.matches())
        return not_(chosen) if self.is_negated else chosen

    def _paths(self, branch: Branch) -> list[str]:
        return path_keys(self.path, branch.letters + (branch.letters.upper() if self.in_lists else ""))

    def _holds(self, branch: Branch, number: ColumnElement[int]) -> ColumnElement[bool]:
        row, paths = aliased(AgentValueRow), self._paths(branch)
        if branch.is_exact:
            at = [row.place == self.place, row.path.in_(paths)]
        else:
            # Hidden from the planner: the few values of this document are read, not all of that path.
            at = [func.coalesce(row.path, "").in_(paths)]
        return exists().where(row.number == number, *at, branch.test(row))


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions have to hold."""

    conditions: tuple[Condition, ...] = ()
    on_record: tuple[ColumnElement[bool], ...] = ()

    def holds(self, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
        return [each.holds(number) for each in self.conditions]

    def within(self, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """As `holds`, for a query over all documents."""
        return [each.within(number) for each in self.conditions]


def read_filter(place: str, filters: Mapping[str, Mapping[str, Any]]) -> Filter:
    """Field → operator → operand. An operand that is None is none; a list may hold it, for null.

    Raises:
        InvalidInputError: an operator cannot be used like that.
    """
    if len(filters) > MAX_FIELDS:
        raise InvalidInputError(f"filter: {len(filters)} fields; at most {MAX_FIELDS} can be filtered by at once")
    conditions: list[Condition] = []
    on_record: list[ColumnElement[bool]] = []
    for field, operations in filters.items():
        for operator, operand in operations.items():
            if operand is None:
                continue
            if field in RECORD_TIMES:
                on_record.append(_on_record(field, operator, operand))
            else:
                conditions.append(_condition(place, field, operator, operand))
    return Filter(tuple(conditions), tuple(on_record))


def _condition(place: str, field: str, operator: str, operand: Any) -> Condition:
    path, where = field, f"filter.{field[:100]}.{operator}"
    if operator in RANGES:
        return Condition(place, path, _range(operator, operand, where))
    is_list = operator in ("includes", "excludes")
    if is_list and len(operand) > MAX_LIST:
        raise InvalidInputError(f"{where}: {len(operand)} values; at most {MAX_LIST} can be asked for at once")
    branches = _equal([value_of(each) for each in (operand if is_list else [operand])])
    return Condition(place, path, branches, in_lists=is_list, is_negated=operator in ("ne", "excludes"))


def _equal(values: Sequence[Value]) -> tuple[Branch, ...]:
    found: dict[tuple[ValueKind, str], list[Any]] = {
        ("text", "text"): [each.text for each in values if each.kind == "text"],
        ("long", "text"): [each.text for each in values if each.kind == "long"],
        ("bool", "text"): [each.text for each in values if each.kind == "bool"],
        ("time", "real"): [each.real for each in values if each.kind == "time"],
        ("number", "text"): [each.text for each in values if each.kind == "number" and each.text is not None],
    }
    branches = [_among(kind, column, wanted) for (kind, column), wanted in found.items() if wanted]
    if reals := [each.real for each in values if each.kind == "number" and each.text is None]:
        branches.append(
            Branch("n", lambda row: and_(row.kind == "number", row.real.in_(reals), row.text.is_(None)), True)
        )
    if NULL in values:
        branches.append(Branch("v", lambda row: row.kind == "null", False))
    return tuple(branches) or (Branch("", lambda row: row.kind == "none of these", False),)


def _among(kind: ValueKind, column: str, values: Sequence[Any]) -> Branch:
    letter = KINDS[kind]
    return Branch(letter, lambda row: and_(row.kind == kind, getattr(row, column).in_(values)), True)


def _range(operator: str, operand: Any, where: str) -> tuple[Branch, ...]:
    method, value = RANGES[operator], value_of(operand)
    if value.kind == "bool":
        raise InvalidInputError(f"{where}: truth values have no order; use eq or ne")
    if value.kind == "number":
        return (Branch("n", lambda row: getattr(row.real, method)(value.real), False),)
    text = str(operand)
    if len(text) > MAX_RANGE_CHARS or "\x00" in text:
        raise InvalidInputError(f"{where}: expected a text of at most {MAX_RANGE_CHARS} characters, without U+0000")
    if value.kind != "time":
        return (Branch("xt", lambda row: getattr(row.text, method)(text), False),)
    return (
        Branch("x", lambda row: getattr(row.text, method)(text), False),
        Branch("t", lambda row: getattr(row.real, method)(value.real), False),
    )


def _on_record(field: str, operator: str, operand: Any) -> ColumnElement[bool]:
    column = getattr(AgentDataRow, field)
    if operator in RANGES:
        found: ColumnElement[bool] = getattr(column, RANGES[operator])(_seconds(field, operator, operand))
        return found
    wanted: list[Any] = operand if operator in ("includes", "excludes") else [operand]
    if len(wanted) > MAX_LIST:
        raise InvalidInputError(f"filter.{field}.{operator}: at most {MAX_LIST} values can be asked for at once")
    chosen: ColumnElement[bool] = column.in_([_seconds(field, operator, each) for each in wanted])
    return not_(chosen) if operator in ("ne", "excludes") else chosen


def _seconds(field: str, operator: str, operand: Any) -> float:
    time = microseconds(operand) if isinstance(operand, str) else None
    if time is None:
        raise InvalidInputError(
            f"filter.{field}.{operator}: expected a date or time in ISO 8601, not {str(operand)[:60]!r}"
        )
    return time / 1_000_000


# -- orders -------------------------------------------------------------------------------------------------------


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

    def path(self, kinds: tuple[ValueKind, ...]) -> str:
        return path_keys(self.field, KINDS[kinds[0]])[0]


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
