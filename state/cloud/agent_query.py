"""Filters over agents' documents, as conditions on the index of their values.

Every condition exists in two forms. `within` makes the set of documents that meet it, once: its cost is bounded,
however few of them are wanted. `holds` asks about one document at a time: good where many meet it and only the first
ones in some order are wanted. Both are answered by the index alone: what a value's kind is stands in its path.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.selectable import CompoundSelect

from rag.errors import InvalidInputError
from state.cloud.agent_values import EXACT_FLOAT, KINDS, NULL, Value, ValueKind, microseconds, path_keys, value_of
from state.cloud.tables import AgentDataRow, AgentValueRow

RECORDS = cast("Table", AgentDataRow.__table__)
VALUES = cast("Table", AgentValueRow.__table__)
"""The tables themselves: expressions of the mapped classes take several times as long to build."""
PROBE = VALUES.alias("probe")
"""What conditions look at, inside of queries over VALUES too."""
ANY: ColumnElement[int] = literal_column("1")
"""What an EXISTS selects: with `*`, SQLite would open the table beside the index."""

Operand: TypeAlias = str | int | float | bool | None
Operator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "includes", "excludes"]
RANGES: Mapping[str, str] = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__"}
RECORD_TIMES = ("created_at", "updated_at")
MAX_FIELDS = 50
MAX_LIST = 500
MAX_RANGE_CHARS = 200
"""Of a text that others are compared with: all of it lies in what the index keeps of long ones."""

Columns: TypeAlias = Any
"""The columns of VALUES or of PROBE."""


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
        """Numbers of documents that meet it, negation aside; with `in_lists` some stand there twice."""
        row = PROBE.c
        parts = [
            select(row.number).where(row.place == self.place, among(row.path, self._paths(branch)), branch.test(row))
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
        row, paths = PROBE.c, self._paths(branch)
        if branch.is_exact:
            at = [row.place == self.place, among(row.path, paths)]
        else:
            # Hidden from the planner: the few values of this document are read, not all of that path.
            at = [among(func.coalesce(row.path, ""), paths)]
        # With a limit: PostgreSQL would make an EXISTS a join over all documents, where a few are asked.
        found = select(ANY).where(row.number == number, *at, branch.test(row)).limit(1)
        return found.correlate_except(PROBE).scalar_subquery().is_not(None)


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions have to hold."""

    conditions: tuple[Condition, ...] = ()
    on_record: tuple[ColumnElement[bool], ...] = ()
    """On columns of RECORDS."""

    def and_also(self, condition: Condition) -> "Filter":
        return replace(self, conditions=(*self.conditions, condition))

    def without(self, condition: Condition) -> "Filter":
        return replace(self, conditions=tuple(each for each in self.conditions if each is not condition))

    def holds(self, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
        return [each.holds(number) for each in self.conditions]

    def within(self, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
        return [each.within(number) for each in self.conditions]


def among(column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """A list of one is a plain comparison: that is cheaper to send."""
    return column == values[0] if len(values) == 1 else column.in_(values)


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
        ("text", "text"): [each.text for each in values if each.kind in ("text", "long")],
        ("bool", "text"): [each.text for each in values if each.kind == "bool"],
        ("time", "real"): [each.real for each in values if each.kind == "time"],
        ("number", "text"): [each.text for each in values if each.kind == "number" and each.text is not None],
    }
    branches = [_one_of(kind, column, wanted) for (kind, column), wanted in found.items() if wanted]
    if reals := [each.real for each in values if each.kind == "number" and each.text is None]:
        branches.append(Branch("n", lambda row: _number(row, reals), True))
    if NULL in values:
        branches.append(Branch("v", lambda row: true(), False))
    return tuple(branches) or (Branch("", lambda row: false(), False),)


def _one_of(kind: ValueKind, column: str, values: Sequence[Any]) -> Branch:
    return Branch(KINDS[kind], lambda row: among(row[column], values), True)


def _number(row: Columns, reals: Sequence[Any]) -> ColumnElement[bool]:
    """Only a float beyond the exact ones may stand for an integer that is kept with its digits."""
    chosen = among(row.real, reals)
    return and_(chosen, row.text.is_(None)) if any(abs(each) >= EXACT_FLOAT for each in reals) else chosen


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
    column = RECORDS.c[field]
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
