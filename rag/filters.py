"""Metadata filters: one small typed tree, compiled by each store into what it understands.

Accepted on input (`parse_filter`): `{"key": scalar}` equality, `{"key": [..]}` any of,
`{"key": {"$gte": 3, "lt": 9}}` operators with or without `$`; several keys are all required.
`{"key": {"$contains": "memo"}}`: one entry of a list, which is kept as text joined with ", ".
`{"$or": [FILTER, …]}`, `{"$and": [FILTER, …]}`, `{"$not": FILTER}` and `{"key": {"$not": {"$gt": 3}}}` combine these,
with or without `$`.
A key that a chunk does not have never matches, whatever the operator; `$not` holds where what it denies does not.

A dot in a key is a letter like others: metadata is flat. Dates in ISO form (`2026-09-14`, `2026-09-14T08:00:00Z`) are
text whose order is that of time, as long as they are of one time zone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, TypeAlias, get_args

from rag.errors import InvalidInputError
from rag.types import Scalar

Operator: TypeAlias = Literal["eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "contains"]
SEPARATOR = ", "
"""Between the entries of a list that is kept as text."""
MAX_CONDITIONS = 64
MAX_DEPTH = 8
"""Of `$and`, `$or` and `$not` inside each other."""
MAX_VALUES = 10_000
"""Values in one list."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`values` has one element, except for `in` and `nin`."""

    key: str
    operator: Operator
    values: tuple[Scalar, ...]

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        actual = metadata.get(self.key)
        if actual is None:
            return False
        if self.operator in ("eq", "in"):
            return any(_equal(actual, value) for value in self.values)
        if self.operator in ("ne", "nin"):
            return not any(_equal(actual, value) for value in self.values)
        if self.operator == "contains":
            return isinstance(actual, str) and _between_separators(self.values[0]) in _between_separators(actual)
        return _compare(actual, self.operator, self.values[0])


