"""Runs of pages, from the labels of single ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import numpy as np

from rag.splitting.evidence import Scores
from rag.splitting.smoothing import best_labels, chances

Policy: TypeAlias = Literal["include", "forbid", "omit"]
Confidence: TypeAlias = Literal["high", "medium", "low"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
UNCATEGORIZED = "uncategorized"
NEW_DOCUMENT = 0.8
"""From this chance on, a document begins although the one before it is of the same category."""
HIGH, MEDIUM = 0.85, 0.6


@dataclass(frozen=True, slots=True)
class Segment:
    """`pages` are consecutive numbers."""

    category: str
    confidence: float
    pages: tuple[int, ...]

    @property
    def level(self) -> Confidence:
        if self.confidence >= HIGH:
            return "high"
        return "medium" if self.confidence >= MEDIUM else "low"


def make_segments(
    names: Sequence[str], numbers: Sequence[int], scores: Scores, starts: Sequence[float], policy: Policy
) -> list[Segment]:
    """
    Args:
        names: of the categories.
        numbers: of the pages, ascending.
        scores: shape (pages, categories + 1), see `Evidence`.
        starts: of each page, the chance that a document begins with it.

    Returns:
        In the order of pages, without overlap. `forbid`: every page is in one, and each has a category of `names`.
        `include`: every page is in one; some are `uncategorized`. `omit`: as `include`, less those.
    """
    if policy == "forbid":
        scores = scores[:, :-1]
    labels, sure = best_labels(scores, starts), chances(scores, starts)
    found = []
    for first, end in _runs(labels.tolist(), numbers, starts):
        label = int(labels[first])
        if label == len(names) and policy == "omit":
            continue
        name = names[label] if label < len(names) else UNCATEGORIZED
        found.append(Segment(name, _together(sure[first:end, label]), tuple(numbers[first:end])))
    return found


def merge_short(segments: Sequence[Segment], min_pages: int) -> list[Segment]:
    """Segments of fewer pages join the one before, or at the beginning the one behind, where no page lies between."""
    found: list[Segment] = []
    for each in segments:
        if found and _touch(found[-1], each) and min(len(found[-1].pages), len(each.pages)) < min_pages:
            before = found.pop()
            longer = before if len(before.pages) >= len(each.pages) else each
            each = replace(longer, pages=(*before.pages, *each.pages))
        found.append(each)
    return found


def _touch(before: Segment, after: Segment) -> bool:
    return before.pages[-1] + 1 == after.pages[0]


def _runs(labels: Sequence[int], numbers: Sequence[int], starts: Sequence[float]) -> list[tuple[int, int]]:
    cuts = [
        at
        for at in range(1, len(labels))
        if labels[at] != labels[at - 1] or numbers[at] != numbers[at - 1] + 1 or starts[at] >= NEW_DOCUMENT
    ]
    edges = [0, *cuts, len(labels)]
    return [(first, end) for first, end in pairwise(edges) if first < end]


def _together(chances_of_pages: Scores) -> float:
    """The geometric mean: one doubtful page makes the whole doubtful."""
    return float(np.exp(np.log(np.maximum(chances_of_pages, 1e-12)).mean()))
