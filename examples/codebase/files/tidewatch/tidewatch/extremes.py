"""Finds high and low waters between two moments."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

SAMPLE = timedelta(minutes=20)
TOLERANCE = timedelta(seconds=30)
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def high_waters(height: Callable[[datetime], float], start: datetime, end: datetime) -> Iterator[datetime]:
    """The times of all high waters in order."""
    before, when = start, start + SAMPLE
    while when + SAMPLE <= end:
        after = when + SAMPLE
        if height(before) < height(when) >= height(after):
            yield golden_section_search(height, before, after)
        before, when = when, after


def golden_section_search(height: Callable[[datetime], float], left: datetime, right: datetime) -> datetime:
    """Narrow the highest point between `left` and `right` down to TOLERANCE."""
    while right - left > TOLERANCE:
        inner_left = right - GOLDEN_RATIO * (right - left)
        inner_right = left + GOLDEN_RATIO * (right - left)
        if height(inner_left) < height(inner_right):
            left = inner_left
        else:
            right = inner_right
    return left + (right - left) / 2
