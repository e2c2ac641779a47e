"""A Filter as Qdrant understands it. What it cannot say is widened, and whoever searches looks at each hit again.

Qdrant has no order of strings, compares numbers as 64-bit floats, and cannot name a key with a quotation mark in it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qdrant_client import models

from rag.filters import Condition, Filter, Group
from rag.stores.qdrant_points import storable
from rag.types import Scalar

MOST_NUMBERS = 64
"""Of one list, each a range of its own; a longer list becomes the range from its least to its greatest."""
EXACT_NUMBERS = 2**53
"""Whole numbers beyond it are rounded when they are compared."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """`condition` holds for every chunk that matches; `is_exact`: and for no other."""

    condition: models.Filter | None
    is_exact: bool
    where: Filter
    """The same, for looking at metadata as Qdrant gives it back."""

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        return self.is_exact or self.where.matches(metadata)


@dataclass(frozen=True, slots=True)
class _Part:
    condition: models.Condition | None
    """None: true of everything."""
    is_exact: bool


def push_down(where: Filter) -> Pushed:
    part = _all_of(where)
    return Pushed(
        None if part.condition is None else models.Filter(must=[part.condition]), part.is_exact, _stored(where)
    )


def _stored(where: Filter) -> Filter:
    conditions = tuple(replace(each, values=tuple(map(storable, each.values))) for each in where.conditions)
    groups = tuple(replace(each, filters=tuple(map(_stored, each.filters))) for each in where.groups)
    return Filter(conditions, groups)


def _all_of(where: Filter) -> _Part:
    parts = [*map(_part, where.conditions), *map(_group, where.groups)]
    wanted = [part.condition for part in parts if part.condition is not None]
    return _Part(models.Filter(must=wanted) if wanted else None, all(part.is_exact for part in parts))


def _group(group: Group) -> _Part:
    parts = [_all_of(each) for each in group.filters]
    is_exact = all(part.is_exact for part in parts)
    if group.kind == "or":
        wanted = [part.condition for part in parts if part.condition is not None]
        # One that cannot be said may hold for everything.
        return _Part(models.Filter(should=wanted) if len(wanted) == len(parts) else None, is_exact)
    # What is wider than it should be would deny too much.
    denied = [part.condition for part in parts if part.condition is not None and part.is_exact]
    return _Part(models.Filter(must_not=denied) if denied else None, is_exact)


def _part(condition: Condition) -> _Part:
    path = _path(condition.key)
    if path is None:
        return _Part(None, is_exact=False)
    if condition.operator in ("eq", "in"):
        return _any_equal(path, condition.values)
    if condition.operator in ("ne", "nin"):
        return _none_equal(path, condition.values)
    if condition.operator == "contains":
        return _Part(_present(path), is_exact=False)
    return _compared(path, condition)


def _path(key: str) -> str | None:
    """Quoted, so that a dot in a key is no step into a mapping; None where that cannot be written."""
    return None if '"' in key else f'metadata."{key}"'


def _any_equal(path: str, values: Sequence[Scalar]) -> _Part:
    equal = _equal(path, values)
    numbers = [value for value in values if _is_number(value)]
    is_exact = all(_is_compared_exactly(value) for value in numbers)
    if len(numbers) > MOST_NUMBERS:
        equal.append(_between(path, min(numbers), max(numbers)))
        is_exact = False
    else:
        equal += [_between(path, value, value) for value in numbers]
    return _Part(models.Filter(should=equal) if equal else _nothing(path), is_exact)


def _none_equal(path: str, values: Sequence[Scalar]) -> _Part:
    numbers = [value for value in values if _is_number(value)]
    sure = [value for value in numbers if _is_compared_exactly(value)][:MOST_NUMBERS]
    unwanted = [*_equal(path, values), *(_between(path, value, value) for value in sure)]
    missing: list[models.Condition] = [
        models.IsEmptyCondition(is_empty=models.PayloadField(key=path)),
        models.IsNullCondition(is_null=models.PayloadField(key=path)),
    ]
    return _Part(models.Filter(must_not=[*missing, *unwanted]), is_exact=len(sure) == len(numbers))


def _equal(path: str, values: Sequence[Scalar]) -> list[models.Condition]:
    """Of texts and truth values."""
    texts = [value for value in values if isinstance(value, str)]
    truths = {value for value in values if isinstance(value, bool)}
    found: list[models.Condition] = [
        models.FieldCondition(key=path, match=models.MatchValue(value=truth)) for truth in sorted(truths)
    ]
    if texts:
        found.append(models.FieldCondition(key=path, match=models.MatchAny(any=texts)))
    return found


def _compared(path: str, condition: Condition) -> _Part:
    wanted = condition.values[0]
    if isinstance(wanted, str):
        return _Part(_present(path), is_exact=False)
    if isinstance(wanted, bool):
        return _Part(_nothing(path), is_exact=True)
    bound = _below(wanted) if condition.operator in ("gt", "gte") else _above(wanted)
    bounds = models.Range(**{condition.operator: bound})
    return _Part(models.FieldCondition(key=path, range=bounds), _is_compared_exactly(wanted))


def _between(path: str, least: Scalar, greatest: Scalar) -> models.FieldCondition:
    return models.FieldCondition(key=path, range=models.Range(gte=_below(least), lte=_above(greatest)))


def _below(value: Scalar) -> float:
    """The value, or the number before it where it is rounded."""
    return float(value) if _is_compared_exactly(value) else math.nextafter(float(value), -math.inf)


def _above(value: Scalar) -> float:
    return float(value) if _is_compared_exactly(value) else math.nextafter(float(value), math.inf)


def _present(path: str) -> models.Filter:
    return models.Filter(must_not=[models.IsEmptyCondition(is_empty=models.PayloadField(key=path))])


def _nothing(path: str) -> models.Filter:
    """True of no chunk."""
    there = models.IsEmptyCondition(is_empty=models.PayloadField(key=path))
    return models.Filter(must=[there], must_not=[there])


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_compared_exactly(value: Scalar) -> bool:
    return isinstance(value, float) or -EXACT_NUMBERS <= int(value) <= EXACT_NUMBERS
