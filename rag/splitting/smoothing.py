"""Labels of a row of pages: what each page says of itself, and that neighbours mostly belong together.

A chain in which a label changes cheaply where a document begins, and dearly inside of one. Both passes take time and
memory in proportion to pages × labels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.splitting.evidence import Scores

LEAST = 0.03


def change_weights(starts: Sequence[float]) -> Scores:
    """What another label than that of the page before counts, where the same label counts 1: nothing speaks against the
    same label even where a document begins."""
    return LEAST + (1 - LEAST) * np.asarray(starts, dtype=np.float64)


def best_labels(scores: Scores, starts: Sequence[float]) -> NDArray[np.int64]:
    """The most likely row of labels (Viterbi)."""
    count = len(scores)
    change = np.log(change_weights(starts))
    came_from = np.zeros(scores.shape, dtype=np.int64)
    total = scores[0].copy() if count else np.zeros(0)
    for at in range(1, count):
        best = int(total.argmax())
        changed, stayed = total[best] + change[at], total
        came_from[at] = np.where(stayed >= changed, np.arange(scores.shape[1]), best)
        total = np.maximum(stayed, changed) + scores[at]
    labels = np.zeros(count, dtype=np.int64)
    if count:
        labels[-1] = int(total.argmax())
    for at in range(count - 1, 0, -1):
        labels[at - 1] = came_from[at, labels[at]]
    return labels


def chances(scores: Scores, starts: Sequence[float]) -> Scores:
    """Of each page the chance of each label, given all pages (forward and backward); rows add up to 1."""
    if not len(scores):
        return scores.copy()
    own = np.exp(scores - scores.max(axis=1, keepdims=True))
    change = change_weights(starts)
    ahead, back = own.copy(), np.ones_like(own)
    for at in range(1, len(own)):
        ahead[at] = own[at] * _passed_on(ahead[at - 1], change[at])
        ahead[at] /= ahead[at].sum()
    for at in range(len(own) - 2, -1, -1):
        back[at] = _passed_on(own[at + 1] * back[at + 1], change[at + 1])
        back[at] /= back[at].sum()
    both = ahead * back
    found: Scores = both / both.sum(axis=1, keepdims=True)
    return found


def _passed_on(from_: Scores, change: float) -> Scores:
    """What a label gets from the page beside it: its own share, or that of all others."""
    passed: Scores = change * (from_.sum() - from_) + from_
    return passed
