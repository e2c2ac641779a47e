"""Filters on files and chunks, against a plain look at every pair of them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rag.errors import InvalidInputError
from server.llamacloud.services.filtering import (
    Branch,
    Leaf,
    Where,
    holds,
    leaf,
    read_filters,
    read_search_filters,
    select,
)
from state.cloud.members import Member

KEYS = ["year", "tag", "page_number", "sheet"]
"""The last two are known of chunks, unless a file says them itself."""
SCALARS = some.sampled_from([0, 1, 2, 2.0, 1.5, "1", "a", "b", True, False])
VALUES = some.one_of(SCALARS, some.none(), some.lists(SCALARS, max_size=3))
LEAVES = some.one_of(
    some.builds(Leaf, some.sampled_from(KEYS), some.sampled_from(["eq", "ne"]), SCALARS),
    some.builds(
        Leaf,
        some.sampled_from(KEYS),
        some.sampled_from(["gt", "gte", "lt", "lte"]),
        some.sampled_from([0, 1, 2, 1.5, "1", "a"]),
    ),
    some.builds(
        Leaf,
        some.sampled_from(KEYS),
        some.sampled_from(["in", "nin", "any"]),
        some.lists(SCALARS, max_size=3).map(tuple),
    ),
    some.builds(Leaf, some.sampled_from(KEYS), some.just("is_empty"), some.none()),
)
TREES = some.recursive(
    LEAVES,
    lambda inner: some.builds(
        Branch, some.sampled_from(["and", "or", "not"]), some.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=6,
)
MEMBERS = some.lists(
    some.tuples(some.sampled_from(["h1", "h2", "h3"]), some.dictionaries(some.sampled_from(KEYS), VALUES, max_size=3)),
    max_size=5,
)
CHUNKS = some.lists(
    some.fixed_dictionaries(
        {"file_hash": some.sampled_from(["h1", "h2", "h3"])},
        optional={"page_number": some.sampled_from([1, 2, 3]), "sheet": some.sampled_from(["a", "b", "1"])},
    ),
    max_size=6,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool) and one == other
    return isinstance(one, str) == isinstance(other, str) and bool(one == other)


def in_order(operator: str, one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(one, str) != isinstance(other, str):
        return False
    return bool({"gt": one > other, "gte": one >= other, "lt": one < other, "lte": one <= other}[operator])


def is_so(tree: Where, metadata: Mapping[str, Any], chunk: Mapping[str, Any]) -> bool:
    """What a filter means, for one file and one chunk of it."""
    if isinstance(tree, Branch):
        parts = [is_so(each, metadata, chunk) for each in tree.parts]
        return {"and": all(parts), "or": any(parts), "not": not any(parts)}[tree.kind]
    actual = metadata.get(tree.key)
    if actual is None and tree.key in ("page_number", "sheet"):
        actual = chunk.get(tree.key)
    values = actual if isinstance(actual, list) else [] if actual is None else [actual]
    wanted: Any = tree.value if isinstance(tree.value, tuple) else [tree.value]
    equal = any(same(each, value) for each in values for value in wanted)
    if tree.operator == "is_empty":
        return not values or values == [""]
    if tree.operator in ("eq", "in", "any"):
        return equal
    if tree.operator in ("ne", "nin"):
        return not equal
    return any(in_order(tree.operator, each, tree.value) for each in values)


@given(TREES, MEMBERS, CHUNKS)
@settings(max_examples=600, deadline=None)
def test_a_chunk_is_found_for_the_oldest_of_its_files_that_the_filter_fits(
    tree: Where, files: list[tuple[str, dict[str, Any]]], chunks: list[dict[str, Any]]
) -> None:
    members = [Member(f"m{number}", file_hash, "f", metadata=facts) for number, (file_hash, facts) in enumerate(files)]
    selection = select(tree, members)
    for chunk in chunks:
        fitting = [m for m in members if m.file_hash == chunk["file_hash"] and is_so(tree, m.metadata, chunk)]
        is_found = selection.where is not None and selection.where.matches(chunk)
        assert is_found == bool(fitting)
        if fitting:
            assert selection.member(chunk["file_hash"], chunk) == fitting[0]


@pytest.mark.parametrize(
    ("operator", "value", "actual", "expected"),
    [
        ("all", ("a", "b"), ["b", "a", "c"], True),
        ("all", ("a", "d"), ["b", "a"], False),
        ("contains", "a", ["a"], True),
        ("contains", "a", "cat", True),
        ("contains", "a", None, False),
        ("text_match", "Cat", "a Cat", True),
        ("text_match", "cat", "a Cat", False),
        ("text_match_insensitive", "cat", "a Cat", True),
        ("text_match", "1", 1, False),
        ("is_empty", None, [], True),
        ("is_empty", None, 0, False),
    ],
)
def test_operators_of_pipelines(operator: Any, value: Any, actual: Any, expected: bool) -> None:
    assert holds(Leaf("key", operator, value), actual) is expected


def test_search_filters_nest() -> None:
    raw = {
        "condition": "or",
        "filters": [
            {"key": "year", "operator": ">=", "value": 2024},
            {"condition": "not", "filters": [{"key": "tag", "value": "old"}]},
        ],
    }
    expected = Branch("or", (Leaf("year", "gte", 2024), Branch("not", (Leaf("tag", "eq", "old"),))))
    assert read_search_filters(raw) == expected
    assert read_search_filters(None) is None
    assert read_search_filters({"filters": []}) is None


def nested(depth: int) -> dict[str, Any]:
    return {"filters": [nested(depth - 1) if depth else {"key": "a", "value": 1}]}


@pytest.mark.parametrize(
    "raw",
    [
        {"filters": "all"},
        {"condition": "and"},
        {"condition": "xor", "filters": []},
        {"filters": [{"operator": "==", "value": 1}]},
        {"filters": [{"key": "a", "operator": "~", "value": 1}]},
        {"filters": [{"key": "a", "operator": "in", "value": 1}]},
        {"filters": [{"key": "a", "operator": "==", "value": {"b": 1}}]},
        {"filters": [{"key": "a", "operator": "==", "value": float("nan")}]},
        {"filters": [7]},
        {"filters": [{"key": "a", "value": number} for number in range(65)]},
        nested(50),
    ],
)
def test_search_filters_that_cannot_be_are_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        read_search_filters(raw)


def test_an_operator_that_no_store_knows_is_refused_for_what_chunks_know() -> None:
    with pytest.raises(InvalidInputError, match="text_match"):
        select(leaf("sheet", "text_match", "a"), [Member("m", "h1", "f")])


def test_filters_that_say_nothing_are_none() -> None:
    assert read_filters(None) is None
    assert read_filters({"a": None}, {"parsed_directory_file_id": None}) is None
