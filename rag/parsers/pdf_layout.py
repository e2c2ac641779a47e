"""Reading order of a page: rows, columns and tables from the places of its words.

From the top down, rows that share an empty strip (a gutter) form a band. A band whose columns are filled like prose is
read column by column; one whose cells stand under each other, or between drawn rules, is a table; anything else is
read line by line. Method: recursive cuts along white space, as in Nagy and Seth, "Hierarchical representation of
optically scanned documents" (1984), with bands instead of recursion.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from statistics import median

from rag.parsers.pdf_page import Line, Rule
from rag.parsers.pdf_tables import Cells, Row, as_table

GAP_HEIGHTS = 0.75
"""A gap wider than this many line heights parts two pieces of a row."""

_SAME_ROW_HEIGHTS = 0.4
_MIN_GUTTER_HEIGHTS = 0.45
_MAX_BAND_GAP_HEIGHTS = 4.0
_MIN_TABLE_SPACE_HEIGHTS = 0.5
_WIDER, _ROWS_LOOKED_AT = 1.4, 30
_MIN_COLUMN_ROWS = 3
_MIN_COLUMN_FILL = 0.6
_MIN_COLUMN_CHARS = 14
_MAX_COLUMNS = 4
_SLACK_POINTS = 0.1
_MIN_GAP_POINTS = 4.0
_LIST_MARK = re.compile(r"[•▪◦➢✓–—\-*\uf0b7\uf0a7\uf0d8\uf0fc\uf0a8]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]")
_MAX_MARK_CHARS = 7

Interval = tuple[float, float]
_EVERYWHERE: Interval = (float("-inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page, already as Markdown."""

    text: str


Block = list[Line] | Table


@dataclass(slots=True)
class _Band:
    """Rows below each other. `left` and `right` are its outermost edges, `gaps` what is empty in every row.

    Args:
        gutters: gaps with text on both sides.
    """

    rows: list[Row]
    left: float
    right: float
    gaps: list[Interval]
    gutters: list[Interval] = field(init=False)

    def __post_init__(self) -> None:
        self.gutters = [gap for gap in self.gaps if gap[0] >= self.left and gap[1] <= self.right]

    def grown(self, row: Row) -> "_Band":
        """The band with another row; both share the list of rows."""
        left, right = min(self.left, row[0].left), max(self.right, row[-1].right)
        return _Band(self.rows, left, right, _common(self.gaps, _free(row)))


def _band(row: Row) -> _Band:
    return _Band([row], row[0].left, row[-1].right, _free(row))


def arrange(words: Iterable[Line], rules: Sequence[Rule] = (), *, finds_tables: bool = True) -> list[Block]:
    """The blocks of a page in reading order: lines that follow each other, and tables."""
    rows = [_pieces(row) for row in _rows(words)]
    blocks: list[Block] = []
    may_go_on = False  # columns are a block of their own
    for band in _bands(rows):
        for block, is_columns in _read(band, rules, finds_tables=finds_tables):
            if may_go_on and not is_columns and isinstance(block, list) and isinstance(blocks[-1], list):
                blocks[-1].extend(block)
            else:
                blocks.append(block)
            may_go_on = not is_columns
    return blocks


def _rows(words: Iterable[Line]) -> list[list[Line]]:
    """Words of one baseline, top row first."""
    rows: list[list[Line]] = []
    bottom = height = 0.0
    for word in sorted(words, key=attrgetter("bottom"), reverse=True):
        if rows and abs(bottom - word.bottom) <= _SAME_ROW_HEIGHTS * min(word.height, height):
            rows[-1].append(word)
        else:
            rows.append([word])
            bottom, height = word.bottom, word.height
    return rows


def _pieces(words: list[Line]) -> Row:
    """Words of a row joined over gaps of ordinary width, left to right."""
    words.sort(key=attrgetter("left"))
    pieces: Row = []
    for word in words:
        if pieces and _follows(pieces[-1], word):
            pieces[-1] = joined([pieces[-1], word])
        else:
            pieces.append(word)
    return pieces


def _follows(piece: Line, word: Line) -> bool:
    gap = word.left - piece.right
    return gap <= GAP_HEIGHTS * max(piece.height, word.height) or (
        len(piece.text) <= _MAX_MARK_CHARS and _LIST_MARK.fullmatch(piece.text) is not None
    )


def joined(lines: Sequence[Line]) -> Line:
    """One line of several that stand beside each other."""
    if len(lines) == 1:
        return lines[0]
    first, last = lines[0], lines[-1]
    text = " ".join(each.text for each in lines)
    height = max(lines, key=lambda each: len(each.text))
    line = Line(text, first.start, last.end, first.left, height.bottom, height.top, last.is_broken)
    line.right = max(each.right for each in lines)
    return line


def _bands(rows: Sequence[Row]) -> Iterator[_Band]:
    band: _Band | None = None
    for row in rows:
        if band is None:
            band = _band(row)
            continue
        grown = band.grown(row)
        if _is_apart(band, row) or _is_new(band, grown, row):
            yield band
            band = _band(row)
        else:
            grown.rows.append(row)
            band = grown
    if band is not None:
        yield band


