"""Metadata filters: one small typed tree, compiled by each store into what it understands.

Accepted on input (`parse_filter`): `{"key": scalar}` equality, `{"key": [..]}` any of,
`{"key": {"$gte": 3, "lt": 9}}` operators with or without `$`; several keys are all required.
A key that a chunk does not have never matches, whatever the operator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, TypeAlias, get_args

from rag.errors import InvalidInputError
from rag.types import Scalar

Operator: TypeAlias = Literal["eq", "ne", "in", "nin", "gt", "gte", "lt", "lte"]
MAX_CONDITIONS = 64
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
        return _compare(actual, self.operator, self.values[0])


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions must hold; an empty filter holds for every chunk."""

    conditions: tuple[Condition, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        return all(condition.matches(metadata) for condition in self.conditions)

    def merged(self, other: "Filter") -> "Filter":
        """Both filters at once; where they name the same key, `other` wins."""
        keys = {condition.key for condition in other.conditions}
        kept = tuple(condition for condition in self.conditions if condition.key not in keys)
        return Filter(kept + other.conditions)


def parse_filter(raw: Mapping[str, Any] | None) -> Filter:
    """Turn what a client or a llamafarm.yaml wrote into a Filter, or say which part is not understood."""
    conditions: list[Condition] = []
    for key, value in (raw or {}).items():
        conditions.extend(_conditions(key, value))
    if len(conditions) > MAX_CONDITIONS:
        raise InvalidInputError(f"filter has {len(conditions)} conditions; at most {MAX_CONDITIONS} are accepted")
    return Filter(tuple(conditions))


def _conditions(key: str, value: Any) -> list[Condition]:
    if not key or key.startswith(("_", "$")) or not _is_unicode(key):
        raise InvalidInputError(f"filter key {key!r} is not a metadata key; expected a name such as 'filename'")
    if isinstance(value, Mapping):
        return [_operator_condition(key, name, operand) for name, operand in value.items()]
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
    return Condition(key, operator, _scalars(key, operand if is_list else [operand]))  # type: ignore[arg-type]  # checked above


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
