"""Fusing rankings: what holds for any input."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrievers import fuse
from rag.types import Hit

ids = st.text("abcdefgh", min_size=1, max_size=2)
values = st.dictionaries(ids, st.floats(0, 1), max_size=8)
columns = st.lists(st.tuples(values, st.floats(0, 1)), max_size=4)


@given(columns)
def test_every_way_of_fusing_keeps_every_hit_and_stays_in_range(pairs: list) -> None:
    rankings, weights = [each for each, _ in pairs], [weight for _, weight in pairs]
    everything = {chunk_id for ranking in rankings for chunk_id in ranking}
    ranks = [sorted(ranking, key=lambda each: -ranking[each]) for ranking in rankings]
    for fused in (
        fuse.weighted_mean(rankings, weights),
        fuse.highest(rankings, weights),
        fuse.reciprocal_rank(ranks, weights),
    ):
        assert set(fused) == everything
        assert all(-1e-9 <= value <= 1 + 1e-9 for value in fused.values())


@given(values)
def test_one_ranking_alone_keeps_its_order(ranking: dict[str, float]) -> None:
    for fused in (fuse.weighted_mean([ranking], [0.5]), fuse.highest([ranking], [0.5]), fuse.min_max(ranking)):
        for first in ranking:
            for second in ranking:
                if ranking[first] > ranking[second]:
                    assert fused[first] >= fused[second]


@given(values, st.floats(0, 1), st.floats(0, 1))
def test_on_scale_stays_between_its_ends_and_keeps_the_order(fused: dict, first: float, second: float) -> None:
    low, high = sorted((first, second))
    placed = fuse.on_scale(fused, low, high)
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in placed.values())
    order = sorted(fused, key=lambda each: fused[each])
    assert all(placed[a] <= placed[b] + 1e-12 for a, b in pairwise(order))


@given(st.lists(st.lists(ids, unique=True), min_size=1, max_size=4))
def test_reciprocal_rank_is_one_only_for_what_is_first_everywhere(rankings: list[list[str]]) -> None:
    fused = fuse.reciprocal_rank(rankings, [1.0] * len(rankings))
    for chunk_id, value in fused.items():
        is_first = all(ranking[:1] == [chunk_id] for ranking in rankings)
        assert (value == pytest.approx(1.0)) == is_first


def test_a_hit_that_one_side_lacks_counts_there_as_the_last_one() -> None:
    fused = fuse.weighted_mean([{"a": 0.9, "b": 0.5}, {"c": 0.8, "a": 0.2}], [1, 1])
    assert fused == pytest.approx({"a": 0.55, "b": 0.35, "c": 0.65})


def test_equal_values_are_all_best() -> None:
    assert fuse.min_max({"a": 0.3, "b": 0.3}) == {"a": 1.0, "b": 1.0}
    assert fuse.min_max({}) == {}


def test_merged_hits_keep_the_scores_of_every_stage_and_a_vector() -> None:
    vector = np.ones(2, np.float32)
    first = Hit("a", "t", 0.4, "f", "g", scores={"lexical": 0.4})
    second = Hit("a", "t", 0.7, "f", "g", scores={"vector": 0.7}, vector=vector)
    (merged,) = fuse.merge([[first], [second]], {"a": 0.6})
    assert (merged.score, merged.vector is vector) == (0.6, True)
    assert merged.scores == {"lexical": 0.4, "vector": 0.7, "fused": 0.6}
