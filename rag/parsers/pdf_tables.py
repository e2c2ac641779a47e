"""Cells that stand under each other → a Markdown table; no table where prose only happens to line up."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median

from rag.parsers.pdf_page import Line, Rule
from rag.parsers.pdf_text import HYPHEN_MARK
from rag.parsers.tables import markdown_table

Row = list[Line]
Cells = Mapping[int, Line]

_MIN_ROWS, _MIN_ROWS_OF_TWO_COLUMNS, _MIN_ROWS_RULED = 3, 4, 2
_MIN_FULL_SHARE = 0.5
_MIN_ALIGNED_SHARE = 0.75
_ALIGNED_POINTS = 2.5
_MAX_CELL_CHARS = 40
_CONTINUED_HEIGHTS = 1.6
_RULE_SLACK = 3.0
_HAS_DIGIT = re.compile(r"\d")


def as_table(rows: Sequence[Row], cells: Sequence[Cells], column_count: int, rules: Sequence[Rule]) -> str | None:
    """The table in Markdown; None if this is none.

    Args:
        rows: top row first.
        cells: of each row, column number → what stands in it.
        rules: every rule of the page.
    """
    levels = _levels(rows, rules)
    is_ruled = len(levels) >= 2
    if not _is_table(cells, column_count, is_ruled=is_ruled):
        return None
    groups = _between_rules(rows, cells, levels) if len(levels) >= 3 else []
    if len(groups) < _MIN_ROWS_RULED or not _is_one_row_each(groups, len(cells)):
        groups = _continued(rows, cells)
    return markdown_table([_texts(group, column_count) for group in groups])


def _is_table(cells: Sequence[Cells], column_count: int, *, is_ruled: bool) -> bool:
    full = [row for row in cells if len(row) > 1]
    if is_ruled:
        return len(full) >= _MIN_ROWS_RULED
    needed = _MIN_ROWS_OF_TWO_COLUMNS if column_count == 2 else _MIN_ROWS
    if len(full) < needed or len(full) < _MIN_FULL_SHARE * len(cells):
        return False
    columns = [[row[column] for row in cells if column in row] for column in range(column_count)]
    return all(_is_aligned(column) for column in columns if len(column) > 1) and any(
        median(len(line.text) for line in column) <= _MAX_CELL_CHARS for column in columns if column
    )


def _is_aligned(column: Sequence[Line]) -> bool:
    """Whether most cells share their left edge, their right edge or their middle."""
    for places in (
        [line.left for line in column],
        [line.right for line in column],
        [(line.left + line.right) / 2 for line in column],
    ):
        middle = median(places)
        if sum(abs(place - middle) <= _ALIGNED_POINTS for place in places) >= _MIN_ALIGNED_SHARE * len(places):
            return True
    return False


def _levels(rows: Sequence[Row], rules: Sequence[Rule]) -> list[float]:
    """Heights of the horizontal rules over and between the rows, top first."""
    left, right = min(row[0].left for row in rows), max(row[-1].right for row in rows)
    top, bottom = rows[0][0].top, rows[-1][0].bottom
    slack = rows[0][0].height
    found = sorted(
        (
            (rule.y0 + rule.y1) / 2
            for rule in rules
            if rule.is_horizontal
            and rule.x0 < right
            and rule.x1 > left
            and bottom - slack <= (rule.y0 + rule.y1) / 2 <= top + slack
        ),
        reverse=True,
    )
    return [level for index, level in enumerate(found) if not index or found[index - 1] - level > _RULE_SLACK]


def _between_rules(rows: Sequence[Row], cells: Sequence[Cells], levels: Sequence[float]) -> list[list[Cells]]:
    """Rows that stand between the same two rules are one row of the table."""
    groups: dict[int, list[Cells]] = {}
    rising = [-level for level in levels]
    for row, row_cells in zip(rows, cells, strict=True):
        middle = (row[0].bottom + row[0].top) / 2
        groups.setdefault(bisect_left(rising, -middle), []).append(row_cells)
    return [groups[key] for key in sorted(groups)]


def _is_one_row_each(groups: Sequence[Sequence[Cells]], row_count: int) -> bool:
    """Not where rules stand only around the head and the foot: then most rows fall into one group."""
    return max(len(group) for group in groups) <= max(2, row_count // 2)


def _continued(rows: Sequence[Row], cells: Sequence[Cells]) -> list[list[Cells]]:
    """A row close below that holds the rest of one cell goes on with the row above it."""
    groups: list[list[Cells]] = [[cells[0]]]
    for (above, below), row_cells in zip(pairwise(rows), cells[1:], strict=True):
        is_close = above[0].bottom - below[0].bottom <= _CONTINUED_HEIGHTS * above[0].height
        if is_close and len(groups) > 1 and _is_rest(row_cells):
            groups[-1].append(row_cells)
        else:
            groups.append([row_cells])
    return groups


def _is_rest(cells: Cells) -> bool:
    return len(cells) == 1 and 0 not in cells and not _HAS_DIGIT.search(next(iter(cells.values())).text)


def _texts(group: Sequence[Cells], column_count: int) -> list[str]:
    return [_joined([row[column] for row in group if column in row]) for column in range(column_count)]


def _joined(lines: Sequence[Line]) -> str:
    if len(lines) == 1:
        return lines[0].text.strip(f" {HYPHEN_MARK}")
    return "".join(line.text + (HYPHEN_MARK if line.is_broken else "\n") for line in lines).strip(f" \n{HYPHEN_MARK}")
