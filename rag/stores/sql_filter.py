"""A Filter as a SQL condition over a JSON column, with the meaning of `Filter.matches`, everything parameterised."""

import re
from collections.abc import Sequence

import orjson

from rag.filters import SEPARATOR, Condition, Filter, Group
from rag.types import Scalar

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INT64 = range(-(2**63), 2**63)
# SQLite 3.40 cannot escape inside a quoted path label; such a key goes through json_each, which is slower.
_NOT_IN_A_PATH = re.compile(r'["\\\x00-\x1f\x7f]')
_LISTED = "(SELECT value FROM json_each(?))"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

SqlCondition = tuple[str, list[object]]


def compile_filter(where: Filter, column: str = "metadata") -> SqlCondition:
    """(condition, parameters); an empty filter gives `1`. `column` is our own text, never a client's."""
    parts = [_condition(condition, column) for condition in where.conditions]
    parts += [_group(group, column) for group in where.groups]
    if not parts:
        return "1", []
    return " AND ".join(f"({sql})" for sql, _ in parts), [value for _, values in parts for value in values]


def _group(group: Group, column: str) -> SqlCondition:
    parts = [compile_filter(each, column) for each in group.filters]
    # A condition on a key that is missing may be NULL, and so would be its contrary.
    either = " OR ".join(f"ifnull({sql}, 0)" for sql, _ in parts)
    values = [value for _, each in parts for value in each]
    return (either, values) if group.kind == "or" else (f"NOT ({either})", values)


def _condition(condition: Condition, column: str) -> SqlCondition:
    if condition.operator in ("eq", "in"):
        return _any_equal(condition, column)
    if condition.operator in ("ne", "nin"):
        kind, kind_values = _field("type", condition.key, column)
        equal, values = _any_equal(condition, column)
        # json_type is NULL for a missing key and 'null' for JSON null: neither ever matches.
        return f"ifnull({kind}, 'null') != 'null' AND NOT ({equal})", kind_values + values
    if condition.operator == "contains":
        return _contains(condition, column)
    return _compared(condition, column)


def _contains(condition: Condition, column: str) -> SqlCondition:
    kind, kind_values = _field("type", condition.key, column)
    actual, actual_values = _field("value", condition.key, column)
    sql = f"ifnull({kind}, '') = 'text' AND instr(? || {actual} || ?, json_extract(?, '$[0]')) > 0"
    entry = f"{SEPARATOR}{condition.values[0]}{SEPARATOR}"
    return sql, [*kind_values, SEPARATOR, *actual_values, SEPARATOR, _json([entry])]


def _any_equal(condition: Condition, column: str) -> SqlCondition:
    """One look-up per kind of value, so that a list of thousands is no deeper than a list of two."""
    truths = [value for value in condition.values if isinstance(value, bool)]
    texts = [value for value in condition.values if isinstance(value, str)]
    numbers = [value for value in condition.values if not isinstance(value, bool | str)]
    kind, kind_values = _field("type", condition.key, column)
    actual, actual_values = _field("value", condition.key, column)
    parts: list[SqlCondition] = []
    if truths:
        parts.append(
            (f"ifnull({kind}, '') IN {_LISTED}", [*kind_values, _json(["true" if t else "false" for t in truths])])
        )
    if texts:  # only a JSON text reads as one, since no value is a list or an object: an index alone can answer
        parts.append((f"{actual} IN {_LISTED}", [*actual_values, _json(texts)]))
    if numbers:  # the value first, which may have an index, and its kind where it fits: `true` reads as 1
        sql = f"{actual} IN {_LISTED} AND ifnull({kind}, '') IN {_kinds(0)}"
        parts.append((sql, [*actual_values, _json(numbers), *kind_values]))
    if not parts:
        return "0", []
    return " OR ".join(f"({sql})" for sql, _ in parts), [value for _, values in parts for value in values]


def _compared(condition: Condition, column: str) -> SqlCondition:
    wanted = condition.values[0]
    if isinstance(wanted, bool):
        return "0", []
    kind, kind_values = _field("type", condition.key, column)
    actual, actual_values = _field("value", condition.key, column)
    sign = COMPARISONS[condition.operator]
    return (
        f"ifnull({kind}, '') IN {_kinds(wanted)} AND {actual} {sign} json_extract(?, '$[0]')",
        [*kind_values, *actual_values, _json([wanted])],
    )


def _field(part: str, key: str, column: str) -> SqlCondition:
    if _NOT_IN_A_PATH.search(key):
        wanted = "type" if part == "type" else "atom"
        return f"(SELECT each.{wanted} FROM json_each({column}) AS each WHERE each.key = ?)", [key]  # noqa: S608  # ours
    function = "json_type" if part == "type" else "json_extract"
    if _PLAIN.fullmatch(key):  # spelled out, so that an index on the expression is found
        return f"{function}({column}, '$.\"{key}\"')", []
    return f"{function}({column}, ?)", [f'$."{key}"']


def _kinds(wanted: Scalar) -> str:
    return "('text')" if isinstance(wanted, str) else "('integer', 'real')"


def _json(values: Sequence[Scalar]) -> str:
    """Values go in as JSON because stored ones are: SQLite reads both numbers from text, in the same way."""
    return orjson.dumps(
        [float(v) if isinstance(v, int) and not isinstance(v, bool) and v not in _INT64 else v for v in values]
    ).decode()
