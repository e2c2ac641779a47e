"""The typed filter: what is accepted, what is refused, what a missing key means."""

import json
from typing import Any

import pytest

from rag.errors import InvalidInputError
from rag.filters import MAX_CONDITIONS, MAX_VALUES, Condition, Filter, parse_filter


def nested(depth: int) -> dict[str, Any]:
    raw: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        raw = {"$not": raw}
    return raw


@pytest.mark.parametrize(
    ("raw", "conditions"),
    [
        (None, []),
        ({}, []),
        ({"a": 1}, [Condition("a", "eq", (1,))]),
        ({"a": [1, "x"]}, [Condition("a", "in", (1, "x"))]),
        ({"a": {"$gte": 3, "lt": 9}}, [Condition("a", "gte", (3,)), Condition("a", "lt", (9,))]),
        (
            {"a": {"$contains": "x"}, "b": {"contains": 4}},
            [Condition("a", "contains", ("x",)), Condition("b", "contains", ("4",))],
        ),
        ({"and": [{"a": 1}, {"b": 2}]}, [Condition("a", "eq", (1,)), Condition("b", "eq", (2,))]),
        ({"and": ["x", "y"]}, [Condition("and", "in", ("x", "y"))]),
        ({"not": {"gt": 3}}, [Condition("not", "gt", (3,))]),
        ({"or": 1}, [Condition("or", "eq", (1,))]),
        ({"a": {"$nin": ["x"]}, "b.c": True}, [Condition("a", "nin", ("x",)), Condition("b.c", "eq", (True,))]),
    ],
    ids=str,
)
def test_every_accepted_form(raw: dict[str, Any] | None, conditions: list[Condition]) -> None:
    assert parse_filter(raw) == Filter(tuple(conditions))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"$nor": [{"a": 1}, {"b": 2}]}, r"'\$nor' is not a metadata key"),
        ({"$or": []}, r"'\$or' expects a list of filters"),
        ({"$or": [{"a": 1}, {}]}, r"'\$or' expects a list of filters"),
        ({"$and": {"a": 1}}, r"'\$and' expects a list of filters"),
        ({"$not": [{"a": 1}]}, r"'\$not' expects a filter"),
        ({"$not": {}}, r"'\$not' expects a filter"),
        ({"filename": {}}, "'filename' is an empty mapping"),
        ({"a": {"$not": {}}}, "'a' is an empty mapping"),
        ({"$not": {"a": {}}}, "'a' is an empty mapping"),
        ({"$or": [{str(n): n} for n in range(MAX_CONDITIONS + 1)]}, "at most 64"),
        (nested(200), "inside each other"),
        ({"_file": "x"}, "'_file' is not a metadata key"),
        ({"": 1}, "not a metadata key"),
        ({"\ud800": 1}, "not a metadata key"),
        ({"a": {"$regex": ".*"}}, r"operator '\$regex' is not known"),
        ({"a": {"$and": []}}, "is not known"),
        ({"a": {"$in": "x"}}, "expects a list"),
        ({"a": {"$contains": ["x"]}}, "expects one value"),
        ({"a": {"$contains": ""}}, "expects one entry of a list"),
        ({"a": {"$contains": True}}, "expects one entry of a list"),
        ({"a": {"$gt": [1]}}, "expects one value"),
        ({"a": None}, "is not text, a number or true/false"),
        ({"a": float("nan")}, "is not text, a number"),
        ({"a": {"$lt": float("inf")}}, "is not text, a number"),
        ({"a": [[1]]}, "is not text, a number"),
        ({"a": {"$eq": {"b": 1}}}, "is not text, a number"),
        ({"a": "\ud800"}, "not valid Unicode"),
        ({str(n): n for n in range(MAX_CONDITIONS + 1)}, "at most 64"),
        ({"a": ["x"] * (MAX_VALUES + 1)}, "at most 10000"),
    ],
    ids=lambda each: str(each)[:30].encode(errors="replace").decode(),
)
def test_what_is_not_understood_is_refused_with_a_reason(raw: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        parse_filter(raw)


@pytest.mark.parametrize("operator", ["eq", "ne", "gt", "gte", "lt", "lte"])
def test_a_missing_key_never_matches(operator: str) -> None:
    assert not parse_filter({"a": {operator: 1}}).matches({"b": 1})
    assert not parse_filter({"a": {"$nin": [1]}}).matches({"b": 1})


@pytest.mark.parametrize(
    ("raw", "value", "matches"),
    [
        (1, 1.0, True), (1, True, False), (True, 1, False), (True, True, True), ("1", 1, False),
        ({"$ne": 1}, "1", True), ({"$ne": 1}, True, True), ({"$gt": "2024"}, "2024-05", True), ({"$gt": 1}, "2", False),
        ({"$gte": 0}, True, False), ([], 1, False), ({"$nin": []}, 1, True),
    ],
)  # fmt: skip
def test_values_compare_within_their_kind(raw: Any, value: Any, matches: bool) -> None:
    assert parse_filter({"a": raw}).matches({"a": value}) is matches


def test_the_other_filter_wins_where_both_name_a_key() -> None:
    merged = parse_filter({"a": 1, "b": 2}).merged(parse_filter({"b": {"$gt": 5, "$lt": 9}, "c": 3}))
    assert merged == parse_filter({"a": 1, "b": {"$gt": 5, "$lt": 9}, "c": 3})


@pytest.mark.parametrize(
    ("raw", "holds_for"),
    [
        ({"$or": [{"kind": "memo"}, {"year": {"$gte": 2025}}]}, {"memo", "new"}),
        ({"$and": [{"kind": "report"}, {"year": {"$lt": 2025}}]}, {"old"}),
        ({"$not": {"kind": "memo"}}, {"old", "new", "bare"}),
        ({"kind": {"$not": {"$in": ["memo", "note"]}}}, {"old", "new", "bare"}),
        ({"kind": {"$ne": "memo", "$not": {"$eq": "note"}}}, {"old", "new"}),
        ({"$or": [{"$and": [{"kind": "report"}, {"$not": {"year": 2024}}]}, {"kind": "memo"}]}, {"memo", "new"}),
        ({"kind": "report", "$not": {"$or": [{"year": 2024}, {"year": 2023}]}}, {"new"}),
        ({"day": {"$gte": "2024-05-01", "$lt": "2024-06-01"}}, {"old"}),
    ],
    ids=lambda each: str(sorted(each) if isinstance(each, set) else each),
)
def test_filters_are_combined(raw: dict[str, Any], holds_for: set[str]) -> None:
    chunks = {
        "old": {"kind": "report", "year": 2024, "day": "2024-05-31T23:59:00Z"},
        "new": {"kind": "report", "year": 2025, "day": "2025-01-01"},
        "memo": {"kind": "memo"},
        "bare": {"other": 1},
    }
    where = parse_filter(raw)
    assert where
    assert {key for key, metadata in chunks.items() if where.matches(metadata)} == holds_for


@pytest.mark.parametrize(
    "raw",
    [{"$or": [{"a": 1}, {"$not": {"b": 2}}]}, {"$not": {"a": {"$gt": 3}}}, {"$not": {"$or": [{"a": 1}]}}],
    ids=str,
)
def test_groups_are_understood_without_the_dollar_sign(raw: dict[str, Any]) -> None:
    assert parse_filter(json.loads(json.dumps(raw).replace("$", ""))) == parse_filter(raw)
