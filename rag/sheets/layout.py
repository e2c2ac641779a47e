"""What the rows of a region are: titles above, one or more rows of column names, the body."""

import datetime as dt
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rag.errors import LimitExceededError
from rag.sheets.model import BOOLEAN, EMPTY, INTEGER, MOMENT, TEXT, Sheet, Value
from rag.sheets.places import Box

MAX_AREA: Final = 5_000_000
"""Cells of the rectangle of one region, empty ones included."""
_MAX_TITLE_ROWS: Final = 5
_MAX_HEADER_ROWS: Final = 5
_MAX_NAME_CHARS: Final = 200
_MAX_PLAIN_NAME_CHARS: Final = 60
_SAMPLE_ROWS: Final = 200
_YEARS: Final = range(1900, 2101)
_NOTE: Final = re.compile(r"(?:\*|†|\(\d\)|(?:source|note|notes|quelle|anmerkung|remark|fußnote|nb)\b)", re.IGNORECASE)
_MIN_NOTE_CHARS: Final = 40


class Grid:
    """A rectangle of a sheet, row by row; `index` is the position of each cell's value, -1 for none."""

    def __init__(self, sheet: Sheet, box: Box) -> None:
        if box.area > MAX_AREA:
            raise LimitExceededError(
                f"sheet '{sheet.name}': region {sheet.location(box)} spans {box.area:,} cells, more than {MAX_AREA:,}; "
                "name a smaller extraction_range"
            )
        self.sheet, self.box = sheet, box
        at = sheet.inside(box)
        self.index = np.full((box.height, box.width), -1, np.int32)
        self.kinds: NDArray[np.int8] = np.zeros((box.height, box.width), np.int8)
        rows, columns = sheet.rows[at] - box.top, sheet.columns[at] - box.left
        self.index[rows, columns] = at
        self.kinds[rows, columns] = sheet.kinds[at]
        self.filled = (self.kinds != EMPTY).sum(axis=1)
        self.spans = [
            Box(cut.top - box.top, cut.left - box.left, cut.bottom - box.top, cut.right - box.left)
            for span in sheet.spans
            if (cut := span.cut_to(box)) is not None and cut.area > 1
        ]

    @property
    def height(self) -> int:
        return self.box.height

    @property
    def width(self) -> int:
        return self.box.width

    def value(self, row: int, column: int) -> Value | None:
        at = self.index[row, column]
        return None if at < 0 else self.sheet.values[at]

    def single(self, row: int) -> int | None:
        """The column of the one filled cell of a row; None where there are none or several."""
        return int(np.flatnonzero(self.kinds[row])[0]) if self.filled[row] == 1 else None

    def is_bold(self, row: int) -> bool:
        cells = self.index[row][self.index[row] >= 0]
        return cells.size > 0 and all(self.sheet.style_of(int(self.sheet.styles[at])).is_bold for at in cells)

    def fill(self, row: int) -> str | None:
        cells = self.index[row][self.index[row] >= 0]
        return self.sheet.style_of(int(self.sheet.styles[cells[0]])).fill_color if cells.size else None


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows of a region from its top: `titles`, then `headers`, then the body; `notes` are the last rows."""

    titles: int
    headers: int
    notes: int


def layout_of(grid: Grid) -> Layout:
    titles = title_rows(grid)
    notes = note_rows(grid, titles)
    return Layout(titles, header_rows(grid, titles, grid.height - notes), notes)


def title_rows(grid: Grid) -> int:
    """Leading rows of one text each, above at least two rows of several cells."""
    if grid.width < 2:
        return 0
    count = 0
    while count < min(_MAX_TITLE_ROWS, grid.height - 1) and _is_title(grid, count):
        count += 1
    rest = grid.filled[count:]
    return count if rest.size >= 2 and rest[0] >= 1 and int((rest[:_SAMPLE_ROWS] >= 2).sum()) >= 1 else 0


def _is_title(grid: Grid, row: int) -> bool:
    if grid.filled[row] == 0:
        return row > 0
    column = grid.single(row)
    if column is None or grid.kinds[row, column] != TEXT:
        return False
    width = next((span.width for span in grid.spans if (span.top, span.left) == (row, column)), 1)
    return width == 1 or width >= grid.width - 1 or column == 0


def note_rows(grid: Grid, titles: int) -> int:
    """Last rows of one text in the first column that read like a footnote."""
    count = 0
    while grid.width >= 2 and grid.height - titles - count > 2 and _is_note(grid, grid.height - 1 - count):
        count += 1
    return count


def _is_note(grid: Grid, row: int) -> bool:
    if grid.single(row) != 0 or grid.kinds[row, 0] != TEXT:
        return False
    text = str(grid.value(row, 0))
    return _NOTE.match(text) is not None or (len(text) >= _MIN_NOTE_CHARS and " " in text)


def header_rows(grid: Grid, first: int, end: int) -> int:
    """How many rows from `first` name the columns; 0 where the body begins at once."""
    if end - first < 2 or not _names_columns(grid, first, end):
        return 0
    count = 1
    while count < min(_MAX_HEADER_ROWS, end - first - 1) and _goes_on(grid, first, first + count, end):
        count += 1
    return count if _is_supported(grid, first, first + count, end) else 0


def _names_columns(grid: Grid, row: int, end: int) -> bool:
    """Texts, or years and dates beside texts."""
    kinds, columns = grid.kinds[row], np.flatnonzero(grid.kinds[row])
    if columns.size == 0 or (columns.size < min(2, grid.width) and not _has_wide(grid, row)):
        return False
    texts = [str(grid.value(row, int(column))) for column in columns if kinds[column] == TEXT]
    others = [int(column) for column in columns if kinds[column] != TEXT]
    if any(len(text) > _MAX_NAME_CHARS for text in texts):
        return False
    return not others or (len(others) < grid.width and _are_periods(grid, row, others, end))


def _are_periods(grid: Grid, row: int, columns: list[int], end: int) -> bool:
    """Years or dates, one after another, above what is none: 2022, 2023, 2024."""
    values = [grid.value(row, column) for column in columns]
    if not all(_is_period(value) for value in values) or len({type(value) for value in values}) > 1:
        return False
    rising = list(pairwise(values))
    if not (all(a < b for a, b in rising) or all(a > b for a, b in rising)):  # type: ignore[operator]  # of one type
        return False
    below = [grid.value(row + 1, column) for column in columns] if row + 1 < end else []
    return not below or not all(_is_period(value) for value in below)


def _is_period(value: Value | None) -> bool:
    return isinstance(value, dt.datetime) or (type(value) is int and value in _YEARS)


def _has_wide(grid: Grid, row: int) -> bool:
    return any(span.top == row and span.width > 1 for span in grid.spans)


def _goes_on(grid: Grid, first: int, row: int, end: int) -> bool:
    """Whether the names above are completed by this row."""
    if not _names_columns(grid, row, end):
        return False
    if any(first <= span.top < row <= span.bottom for span in grid.spans):  # a name reaches down to here
        return True
    if _has_wide(grid, row - 1):
        return True
    is_under_blank = bool(np.any((grid.kinds[row] != EMPTY) & (grid.kinds[row - 1] == EMPTY)))
    return is_under_blank and _differs_from_body(grid, row, end)


def _differs_from_body(grid: Grid, row: int, end: int) -> bool:
    """Whether a text stands above a column that is mostly something else."""
    body = grid.kinds[row + 1 : min(end, row + 1 + _SAMPLE_ROWS)]
    filled, other = (body != EMPTY).sum(axis=0), ((body != EMPTY) & (body != TEXT)).sum(axis=0)
    is_name = (grid.kinds[row] == TEXT) | (grid.kinds[row] == INTEGER) | (grid.kinds[row] == MOMENT)
    return bool(np.any(is_name & (filled > 0) & (other * 2 > filled)))


def _is_supported(grid: Grid, first: int, body: int, end: int) -> bool:
    """By what the body holds, by how the names look, or by their being unlike the texts below them."""
    if _differs_from_body(grid, body - 1, end) or _looks_apart(grid, first, body):
        return True
    names = [grid.value(body - 1, column) for column in range(grid.width)]
    found = [str(name) for name in names if name is not None]
    if len(found) < 0.8 * grid.width or len(set(found)) < len(found) or grid.width < 2:
        return False
    if any(len(name) > _MAX_PLAIN_NAME_CHARS for name in found):
        return False
    rows = range(body, min(end, body + _SAMPLE_ROWS))
    return not any(name is not None and name == grid.value(row, at) for at, name in enumerate(names) for row in rows)


def _looks_apart(grid: Grid, first: int, body: int) -> bool:
    if grid.is_bold(body - 1) and not grid.is_bold(body):
        return True
    fill = grid.fill(first)
    return fill is not None and fill == grid.fill(body - 1) and fill != grid.fill(body)


def is_table(grid: Grid, layout: Layout) -> bool:
    """Rows of several columns: with names above them, or enough and dense enough to be a table without."""
    body = grid.height - layout.titles - layout.headers - layout.notes
    if layout.headers and body >= 1:
        return grid.width >= 2 or body >= 2
    density = float((grid.kinds != EMPTY).mean())
    return grid.width >= 2 and grid.height >= 3 and density >= 0.5 and _is_regular(grid)


def _is_regular(grid: Grid) -> bool:
    """Whether each column holds mostly one kind of value, and not all of them texts."""
    kinds = np.where(grid.kinds == INTEGER, INTEGER + 1, grid.kinds)
    counts = np.stack([(kinds == kind).sum(axis=0) for kind in range(1, 9)])
    most, filled = counts.max(axis=0), counts.sum(axis=0)
    is_data = counts[TEXT:].sum() > 0 or bool(counts[BOOLEAN - 1].any())
    return is_data and bool(np.all(most * 5 >= filled * 4))
