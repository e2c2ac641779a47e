"""Conditions on the metadata of files and chunks, as the two ways of writing them say it.

Chunks know nothing of what users say about a file: that stands in the members of a collection. Here it is looked at
member by member; what is left for the store is a list of files, and conditions on what chunks know themselves.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, TypeAlias

from rag import filters
from rag.errors import InvalidInputError
from rag.filters import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, Condition, Group
from rag.types import Scalar
from state.cloud.members import Member

Operator: TypeAlias = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "any", "all", "contains", "text_match",
    "text_match_insensitive", "is_empty",
]  # fmt: skip
WITH_LIST = frozenset({"in", "nin", "any", "all"})
ORDERED = frozenset({"gt", "gte", "lt", "lte"})
MEMBER_ID = "parsed_directory_file_id"
CHUNK_KEYS = frozenset(
    {
        "attachment", "chapter", "chunk_index", "heading_path", "member", "page_end", "page_number", "page_start",
        "section_titles", "sheet", "slide_number", "token_count",
    }
)  # fmt: skip
"""What chunks know of themselves; a key of this name in a file's own metadata goes before it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """`value` is a tuple for `in`, `nin`, `any` and `all`, and None for `is_empty`."""

    key: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Branch:
    """`not`: none of the parts holds."""

    kind: Literal["and", "or", "not"]
    parts: tuple["Where", ...]


Where: TypeAlias = Leaf | Branch
Rest: TypeAlias = bool | Leaf | Branch
"""What is left of a condition once a member was looked at: conditions on its chunks."""


@dataclass(frozen=True)
class Selection:
    """The chunks that may be found: `where` for the store, None when there can be none."""

    where: filters.Filter | None
    _members: Mapping[str, Sequence[tuple[Member, filters.Filter]]] = field(repr=False)

    def member(self, file_hash: str, chunk: Mapping[str, Any]) -> Member | None:
        """The oldest member with this content of which such a chunk may be found."""
        found = self._members.get(file_hash, ())
        return next((member for member, condition in found if condition.matches(chunk)), None)


def select(where: Where, members: Sequence[Member]) -> Selection:
    """
    Args:
        members: of the collection, oldest first.
    """
    hashes: dict[Rest, list[str]] = {}
    by_hash: dict[str, list[tuple[Member, filters.Filter]]] = {}
    conditions: dict[Rest, filters.Filter] = {True: filters.Filter()}
    for member in members:
        rest = _rest(where, member)
        if rest is False:
            continue
        if rest not in conditions:
            conditions[rest] = _compiled(rest)
        hashes.setdefault(rest, []).append(member.file_hash)
        by_hash.setdefault(member.file_hash, []).append((member, conditions[rest]))
    if not hashes:
        return Selection(None, {})
    ways = [_together(_of_files(found), conditions[rest]) for rest, found in hashes.items()]
    chosen = ways[0] if len(ways) == 1 else filters.Filter(groups=(Group("or", tuple(ways)),))
    return Selection(chosen, by_hash)


def of_members(members: Iterable[Member]) -> filters.Filter:
    """Every chunk of these."""
    return _of_files([each.file_hash for each in members])


# -- one member ---------------------------------------------------------------------------------------------


def _rest(where: Where, member: Member) -> Rest:
    if isinstance(where, Leaf):
        found = _value(where.key, member)
        if found is None and where.key in CHUNK_KEYS:
            return where
        return holds(where, found)
    parts = [_rest(each, member) for each in where.parts]
    decisive = where.kind != "and"  # one that holds settles `or` and `not`, one that does not settles `and`
    if decisive in [each for each in parts if isinstance(each, bool)]:
        return where.kind == "or"
    left = tuple(each for each in parts if not isinstance(each, bool))
    return Branch(where.kind, left) if left else where.kind != "or"


def _value(key: str, member: Member) -> Any:
    if key == MEMBER_ID:
        return [each for each in (member.id, member.file_id) if each is not None]
    found = member.metadata.get(key)
    if found is None and key in ("file_name", "filename"):
        return member.name
    return member.file_id if found is None and key == "file_id" else found


def holds(leaf: Leaf, actual: Any) -> bool:
    """A field that is missing (None) is never equal, in order or in a list, and always different."""
    if leaf.operator == "is_empty":
        return actual is None or actual in ("", [], {})
    if leaf.operator in ("ne", "nin"):
        return not _is_one_of(actual, _listed(leaf.value))
    if actual is None:
        return False
    return _TESTS[leaf.operator](actual, leaf.value)