@dataclass(frozen=True, slots=True)
class Group:
    """`or`: one of the filters holds; `not`: none of them does."""

    kind: Literal["or", "not"]
    filters: "tuple[Filter, ...]"

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        return any(each.matches(metadata) for each in self.filters) is (self.kind == "or")


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions and groups must hold; an empty filter holds for every chunk."""

    conditions: tuple[Condition, ...] = ()
    groups: tuple[Group, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.conditions or self.groups)

    def __len__(self) -> int:
        """How many conditions there are in all."""
        return len(self.conditions) + sum(len(each) for group in self.groups for each in group.filters)

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        return all(condition.matches(metadata) for condition in self.conditions) and all(
            group.matches(metadata) for group in self.groups
        )

    def merged(self, other: "Filter") -> "Filter":
        """Both filters at once; where their conditions name the same key, `other` wins. Groups all hold."""
        keys = {condition.key for condition in other.conditions}
        kept = tuple(condition for condition in self.conditions if condition.key not in keys)
        return Filter(kept + other.conditions, self.groups + other.groups)


def parse_filter(raw: Mapping[str, Any] | None) -> Filter:
    """Turn what a client or a llamafarm.yaml wrote into a Filter, or say which part is not understood."""
    parsed = _parsed(raw or {}, 0)
    if len(parsed) > MAX_CONDITIONS:
        raise InvalidInputError(f"filter has {len(parsed)} conditions; at most {MAX_CONDITIONS} are accepted")
    return parsed


def _parsed(raw: Mapping[str, Any], depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise InvalidInputError(f"filter has more than {MAX_DEPTH} of $and, $or and $not inside each other")
    conditions: list[Condition] = []
    groups: list[Group] = []
    for key, value in raw.items():
        name = f"${key}" if _is_bare_group(key, value) else key
        if name == "$and":
            for each in _listed(key, value, depth):
                conditions += each.conditions
                groups += each.groups
        elif name == "$or":
            groups.append(Group("or", _listed(key, value, depth)))
        elif name == "$not":
            groups.append(Group("not", _listed(key, [value], depth)))
        else:
            conditions += _conditions(key, value)
            groups += [Group("not", (_parsed({key: each}, depth + 1),)) for each in _denied(value)]
    return Filter(tuple(conditions), tuple(groups))


def _is_bare_group(key: str, value: Any) -> bool:
    """Whether `and`, `or` or `not` without `$` stands over filters: metadata may have keys of these names."""
    if key == "not" and isinstance(value, Mapping):
        known = (*get_args(Operator), "not")
        return bool(value) and not all(str(each).removeprefix("$") in known for each in value)
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return key in ("and", "or") and is_list and bool(value) and all(isinstance(each, Mapping) for each in value)


def _listed(name: str, value: Any, depth: int) -> tuple[Filter, ...]:
    """The filters that stand under `$and`, `$or` or `$not`. An empty one holds for everything, so it is refused."""
    filters = value if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not filters or not all(isinstance(each, Mapping) and each for each in filters):
        expected = "a filter" if name.endswith("not") else "a list of filters"
        raise InvalidInputError(f"filter '{name}' expects {expected}, such as {{'filename': 'a.pdf'}}; got {value!r}")
    return tuple(_parsed(each, depth + 1) for each in filters)


def _denied(value: Any) -> list[Any]:
    """What stands under `$not` for one key."""
    return [value[name] for name in ("$not", "not") if name in value] if isinstance(value, Mapping) else []


def _conditions(key: str, value: Any) -> list[Condition]:
    if not key or key.startswith(("_", "$")) or not _is_unicode(key):
        raise InvalidInputError(f"filter key {key!r} is not a metadata key; expected a name such as 'filename'")
    if isinstance(value, Mapping):
        if not value:
            raise InvalidInputError(
                f"filter '{key}' is an empty mapping, which asks for nothing; expected a value, a list or operators "
                "such as {'$gte': 3}"
            )
        return [
            _operator_condition(key, name, operand) for name, operand in value.items() if name not in ("$not", "not")
        ]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [Condition(key, "in", _scalars(key, value))]
    return [Condition(key, "eq", _scalars(key, [value]))]


def _operator_condition(key: str, name: str, operand: Any) -> Condition:
    operator = str(name).removeprefix("$")
    if operator not in get_args(Operator):
        known = ", ".join(f"${each}" for each in get_args(Operator))
        raise InvalidInputError(f"filter '{key}': operator '{name}' is not known. Known: {known}")
    is_list = isinstance(operand, Sequence) and not isinstance(operand, str)
    if (operator in ("in", "nin")) != is_list:
        expected = "a list" if operator in ("in", "nin") else "one value"
        raise InvalidInputError(f"filter '{key}': '{name}' expects {expected}, got {operand!r}")
    if operator == "contains":
        operand = _entry(key, name, operand)
    return Condition(key, operator, _scalars(key, operand if is_list else [operand]))  # type: ignore[arg-type]  # checked above


def _entry(key: str, name: str, operand: Any) -> str:
    """An entry as it stands in the text of a list: numbers are written out."""
    if isinstance(operand, bool) or not isinstance(operand, str | int | float) or operand == "":
        raise InvalidInputError(f"filter '{key}': '{name}' expects one entry of a list, got {operand!r}")
    return str(operand)


def _scalars(key: str, values: Sequence[Any]) -> tuple[Scalar, ...]:
    if len(values) > MAX_VALUES:
        raise InvalidInputError(f"filter '{key}' lists {len(values)} values; at most {MAX_VALUES} are accepted")
    for value in values:
        if not isinstance(value, str | int | float | bool) or (isinstance(value, float) and not isfinite(value)):
            raise InvalidInputError(f"filter '{key}': {value!r} is not text, a number or true/false")
        if isinstance(value, str) and not _is_unicode(value):
            raise InvalidInputError(
                f"filter '{key}': {value!r} holds half of a surrogate pair and is not valid Unicode"
            )
    return tuple(values)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(actual: Any, wanted: Scalar) -> bool:
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return isinstance(actual, bool) and isinstance(wanted, bool) and actual is wanted
    return bool(actual == wanted)


def _between_separators(text: Scalar) -> str:
    return f"{SEPARATOR}{text}{SEPARATOR}"


def _compare(actual: Any, operator: Operator, wanted: Scalar) -> bool:
    if not (_is_number(actual) and _is_number(wanted)) and not (isinstance(actual, str) and isinstance(wanted, str)):
        return False
    if operator == "gt":
        return bool(actual > wanted)
    if operator == "gte":
        return bool(actual >= wanted)
    if operator == "lt":
        return bool(actual < wanted)
    return bool(actual <= wanted)
