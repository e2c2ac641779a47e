"""Which filled cells belong together: those that touch, also at a corner, until no two rectangles overlap."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rag.sheets.model import Ints, Sheet
from rag.sheets.places import MAX_COLUMNS, Box

MAX_BOXES: Final = 500
"""Of one sheet. Where cells are strewn so thinly that there would be more, larger gaps are bridged."""


def boxes_of(sheet: Sheet) -> list[Box]:
    """Rectangles that do not overlap and together hold every filled cell, from the top."""
    if not sheet.values:
        return []
    reach = 1
    labels = _labels(sheet.rows, sheet.columns)
    while labels.max() >= MAX_BOXES:
        reach *= 2
        labels = _coarse_labels(sheet, reach)
    boxes = _bounds(sheet, labels)
    used = boxes[0]
    for box in boxes:
        used = used.joined(box)
    owner = dict(enumerate(boxes))
    for span in sheet.spans:
        at = sheet.inside(Box(span.top, span.left, span.top, span.left))
        shown = span.cut_to(used)
        if at.size and shown is not None:
            label = int(labels[at[0]])
            owner[label] = owner[label].joined(shown)
    return sorted(_joined(list(owner.values())), key=lambda box: (box.top, box.left))


def _coarse_labels(sheet: Sheet, reach: int) -> NDArray[np.int64]:
    """As if each square of `reach` rows and columns were one cell."""
    keys = (sheet.rows // reach).astype(np.int64) * MAX_COLUMNS + sheet.columns // reach
    squares, place = np.unique(keys, return_inverse=True)
    rows, columns = (squares // MAX_COLUMNS).astype(np.int32), (squares % MAX_COLUMNS).astype(np.int32)
    return _labels(rows, columns)[place]


def _labels(rows: Ints, columns: Ints) -> NDArray[np.int64]:
    """For each cell the number of what it belongs to, from 0; cells are in the order of the sheet."""
    is_first = np.ones(rows.size, bool)
    is_first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] > columns[:-1] + 1)
    starts = np.flatnonzero(is_first)
    ends = np.append(starts[1:], rows.size) - 1
    runs = list(zip(rows[starts].tolist(), columns[starts].tolist(), columns[ends].tolist(), strict=True))
    parents = list(range(len(runs)))
    for one, other in _touching(runs):
        a, b = _root(parents, one), _root(parents, other)
        parents[max(a, b)] = min(a, b)
    roots = np.array([_root(parents, run) for run in range(len(runs))], np.int64)
    _, numbers = np.unique(roots, return_inverse=True)
    return np.asarray(numbers[np.cumsum(is_first) - 1], np.int64)


def _touching(runs: list[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """Pairs of runs in neighbouring rows, by number: one pass with two places."""
    above = 0
    for number, (row, first, last) in enumerate(runs):
        while above < number and (runs[above][0] < row - 1 or _is_left_of(runs[above], row, first)):
            above += 1
        at = above
        while at < number and runs[at][0] == row - 1 and runs[at][1] <= last + 1:
            yield at, number
            at += 1


def _is_left_of(run: tuple[int, int, int], row: int, first: int) -> bool:
    return run[0] == row - 1 and run[2] < first - 1


def _root(parents: list[int], run: int) -> int:
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


def _bounds(sheet: Sheet, labels: NDArray[np.int64]) -> list[Box]:
    count = int(labels.max()) + 1
    tops, lefts = np.full(count, 1 << 30), np.full(count, 1 << 30)
    bottoms, rights = np.full(count, -1), np.full(count, -1)
    np.minimum.at(tops, labels, sheet.rows)
    np.maximum.at(bottoms, labels, sheet.rows)
    np.minimum.at(lefts, labels, sheet.columns)
    np.maximum.at(rights, labels, sheet.columns)
    edges = zip(tops.tolist(), lefts.tolist(), bottoms.tolist(), rights.tolist(), strict=True)
    return [Box(*each) for each in edges]


def _joined(pending: list[Box]) -> list[Box]:
    apart: list[Box] = []
    while pending:
        box = pending.pop()
        hit = next((at for at, other in enumerate(apart) if box.overlaps(other)), None)
        if hit is None:
            apart.append(box)
        else:
            pending.append(box.joined(apart.pop(hit)))
    return apart