def _is_one_of(actual: Any, wanted: Iterable[Any]) -> bool:
    return actual is not None and any(_equal(each, value) for each in _listed(actual) for value in wanted)


def _has_all(actual: Any, wanted: Any) -> bool:
    return all(_is_one_of(actual, (value,)) for value in wanted)


def _contains(actual: Any, wanted: Any) -> bool:
    if isinstance(actual, str):
        return isinstance(wanted, str) and wanted in actual
    return _is_one_of(actual, (wanted,))


def _has_text(actual: Any, wanted: Any) -> bool:
    return any(isinstance(each, str) and str(wanted) in each for each in _listed(actual))


def _has_text_of_any_case(actual: Any, wanted: Any) -> bool:
    return any(isinstance(each, str) and str(wanted).casefold() in each.casefold() for each in _listed(actual))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(actual: Any, wanted: Any) -> bool:
        return any(_comparable(each, wanted) and compare(each, wanted) for each in _listed(actual))

    return test


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda actual, wanted: _is_one_of(actual, (wanted,)),
    "in": _is_one_of,
    "any": _is_one_of,
    "all": _has_all,
    "contains": _contains,
    "text_match": _has_text,
    "text_match_insensitive": _has_text_of_any_case,
    "gt": _ordered(lambda actual, wanted: actual > wanted),
    "gte": _ordered(lambda actual, wanted: actual >= wanted),
    "lt": _ordered(lambda actual, wanted: actual < wanted),
    "lte": _ordered(lambda actual, wanted: actual <= wanted),
}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _equal(actual: Any, wanted: Any) -> bool:
    """A number is never a text and never true."""
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return actual is wanted
    return _comparable(actual, wanted) and actual == wanted


def _comparable(actual: Any, wanted: Any) -> bool:
    return (isinstance(actual, str) and isinstance(wanted, str)) or (_is_number(actual) and _is_number(wanted))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- for the store ------------------------------------------------------------------------------------------


def _of_files(hashes: Sequence[str]) -> filters.Filter:
    return filters.Filter((Condition("file_hash", "in", tuple(dict.fromkeys(hashes))),))


def _together(one: filters.Filter, other: filters.Filter) -> filters.Filter:
    return filters.Filter(one.conditions + other.conditions, one.groups + other.groups)


def _compiled(rest: Rest) -> filters.Filter:
    """What is left after a member was looked at speaks of its chunks alone."""
    assert not isinstance(rest, bool)
    if isinstance(rest, Leaf):
        return _of_chunks(rest)
    parts = tuple(_compiled(each) for each in rest.parts)
    if rest.kind != "and":
        return filters.Filter(groups=(Group(rest.kind, parts),))
    whole = filters.Filter()
    for each in parts:
        whole = _together(whole, each)
    return whole


def _of_chunks(leaf: Leaf) -> filters.Filter:
    """A store never matches what is missing: `ne` and `nin` are said as the contrary of `eq` and `in`."""
    values = tuple(_listed(leaf.value))
    if leaf.operator in ("eq", "in", "any"):
        return _one(leaf.key, "in", values)
    if leaf.operator in ("ne", "nin"):
        return _denied(_one(leaf.key, "in", values))
    if leaf.operator == "is_empty":
        return _denied(_one(leaf.key, "nin", ()))
    if leaf.operator in ORDERED:
        return _one(leaf.key, leaf.operator, values)
    raise InvalidInputError(
        f"filter '{leaf.key}': operator '{leaf.operator}' works on metadata of files; '{leaf.key}' is known of chunks, "
        "which take ==, !=, <, <=, >, >=, in, nin, any and is_empty"
    )


def _one(key: str, operator: str, values: tuple[Scalar, ...]) -> filters.Filter:
    return filters.Filter((Condition(key, operator, values),))  # type: ignore[arg-type]  # named by the callers


def _denied(part: filters.Filter) -> filters.Filter:
    return filters.Filter(groups=(Group("not", (part,)),))


# -- as they are written ------------------------------------------------------------------------------------


