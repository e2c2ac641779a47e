"""Packs small pieces of text into chunks: as many as fit, the last ones repeated as overlap.

Every limit – characters, tokens, rows, "stay on one page" – is a pair of rising numbers per piece, `low` where it
begins and `high` where it ends. A run of pieces i … j has the size `high[j] - low[i]`, so packing is a few binary
searches per chunk, whatever the unit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.chunkers.spans import Finder, Positions, Spans

CUT_CHARS = 64
"""Length of the pieces that a word over the limit is cut into: short enough for overlap to work."""


@dataclass(frozen=True, slots=True)
class Measure:
    """The extent of each piece in one unit, and how much of it a chunk may hold and repeat.

    A chunk that begins with a piece has `reserve` of that piece less room: something else is put before it.
    """

    low: Positions
    high: Positions
    limit: int
    overlap: int
    reserve: Positions | int = 0

    @property
    def sizes(self) -> Positions:
        return self.high - self.low

    @property
    def limits(self) -> Positions:
        """For chunks that begin with each piece."""
        return np.broadcast_to(self.limit - self.reserve, len(self.low))


Rule: TypeAlias = Callable[[Spans], Measure]


def refine(
    text: str, spans: Spans, finders: Sequence[Finder], rules: Sequence[Rule], join: Callable[[Spans], Spans]
) -> Spans:
    """Replace each span over a limit by finer parts; after the last finder, a word is cut at fixed lengths.

    Args:
        finders: coarse to fine.
        join: applied after each finder; joins what should not be parted.
    """
    for finder in finders:
        over = _over(spans, rules)
        if not over.any():
            return spans
        spans = join(_replaced(spans, over, lambda start, end, find=finder: find(text[start:end]) + start))  # type: ignore[misc]  # mypy infers no type for a lambda with defaults
    over = _over(spans, rules)
    if not over.any():
        return spans
    measures = [rule(spans) for rule in rules]
    fits = np.min([(spans[:, 1] - spans[:, 0]) * m.limits // np.maximum(m.sizes, 1) for m in measures], axis=0)
    steps = dict(zip(spans[over, 0].tolist(), fits[over].tolist(), strict=True))
    return _replaced(spans, over, lambda start, end: _cut(start, end, steps[start]))


def pack(measures: Sequence[Measure]) -> list[tuple[int, int]]:
    """Group pieces into runs.

    Returns:
        (first piece, last piece) of each run, both included. Runs hold as many pieces as every limit allows, at
        least one; each begins with the last pieces of the run before it, as far as every overlap allows.
    """
    piece_count = len(measures[0].low)
    reach = [m.low + m.limits for m in measures]
    runs: list[tuple[int, int]] = []
    first = last = 0
    while last < piece_count:
        fitting = (
            min(int(np.searchsorted(m.high, to[first], "right")) for m, to in zip(measures, reach, strict=True)) - 1
        )
        last = max(first, last, fitting)
        runs.append((first, last))
        last += 1
        if last < piece_count:
            first = min(last, max(_repeat_from(m, last) for m in measures))
            if any(m.high[last] > to[first] for m, to in zip(measures, reach, strict=True)):
                first = last  # the overlap leaves no room for what comes before it
    return runs


def _repeat_from(measure: Measure, following: int) -> int:
    """First piece that the run ending with piece `following` may begin with."""
    within_overlap = np.searchsorted(measure.low, measure.high[following - 1] - measure.overlap, "left")
    within_limit = np.searchsorted(measure.low, measure.high[following] - measure.limit, "left")
    return int(max(within_overlap, within_limit))


def _over(spans: Spans, rules: Sequence[Rule]) -> NDArray[np.bool_]:
    over = np.zeros(len(spans), dtype=np.bool_)
    for rule in rules:
        measure = rule(spans)
        over |= measure.sizes > measure.limits
    return over


def _replaced(spans: Spans, chosen: NDArray[np.bool_], finer: Callable[[int, int], Spans]) -> Spans:
    parts: list[Spans] = []
    done = 0
    for index in np.flatnonzero(chosen).tolist():
        parts.append(spans[done:index])
        parts.append(finer(*spans[index].tolist()))
        done = index + 1
    parts.append(spans[done:])
    return np.concatenate(parts)


def _cut(start: int, end: int, fit: int) -> Spans:
    edges = np.append(np.arange(start, end, max(1, min(fit, CUT_CHARS)), dtype=np.int64), end)
    return np.stack([edges[:-1], edges[1:]], axis=1)
