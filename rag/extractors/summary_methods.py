"""Ways to weigh the sentences of a text. Each takes the words of every sentence, in lower case and in order, and
returns one weight per sentence; weights compare only within one call."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.extractors.words import STOP_WORDS

Sentences = Sequence[Sequence[str]]
Numbers = NDArray[np.float64]

_DAMPING = 0.85
_ROUNDS = 60
_ALIKE = 0.1
_GAP = 4
_TOPIC_SHARE = 0.5


def textrank(sentences: Sentences) -> list[float]:
    """Mihalcea and Tarau, "TextRank: bringing order into text", 2004: words that two sentences share, by length."""
    sets = [set(bag) for bag in _bags(sentences)]
    likeness = np.zeros((len(sets), len(sets)))
    for first, words in enumerate(sets):
        for second in range(first + 1, len(sets)):
            shared = len(words & sets[second])
            scale = math.log(len(words) + 1) + math.log(len(sets[second]) + 1)
            likeness[first, second] = likeness[second, first] = shared / scale if shared else 0.0
    return _ranked(likeness)


def lexrank(sentences: Sentences) -> list[float]:
    """Erkan and Radev, "LexRank", 2004: a graph of the sentences whose words, weighed by rarity, are alike."""
    matrix = _by_rarity(_bags(sentences))
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = matrix / np.where(norms > 0, norms, 1)
    alike = (unit @ unit.T > _ALIKE).astype(np.float64)
    np.fill_diagonal(alike, 0)
    return _ranked(alike)


def lsa(sentences: Sentences) -> list[float]:
    """Steinberger and Ježek, "Using latent semantic analysis in text summarization", 2004."""
    matrix = _by_rarity(_bags(sentences))
    if not matrix.any():
        return [0.0] * len(sentences)
    topics, strengths, _ = np.linalg.svd(matrix, full_matrices=False)
    count = max(1, int((strengths >= _TOPIC_SHARE * strengths[0]).sum()))
    weights: list[float] = np.sqrt(((topics[:, :count] * strengths[:count]) ** 2).sum(axis=1)).tolist()
    return weights


def luhn(sentences: Sentences) -> list[float]:
    """Luhn, "The automatic creation of literature abstracts", 1958: frequent words that stand near each other."""
    counts = Counter(word for bag in _bags(sentences) for word in bag.elements())
    frequent = {word for word, count in counts.items() if count > 1} or set(counts)
    return [_densest([index for index, word in enumerate(words) if word in frequent]) for words in sentences]


METHODS: dict[str, Callable[[Sentences], list[float]]] = {
    "textrank": textrank,
    "lexrank": lexrank,
    "lsa": lsa,
    "luhn": luhn,
}


def _bags(sentences: Sentences) -> list[Counter[str]]:
    return [Counter(word for word in words if len(word) > 1 and word not in STOP_WORDS) for words in sentences]


def _by_rarity(bags: Sequence[Counter[str]]) -> Numbers:
    """Row per sentence, column per word: its count, weighed by in how few sentences it stands."""
    spread = Counter(word for bag in bags for word in bag)
    column = {word: index for index, word in enumerate(spread)}
    matrix = np.zeros((len(bags), max(1, len(column))))
    for row, bag in enumerate(bags):
        for word, count in bag.items():
            matrix[row, column[word]] = count * (math.log(len(bags) / spread[word]) + 1)
    return matrix


def _ranked(likeness: Numbers) -> list[float]:
    """PageRank over a symmetric matrix of weights."""
    totals = likeness.sum(axis=0)
    moves = likeness / np.where(totals > 0, totals, 1)
    rank = np.ones(len(likeness))
    for _ in range(_ROUNDS):
        rank = 1 - _DAMPING + _DAMPING * moves @ rank
    weights: list[float] = rank.round(9).tolist()
    return weights


def _densest(places: Sequence[int]) -> float:
    """The best cluster's count squared by its length; clusters end where more than four other words stand between."""
    best, first, count = 0.0, 0, 0
    for position, place in enumerate(places):
        if count and place - places[position - 1] > _GAP:
            count = 0
        if not count:
            first = place
        count += 1
        best = max(best, count * count / (place - first + 1))
    return best