def read_filters(custom: Mapping[str, Any] | None, static: Mapping[str, Any] | None = None) -> Where | None:
    """The filters of a retrieval: field → {operator, value}, or a list of such bounds; null entries say nothing.

    Raises:
        InvalidInputError: an operator is given a value that it cannot take.
    """
    parts: list[Where] = []
    for key, given in {**(custom or {}), **(static or {})}.items():
        bounds = given if isinstance(given, list) else [given]
        parts += [leaf(key, each["operator"], each["value"]) for each in bounds if each is not None]
    return _checked(Branch("and", tuple(parts))) if parts else None


_SIGNS: dict[str, Operator] = {
    "==": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "in": "in", "nin": "nin", "any": "any",
    "all": "all", "contains": "contains", "text_match": "text_match",
    "text_match_insensitive": "text_match_insensitive", "is_empty": "is_empty",
}  # fmt: skip


def read_search_filters(raw: Mapping[str, Any] | None) -> Where | None:
    """The filters of a pipeline's retrieval: {filters: [{key, operator, value} or such a mapping …], condition}.

    Raises:
        InvalidInputError: a shape, an operator or a value that is not understood; the text names it.
    """
    found = None if raw is None else _read_group(raw, 0)
    return None if found is None else _checked(found)


def _read_group(raw: Any, depth: int) -> Where | None:
    if depth > MAX_DEPTH:
        raise InvalidInputError(f"search_filters stand more than {MAX_DEPTH} deep inside each other")
    listed = raw.get("filters") if isinstance(raw, Mapping) else None
    if not isinstance(listed, list):
        raise InvalidInputError("search_filters: expected {'filters': [{'key', 'operator', 'value'}, …], 'condition'}")
    kind: Any = raw.get("condition") or "and"
    if kind not in ("and", "or", "not"):
        raise InvalidInputError(f"search_filters: condition {str(kind)[:100]!r} is not known. Known: and, or, not")
    parts = [_read_one(each, depth) for each in listed]
    kept = tuple(each for each in parts if each is not None)
    return Branch(kind, kept) if kept else None


def _read_one(raw: Any, depth: int) -> Where | None:
    if isinstance(raw, Mapping) and "filters" in raw:
        return _read_group(raw, depth + 1)
    key = raw.get("key") if isinstance(raw, Mapping) else None
    if not isinstance(key, str):
        raise InvalidInputError("search_filters: each filter is {'key', 'operator', 'value'} or {'filters': […]}")
    sign = raw.get("operator") or "=="
    if not isinstance(sign, str) or sign not in _SIGNS:
        known = ", ".join(_SIGNS)
        raise InvalidInputError(f"filter '{key[:100]}': operator {str(sign)[:100]!r} is not known. Known: {known}")
    return leaf(key, _SIGNS[sign], raw.get("value"))


def leaf(key: str, operator: Operator, value: Any) -> Leaf:
    """Raises InvalidInputError when the operator cannot take the value."""
    shown = f"filter '{key[:100]}': '{operator}'"
    if operator == "is_empty":
        return Leaf(key, operator, None)
    if operator in WITH_LIST:
        if not isinstance(value, list | tuple):
            raise InvalidInputError(f"{shown} expects a list of values, got {str(value)[:100]!r}")
        if len(value) > MAX_VALUES:
            raise InvalidInputError(f"{shown} lists {len(value)} values; at most {MAX_VALUES} are accepted")
        return Leaf(key, operator, tuple(_scalar(shown, each) for each in value))
    found = _scalar(shown, value)
    if operator in ORDERED and isinstance(found, bool):
        raise InvalidInputError(f"{shown} compares numbers or texts, got {found}")
    return Leaf(key, operator, found)


def _scalar(shown: str, value: Any) -> Scalar:
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not isfinite(value)):
        raise InvalidInputError(f"{shown} expects text, a number or true/false, got {str(value)[:100]!r}")
    found: Scalar = value
    if isinstance(found, str):
        try:
            found.encode()
        except UnicodeEncodeError as error:
            raise InvalidInputError(f"{shown}: the value is not valid Unicode") from error
    return found


def _checked(where: Where) -> Where:
    count = _count(where)
    if count > MAX_CONDITIONS:
        raise InvalidInputError(f"the filter has {count} conditions; at most {MAX_CONDITIONS} are accepted")
    return where


def _count(where: Where) -> int:
    return 1 if isinstance(where, Leaf) else sum(_count(each) for each in where.parts)