def _is_new(band: _Band, grown: _Band, row: Row) -> bool:
    """Whether a row ends the band: it crosses every gutter, or is the first of several pieces below plain lines.

    Behind some space it is enough that it crosses one: then it belongs to another table.
    """
    before, after = len(band.gutters), len(grown.gutters)
    if before:
        space = band.rows[-1][0].bottom - row[0].top
        return after == 0 or (after < before and space > _MIN_TABLE_SPACE_HEIGHTS * row[0].height)
    return len(row) > 1 and after == 0


def _is_apart(band: _Band, row: Row) -> bool:
    """Whether a row stands far below a band in columns; a line of its own need not be so far below a table."""
    gutters = band.gutters
    if not gutters:
        return False
    last = band.rows[-1][0]
    if last.bottom - row[0].top > _MAX_BAND_GAP_HEIGHTS * last.height:
        return True
    if len(row) > 1 or len(band.rows) < _MIN_COLUMN_ROWS:
        return False
    steps = [above[0].bottom - below[0].bottom for above, below in pairwise(band.rows[-_ROWS_LOOKED_AT:])]
    return last.bottom - row[0].bottom > _WIDER * max(steps) and not is_prose(
        _columns([_cells(each, gutters) for each in band.rows], len(gutters) + 1)
    )


def _free(row: Row) -> list[Interval]:
    """The empty strips of a row, the margins included."""
    lefts, rights = [piece.left for piece in row], [piece.right for piece in row]
    return list(zip([_EVERYWHERE[0], *rights], [*lefts, _EVERYWHERE[1]], strict=True))


def _common(one: Sequence[Interval], other: Sequence[Interval]) -> list[Interval]:
    """What is empty in both, where it is wide enough to part columns; both rise."""
    found = []
    ones, others = iter(one), iter(other)
    try:
        left, right = next(ones)
        other_left, other_right = next(others)
        while True:
            begin = max(left, other_left)
            end = min(right, other_right)
            if end - begin >= _MIN_GAP_POINTS:
                found.append((begin, end))
            if right < other_right:
                left, right = next(ones)
            else:
                other_left, other_right = next(others)
    except StopIteration:
        return found


def _read(band: _Band, rules: Sequence[Rule], *, finds_tables: bool) -> Iterator[tuple[Block, bool]]:
    """The blocks of a band, and whether they are columns. Rows of one piece around a table do not belong to it."""
    gutters = _wide_enough(band)
    cells = [_cells(row, gutters) for row in band.rows] if gutters else []
    many = [index for index, row in enumerate(cells) if len(row) > 1]
    columns = _columns(cells, len(gutters) + 1)
    if len(many) < 2:
        yield [joined(row) for row in band.rows], False
    elif is_prose(columns):
        yield [piece for column in columns for piece in column], True
    elif finds_tables:
        yield from _with_table(band.rows, cells, len(gutters) + 1, rules, slice(many[0], many[-1] + 1))
    else:
        yield [joined(row) for row in band.rows], False


def _with_table(
    rows: Sequence[Row], cells: Sequence[Cells], column_count: int, rules: Sequence[Rule], inner: slice
) -> Iterator[tuple[Block, bool]]:
    table = as_table(rows[inner], cells[inner], column_count, rules)
    if table is None:
        yield [joined(row) for row in rows], False
        return
    before, behind = rows[: inner.start], rows[inner.stop :]
    for block in ([joined(row) for row in before], Table(table), [joined(row) for row in behind]):
        if block:
            yield block, False


def _wide_enough(band: _Band) -> list[Interval]:
    height = median(row[0].height for row in band.rows)
    return [gap for gap in band.gutters if gap[1] - gap[0] >= _MIN_GUTTER_HEIGHTS * height]


def _cells(row: Row, gutters: Sequence[Interval]) -> Cells:
    """Column number → what stands in it."""
    begins = [gutter[1] - _SLACK_POINTS for gutter in gutters]
    cells: dict[int, list[Line]] = {}
    for piece in row:
        cells.setdefault(bisect_right(begins, piece.left), []).append(piece)
    return {column: joined(pieces) for column, pieces in cells.items()}


def _columns(cells: Sequence[Cells], column_count: int) -> list[list[Line]]:
    columns: list[list[Line]] = [[] for _ in range(column_count)]
    for row in cells:
        for column, piece in row.items():
            columns[column].append(piece)
    return columns


def is_prose(columns: Sequence[Sequence[Line]]) -> bool:
    """Whether the lines of every column run on: long ones that fill it."""
    if not 1 < len(columns) <= _MAX_COLUMNS:
        return False
    for lines in columns:
        if len(lines) < _MIN_COLUMN_ROWS or median([len(line.text) for line in lines]) < _MIN_COLUMN_CHARS:
            return False
        width = max(line.right for line in lines) - min(line.left for line in lines)
        if width <= 0 or median([(line.right - line.left) / width for line in lines]) < _MIN_COLUMN_FILL:
            return False
    return True
