"""What the best hits have in common, found in the vectors that are stored already: no model and no second search."""

from collections.abc import Mapping, Sequence

import numpy as np

from rag.retrievers.fuse import Values, min_max
from rag.types import Hit, Matrix

BEST = 10
"""Hits that are asked. How much each says falls with its distance from the first, so that more change nothing."""
DECAY = 0.05
"""Of the fused value in [0, 1]: who is so far behind the first says a third of what the first says."""


def nearness_to_best(hits: Sequence[Hit], fused: Mapping[str, float]) -> Values:
    """How near each hit is to the best ones, in [0, 1].

    A short question is a poor sketch of what is looked for; the chunks that words and vectors agree on are a better
    one. Where one hit is far ahead (a thing that is known by its name) the others have no say, and it stays first;
    where many are about equal (a topic) their middle is what they are compared with.

    Args:
        hits: distinct; those without a vector count as the farthest.
        fused: value in [0, 1] of every hit; more is better.

    Source:
        Rocchio, "Relevance Feedback in Information Retrieval", 1971; the weights follow Lavrenko and Croft,
        "Relevance-Based Language Models", SIGIR 2001.
    """
    known = [hit for hit in hits if hit.vector is not None]
    if not known:
        return {}
    matrix: Matrix = np.stack([hit.vector for hit in known if hit.vector is not None])
    values = np.array([fused[hit.id] for hit in known])
    best = np.argsort(-values, kind="stable")[:BEST]
    weights = np.exp((values[best] - values[best[0]]) / DECAY)
    middle = weights @ matrix[best]
    return min_max(dict(zip([hit.id for hit in known], (matrix @ middle).tolist(), strict=True)))
