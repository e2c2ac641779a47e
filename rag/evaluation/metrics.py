"""Measures of one ranking, and what can be said of the mean over many questions. Pure functions.

A ranking is told as its `gains`: at each rank, the grade of what is found there and was not found at a rank before
(0 for nothing new), best rank first. `grades` are those of everything that there is to find, in any order. With one
grade for all, gains are 0 and 1 and every measure is the usual binary one.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Of a bootstrap or a randomisation test; p-values are therefore told to about 0.01."""


def ndcg(gains: Sequence[float], grades: Sequence[float], k: int) -> float:
    """Normalised discounted cumulative gain: DCG of the first k ranks over that of the best possible ranking.

    DCG = sum of gain / log2(rank + 1), with the gain itself as numerator, as `trec_eval` and BEIR compute it.
    A passage of text may hold several of the things to find, so that a ranking could do better than one at a rank:
    the result is cut at 1.

    Source:
        Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20(4), 2002.
    """
    ideal = _dcg(sorted(grades, reverse=True)[:k])
    return min(1.0, _dcg(gains[:k]) / ideal) if ideal > 0 else 0.0


def recall(found_counts: Sequence[int], target_count: int, k: int) -> float:
    """Share of the `target_count` things to find that the first k ranks hold.

    Args:
        found_counts: at each rank, how many are found there for the first time.
    """
    return sum(found_counts[:k]) / target_count if target_count else 0.0


def reciprocal_rank(gains: Sequence[float], k: int) -> float:
    """1 / rank of the first gain within k ranks, else 0; its mean is the MRR.

    Source:
        Voorhees, "The TREC-8 Question Answering Track Report", 1999.
    """
    return next((1 / rank for rank, gain in enumerate(gains[:k], start=1) if gain > 0), 0.0)


def hit(gains: Sequence[float], k: int) -> float:
    """1 if anything is found within k ranks, else 0; its mean is the hit rate."""
    return float(any(gain > 0 for gain in gains[:k]))


def percentile(values: Sequence[float], share: float) -> float:
    """With linear interpolation between the two nearest values; `share` in [0, 1]; 0 for no values."""
    return float(np.quantile(np.asarray(values, dtype=float), share)) if len(values) else 0.0


def interval(values: Sequence[float], *, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """A confidence interval of the mean, by the percentile bootstrap over questions.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    sample = np.asarray(values, dtype=float)
    if sample.size == 0:
        return 0.0, 0.0
    means = _resampled_means(sample, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_p_value(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> float:
    """How often the difference of two means would be at least this large if the two were alike, question by question.

    A two-sided paired randomisation test: under the hypothesis, the two values of a question may be exchanged. All
    2^n exchanges are tried where they are few, else a sample of them, which counts the one that was observed.

    Source:
        Smucker, Allan and Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval
        Evaluation", CIKM 2007.
    """
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    differences = differences[differences != 0]
    if differences.size == 0:
        return 1.0
    observed = abs(float(differences.sum())) - 1e-12
    if differences.size <= 11:
        patterns = np.arange(2**differences.size)[:, None] >> np.arange(differences.size) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ differences) >= observed))
    generator = np.random.default_rng(seed)
    signs = generator.integers(0, 2, size=(RESAMPLES, differences.size)) * 2 - 1
    as_large = int(np.count_nonzero(np.abs(signs @ differences) >= observed))
    return (as_large + 1) / (RESAMPLES + 1)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """P-values of several comparisons as they count together, in the order of the input.

    Source:
        Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    found, highest = [0.0] * len(p_values), 0.0
    for step, position in enumerate(order):
        highest = max(highest, min(1.0, p_values[position] * (len(p_values) - step)))
        found[position] = highest
    return found


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _resampled_means(sample: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    # In slices: 2,000 resamples of 1,000 questions at once would be 16 MB for each configuration.
    slices = [sample[generator.integers(0, sample.size, size=(200, sample.size))].mean(axis=1) for _ in range(10)]
    return np.concatenate(slices)
