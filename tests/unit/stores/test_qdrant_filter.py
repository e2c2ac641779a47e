"""What of a filter Qdrant can be told: never less than matches, and exactly that wherever it can say so."""

import pytest

from rag.filters import parse_filter
from rag.stores.qdrant_filter import push_down

EXACT = [
    {"a": 1}, {"a": "x"}, {"a": True}, {"a": ["x", 1, 2.5]}, {"a": {"$ne": "x"}}, {"a": {"$nin": ["x", 1]}}, {"a": []},
    {"a": {"$gt": 1, "$lte": 2.5}}, {"a.b": 1}, {"$or": [{"a": 1}, {"b": "x"}]}, {"$not": {"a": 1}},
]  # fmt: skip
WIDER = [
    {"a": {"$gte": "2024-01-01"}}, {'a"b': 1}, {"a": 2**53 + 1}, {"a": list(range(100))}, {"$not": {"a": {"$lt": "x"}}},
    {"$or": [{"a": 1}, {'a"b': 1}]},
]  # fmt: skip


@pytest.mark.parametrize("raw", EXACT, ids=str)
def test_most_filters_are_said_exactly(raw: dict) -> None:
    pushed = push_down(parse_filter(raw))
    assert pushed.is_exact
    assert pushed.condition is not None


@pytest.mark.parametrize("raw", WIDER, ids=lambda raw: str(raw)[:40])
def test_what_cannot_be_said_is_looked_at_again(raw: dict) -> None:
    assert not push_down(parse_filter(raw)).is_exact


def test_no_filter_is_no_condition() -> None:
    pushed = push_down(parse_filter({}))
    assert (pushed.condition, pushed.is_exact) == (None, True)
