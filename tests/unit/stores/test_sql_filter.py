"""A filter as SQL finds what `Filter.matches` finds, for any key and value."""

import sqlite3

import orjson
from hypothesis import given
from hypothesis import strategies as st

from rag.filters import Condition, Filter, Group
from rag.stores.sql_filter import compile_filter

keys = st.one_of(
    st.sampled_from(["a", "b", "filename", "a.b", 'a"b', "a\\b", "$", "[0]", "a b", "é"]), st.text(min_size=1)
)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-2, 2),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 0.1]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5),
)
conditions = st.one_of(
    st.builds(
        lambda key, operator, value: Condition(key, operator, (value,)),
        keys.filter(lambda key: key.isprintable()),
        st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]),
        scalars,
    ),
    st.builds(
        lambda key, operator, values: Condition(key, operator, tuple(values)),
        keys.filter(lambda key: key.isprintable()),
        st.sampled_from(["in", "nin"]),
        st.lists(scalars, max_size=4),
    ),
)


filters = st.recursive(
    st.lists(conditions, min_size=1, max_size=3).map(lambda each: Filter(tuple(each))),
    lambda inner: st.builds(
        lambda kind, parts: Filter(groups=(Group(kind, tuple(parts)),)),
        st.sampled_from(["or", "not"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)


def sql_matches(where: Filter, metadata: dict) -> bool:
    condition, values = compile_filter(where)
    with sqlite3.connect(":memory:") as connection:
        row = connection.execute(
            f"SELECT 1 FROM (SELECT ? AS metadata) WHERE {condition}", [orjson.dumps(metadata).decode(), *values]
        ).fetchone()
    connection.close()
    return row is not None


@given(
    st.dictionaries(keys.filter(lambda key: key.isprintable()), scalars, max_size=3),
    st.lists(conditions, max_size=3),
    filters,
)
def test_sql_and_python_agree(metadata: dict, wanted: list[Condition], more: Filter) -> None:
    where = Filter(tuple(wanted) + more.conditions, more.groups)
    assert sql_matches(where, metadata) == where.matches(metadata)


@given(scalars, scalars, st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]))
def test_sql_and_python_agree_on_one_key(stored, wanted, operator) -> None:
    where = Filter((Condition("a", operator, (wanted,)),))
    assert sql_matches(where, {"a": stored}) == where.matches({"a": stored})


@given(st.text(), st.text())
def test_no_key_or_value_leaves_its_place(key: str, value: str) -> None:
    """Whatever is written, the condition is about one key of one chunk and runs without an error."""
    safe = key.encode(errors="ignore").decode(), value.encode(errors="ignore").decode()
    condition, values = compile_filter(Filter((Condition(safe[0] or "a", "eq", (safe[1],)),)))
    assert ";" not in condition
    assert condition.count("?") == len(values)
    sql_matches(Filter((Condition(safe[0] or "a", "ne", (safe[1],)),)), {"other": 1})
