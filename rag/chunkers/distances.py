"""How far the meaning of texts is apart: by an embedder's vectors, or by their words where there is none."""

import math
import re
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rag.chunkers.base import Distances
from rag.types import Matrix

Numbers = NDArray[np.float32]

BATCH_SIZE = 256
"""Texts that are embedded at once; between two batches a cancel is noticed."""

_WORD = re.compile(r"\w{3,}")


def distances_by(
    embed: Callable[[list[str]], Matrix], on_batch: Callable[[int], None] = lambda _done: None
) -> Distances:
    """Cosine distances of the vectors that `embed` gives.

    Args:
        embed: of unit length, as embedders promise.
        on_batch: called with the number of texts done; may raise CancelledTaskError.
    """

    def distances(texts: list[str], lag: int) -> Numbers:
        found = [np.empty(0, dtype=np.float32)]
        last: Matrix | None = None
        for start in range(0, len(texts), BATCH_SIZE):
            vectors = embed(texts[start : start + BATCH_SIZE])
            rows = vectors if last is None else np.concatenate([last, vectors])
            found.append(1 - np.einsum("ij,ij->i", rows[:-lag], rows[lag:]))
            last = rows[-lag:]
            on_batch(min(start + BATCH_SIZE, len(texts)))
        return np.concatenate(found)

    return distances


def word_distances(texts: list[str], lag: int) -> Numbers:
    """Cosine distances of the counts of words, for scripts without a model."""
    bags = [Counter(word.lower() for word in _WORD.findall(text)) for text in texts]
    return np.array([1 - _likeness(first, second) for first, second in zip(bags, bags[lag:])], dtype=np.float32)  # noqa: B905  # the last ones have none


def _likeness(first: Counter[str], second: Counter[str]) -> float:
    shared = sum(count * second[word] for word, count in first.items() if word in second)
    if not shared:
        return 0.0
    norms = [math.sqrt(sum(count * count for count in bag.values())) for bag in (first, second)]
    return shared / (norms[0] * norms[1])
