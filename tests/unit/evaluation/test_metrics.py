"""Against numbers computed by hand from the definitions."""

import math

import pytest

from rag.evaluation import metrics


def test_ndcg_of_graded_gains_is_the_sum_worked_out_by_hand() -> None:
    """Järvelin and Kekäläinen's gains 3 2 3 0 1 2, linear as trec_eval takes them; ideal 3 3 2 2 1."""
    gains = [3, 2, 3, 0, 1, 2]
    dcg = 3 / 1 + 2 / 1.584962501 + 3 / 2 + 0 + 1 / 2.584962501 + 2 / 2.807354922
    ideal = 3 / 1 + 3 / 1.584962501 + 2 / 2 + 2 / 2.321928095 + 1 / 2.584962501
    assert metrics.ndcg(gains, [1, 2, 2, 3, 3], 10) == pytest.approx(dcg / ideal)
    assert metrics.ndcg(gains, [1, 2, 2, 3, 3], 10) == pytest.approx(0.9608, abs=1e-4)


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([1], 1.0),
        ([0, 1], 1 / math.log2(3)),
        ([0, 0, 0, 1], 1 / math.log2(5)),
        ([0] * 10 + [1], 0.0),
        ([], 0.0),
    ],
)
def test_ndcg_at_10_of_one_thing_to_find_depends_on_its_rank_alone(gains: list[float], expected: float) -> None:
    assert metrics.ndcg(gains, [1], 10) == pytest.approx(expected)


def test_ndcg_is_cut_where_one_chunk_holds_two_passages() -> None:
    assert metrics.ndcg([2], [1, 1], 10) == 1.0


def test_the_ideal_ranking_is_cut_at_k_too() -> None:
    assert metrics.ndcg([1, 1], [1] * 50, 2) == 1.0


def test_recall_counts_what_is_found_within_k() -> None:
    assert [metrics.recall([0, 1, 0, 2], 4, k) for k in (1, 2, 4, 10)] == [0.0, 0.25, 0.75, 0.75]


def test_reciprocal_rank_and_hit_look_at_the_first_gain() -> None:
    assert metrics.reciprocal_rank([0, 0, 2, 1], 10) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank([0, 0, 2, 1], 2) == 0.0
    assert (metrics.hit([0, 0, 1], 3), metrics.hit([0, 0, 1], 2)) == (1.0, 0.0)


def test_percentiles_lie_between_values() -> None:
    assert metrics.percentile([10, 20, 30, 40], 0.5) == 25
    assert metrics.percentile([10, 20, 30, 40], 0.95) == pytest.approx(38.5)
    assert metrics.percentile([], 0.5) == 0.0


def test_an_interval_holds_the_mean_and_narrows_with_more_questions() -> None:
    few, many = [0.0, 1.0] * 10, [0.0, 1.0] * 200
    low, high = metrics.interval(few)
    assert low < 0.5 < high
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(20), abs=0.07)
    assert metrics.interval(many)[1] - metrics.interval(many)[0] < (high - low) / 2
    assert metrics.interval([]) == (0.0, 0.0)


def test_few_differences_are_tested_exactly() -> None:
    """Six questions, all better by the same: 2 of the 2^6 exchanges are as extreme."""
    assert metrics.paired_p_value([1.0] * 6, [0.5] * 6) == pytest.approx(2 / 64)
    assert metrics.paired_p_value([0.3, 0.9], [0.3, 0.9]) == 1.0


def test_many_differences_are_sampled_and_tell_noise_from_gain() -> None:
    base = [0.5] * 60
    assert metrics.paired_p_value([0.7 if at % 2 else 0.3 for at in range(60)], base) > 0.5
    assert metrics.paired_p_value([0.6] * 60, base) < 0.001


def test_p_values_of_several_comparisons_are_adjusted_by_holm() -> None:
    assert metrics.adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert metrics.adjusted([]) == []
