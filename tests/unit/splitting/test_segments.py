"""What holds for every split, whatever the pages say."""

from itertools import product
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.splitting.evidence import Evidence, Scores
from rag.splitting.labels import Page
from rag.splitting.segments import POLICIES, UNCATEGORIZED, Policy, Segment, make_segments, merge_short
from rag.splitting.smoothing import best_labels, chances, change_weights
from rag.splitting.split import Looked
from rag.splitting.split import split as split_pages

NAMES = ("a", "b", "c")


@st.composite
def looked_at(draw: st.DrawFn) -> tuple[Scores, list[float]]:
    count = draw(st.integers(1, 14))
    numbers = st.floats(-30, 30, allow_nan=False)
    rows = [draw(st.lists(numbers, min_size=4, max_size=4)) for _ in range(count)]
    starts = [draw(st.floats(0, 1)) for _ in range(count)]
    return np.array(rows), starts


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=150, deadline=None)
@given(seen=looked_at(), min_pages=st.integers(1, 3))
def test_segments_are_ordered_disjoint_runs_that_cover_what_their_policy_says(
    policy: Policy, seen: tuple[Scores, list[float]], min_pages: int
) -> None:
    scores, starts = seen
    every = list(range(1, len(scores) + 1))
    segments = merge_short(make_segments(NAMES, every, scores, starts, policy), min_pages)
    covered = [number for each in segments for number in each.pages]
    assert covered == sorted(set(covered))
    for each in segments:
        assert list(each.pages) == list(range(each.pages[0], each.pages[-1] + 1))
        assert 0 <= each.confidence <= 1
        assert each.level in ("high", "medium", "low")
    allowed = {*NAMES, UNCATEGORIZED} if policy == "include" else set(NAMES)
    assert {each.category for each in segments} <= allowed
    if policy == "omit":
        plain = make_segments(NAMES, every, scores, starts, "include")
        assert set(covered) == {n for each in plain if each.category != UNCATEGORIZED for n in each.pages}
    else:
        assert covered == every


@settings(max_examples=100, deadline=None)
@given(seen=looked_at())
def test_the_chain_finds_the_best_of_all_rows_of_labels(seen: tuple[Scores, list[float]]) -> None:
    scores, starts = seen[0][:5], seen[1][:5]
    change = change_weights(starts)

    def worth(row: tuple[int, ...]) -> float:
        moves = [np.log(change[at]) for at in range(1, len(row)) if row[at] != row[at - 1]]
        return float(sum(scores[at, label] for at, label in enumerate(row)) + sum(moves))

    best = max(map(worth, product(range(4), repeat=len(scores))))
    assert worth(tuple(best_labels(scores, starts).tolist())) == pytest.approx(best)
    sure = chances(scores, starts)
    assert sure.sum(axis=1) == pytest.approx(np.ones(len(scores)))
    assert (sure >= 0).all()


def test_two_documents_of_one_category_are_told_apart_where_one_clearly_begins() -> None:
    scores = np.array([[9.0, 0.0]] * 4)
    found = make_segments(["a"], [1, 2, 3, 4], scores, [1.0, 0.1, 0.95, 0.1], "forbid")
    assert [each.pages for each in found] == [(1, 2), (3, 4)]


def test_a_page_without_evidence_belongs_to_its_neighbours() -> None:
    scores = np.array([[0.0, 9.0, 0.0], [0.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    found = make_segments(["a", "b"], [1, 2, 3], scores, [1.0, 0.1, 0.1], "include")
    assert [(each.category, each.pages) for each in found] == [("b", (1, 2, 3))]


def test_ten_thousand_pages_of_fifty_categories_are_quick() -> None:
    chance = np.random.default_rng(1)
    scores, starts = chance.normal(0, 3, (10_000, 51)), chance.random(10_000).tolist()
    began = process_time()
    found = make_segments([str(number) for number in range(50)], list(range(1, 10_001)), scores, starts, "forbid")
    assert process_time() - began < 10
    assert sum(len(each.pages) for each in found) == 10_000


def test_a_short_segment_joins_only_a_neighbour_it_touches() -> None:
    parts = [Segment("a", 0.9, (1, 2, 3)), Segment("b", 0.8, (4,)), Segment("c", 0.7, (6,)), Segment("d", 0.6, (8, 9))]
    assert [(each.category, each.pages) for each in merge_short(parts, 2)] == [
        ("a", (1, 2, 3, 4)),
        ("c", (6,)),
        ("d", (8, 9)),
    ]


def test_no_pages_make_no_segments() -> None:
    empty = Looked(Evidence(np.zeros((0, 2)), np.zeros((0, 1))), [])
    assert split_pages([], list[Page](), empty, "forbid") == []
