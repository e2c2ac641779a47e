"""What the best hits have in common, and breadth behind them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrievers.feedback import nearness_to_best
from rag.retrievers.spread import spread
from rag.types import Hit


def hit(key: str, *direction: float) -> Hit:
    vector = np.array(direction, np.float32) if direction else None
    return Hit(key, key, 0.5, "f", "g", vector=None if vector is None else vector / np.linalg.norm(vector))


def test_what_is_near_the_best_hits_gains_on_what_is_not() -> None:
    hits = [hit("a", 1, 0.1), hit("b", 1, -0.1), hit("near", 1, 0), hit("far", 0, 1)]
    near = nearness_to_best(hits, {"a": 1.0, "b": 0.98, "near": 0.3, "far": 0.35})
    assert near["near"] == 1
    assert near["far"] == 0


def test_where_one_hit_is_far_ahead_the_others_have_no_say() -> None:
    hits = [hit("first", 1, 0), *(hit(f"other{number}", 0, 1) for number in range(9))]
    near = nearness_to_best(hits, {"first": 1.0, **{f"other{number}": 0.6 for number in range(9)}})
    assert near["first"] == 1


def test_hits_without_a_vector_are_left_out() -> None:
    assert nearness_to_best([hit("a")], {"a": 1.0}) == {}
    assert set(nearness_to_best([hit("a"), hit("b", 1, 0)], {"a": 1.0, "b": 0.5})) == {"b"}


def test_behind_the_first_hits_other_files_come_before_more_of_the_same() -> None:
    values = {"a1": 0.9, "a2": 0.8, "a3": 0.7, "a4": 0.6, "b1": 0.5, "c1": 0.1}
    found = spread(values, {key: key[0] for key in values}, after=2)
    assert list(found) == ["a1", "a2", "b1", "a3", "a4", "c1"]
    assert list(found.values()) == sorted(values.values(), reverse=True)


def test_in_a_database_of_one_file_nothing_changes_hands() -> None:
    values = {f"{number}": 1 / (number + 1) for number in range(30)}
    assert spread(values, dict.fromkeys(values, "f"), after=10) == values


@given(
    st.dictionaries(st.text(max_size=4), st.floats(0, 1), max_size=30),
    st.integers(1, 12),
    st.integers(1, 4),
)
def test_the_first_hits_and_the_values_stay(values: dict[str, float], after: int, file_count: int) -> None:
    file_of = {key: str(len(key) % file_count) for key in values}
    found = spread(values, file_of, after=after)
    ranked = sorted(values, key=lambda each: (-values[each], each))
    assert list(found)[:after] == ranked[:after]
    assert set(found) == set(values)
    assert list(found.values()) == sorted(values.values(), reverse=True)
    for file in set(file_of.values()):
        of_file = [key for key in found if file_of[key] == file]
        assert [values[key] for key in of_file] == sorted((values[key] for key in of_file), reverse=True)


def test_nothing_gives_nothing() -> None:
    assert spread({}, {}, after=10) == {}
    assert nearness_to_best([], {}) == pytest.approx({})
