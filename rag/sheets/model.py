"""One cell model for every kind of workbook: columns of numbers and one list of values, in the order of the rows."""

import datetime as dt
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.errors import LimitExceededError
from rag.parsers.decoding import clean
from rag.sheets.places import MAX_COLUMNS, MAX_ROWS, Box, letters, location

MAX_CELLS: Final = 2_000_000
"""Filled ones, of all sheets of a workbook that are read."""
MAX_BLANKS: Final = 200_000
"""Cells without a value of which the formatting is kept, of one sheet."""
MAX_SPANS: Final = 20_000
"""Merged cells of one sheet; those beyond are taken for single ones."""
_MAX_FORMULA_CHARS: Final = 20_000_000

Ints: TypeAlias = NDArray[np.int32]


class Fault(str):
    """A cell that shows no value: an error (`#REF!`), or "" for a formula that no program has computed."""

    __slots__ = ()


Value: TypeAlias = str | int | float | bool | dt.datetime | dt.time | dt.timedelta | Fault

EMPTY, TEXT, INTEGER, NUMBER, BOOLEAN, MOMENT, TIME, DURATION, FAULT = range(9)
KIND_NAMES: Final = ("empty", "text", "number", "number", "boolean", "date", "time", "duration", "error")
_KINDS: Final[dict[type, int]] = {
    str: TEXT, int: INTEGER, float: NUMBER, bool: BOOLEAN, dt.datetime: MOMENT, dt.time: TIME,
    dt.timedelta: DURATION, Fault: FAULT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How a cell looks, as far as the format says so; colours are `#rrggbb`, or `theme:4`."""

    number_format: str = "General"
    font_name: str | None = None
    font_size: float | None = None
    font_color: str | None = None
    is_bold: bool = False
    is_italic: bool = False
    is_underlined: bool = False
    is_struck: bool = False
    fill_color: str | None = None
    alignment: str | None = None
    is_wrapped: bool = False


PLAIN: Final = Style()


@dataclass(slots=True)
class Sheet:
    """The filled cells of a sheet, by row and then by column.

    Args:
        texts: what stood in a text file for each value; None for other workbooks.
        formulas: position in `values` → formula; "" where it is shared with another cell.
        blanks: rows, columns and styles of cells that have a format and no value.
        row_numbers: of the file, where rows were left out; None: they are the sheet's own.
    """

    name: str
    is_hidden: bool
    rows: Ints
    columns: Ints
    styles: Ints
    values: list[Value]
    kinds: NDArray[np.int8]
    style_of: Callable[[int], Style]
    texts: list[str] | None = None
    formulas: dict[int, str] = field(default_factory=dict)
    blanks: tuple[Ints, Ints, Ints] = field(default_factory=lambda: (_ints(()), _ints(()), _ints(())))
    spans: list[Box] = field(default_factory=list)
    hidden_rows: Ints = field(default_factory=lambda: _ints(()))
    hidden_columns: Ints = field(default_factory=lambda: _ints(()))
    notes: list[str] = field(default_factory=list)
    row_numbers: Ints | None = None
    column_numbers: Ints | None = None

    @property
    def used(self) -> Box | None:
        """The rectangle of the filled cells."""
        if not self.values:
            return None
        return Box(int(self.rows[0]), int(self.columns.min()), int(self.rows[-1]), int(self.columns.max()))

    def inside(self, box: Box) -> NDArray[np.int64]:
        """Positions of the cells in a rectangle."""
        first = int(np.searchsorted(self.rows, box.top, side="left"))
        last = int(np.searchsorted(self.rows, box.bottom, side="right"))
        columns = self.columns[first:last]
        return np.flatnonzero((columns >= box.left) & (columns <= box.right)) + first

    def row_number(self, row: int) -> int:
        """Of the file, from 0."""
        return row if self.row_numbers is None else int(self.row_numbers[row])

    def column_number(self, column: int) -> int:
        return column if self.column_numbers is None else int(self.column_numbers[column])

    def letters(self, column: int) -> str:
        return letters(self.column_number(column))

    def location(self, box: Box) -> str:
        """A1 notation in the file."""
        return location(
            Box(
                self.row_number(box.top),
                self.column_number(box.left),
                self.row_number(box.bottom),
                self.column_number(box.right),
            )
        )


class Workbook(Protocol):
    names: list[str]
    """Of all sheets, complete once `sheets` has ended."""

    def sheets(self, is_wanted: Callable[[str, bool], bool]) -> Iterator[Sheet]:
        """Those for which `is_wanted(name, is_hidden)` says so, in the order of the workbook."""
        ...


@dataclass(slots=True)
class Allowance:
    """How many cells may still be read."""

    filename: str
    most: int = MAX_CELLS
    taken: int = 0

    def take(self, count: int = 1) -> None:
        self.taken += count
        if self.taken > self.most:
            raise LimitExceededError(
                f"'{self.filename}' has more than {self.most:,} filled cells; split the workbook, or name fewer "
                "sheets in sheet_names"
            )


class SheetMaker:
    """Takes cells one by one, in any order; of two at one place the later counts."""

    def __init__(self, name: str, allowance: Allowance, *, is_hidden: bool = False, with_texts: bool = False) -> None:
        self.name, self.is_hidden = clean(name), is_hidden
        self._allowance = allowance
        self._rows, self._columns, self._styles = array("i"), array("i"), array("i")
        self._blanks = (array("i"), array("i"), array("i"))
        self._values: list[Value] = []
        self._texts: list[str] | None = [] if with_texts else None
        self._formulas: dict[int, str] = {}
        self._formula_chars = 0
        self.spans: list[Box] = []
        self.hidden_rows: set[int] = set()
        self.hidden_columns: set[int] = set()

    def add(self, row: int, column: int, value: Value, style: int = 0, formula: str | None = None) -> None:
        if not (0 <= row < MAX_ROWS and 0 <= column < MAX_COLUMNS):
            return
        self._allowance.take()
        if formula is not None:
            self._formula_chars += len(formula)
            kept = formula if self._formula_chars <= _MAX_FORMULA_CHARS else ""
            self._formulas[len(self._values)] = kept
        self._rows.append(row)
        self._columns.append(column)
        self._styles.append(style)
        self._values.append(value)

    def add_text(self, row: int, column: int, value: Value, text: str) -> None:
        """A cell of a text file, with the characters that stand there."""
        self.add(row, column, value)
        if self._texts is not None and len(self._texts) < len(self._values):
            self._texts.append(text)

    def add_blank(self, row: int, column: int, style: int) -> None:
        rows, columns, styles = self._blanks
        if style and len(rows) < MAX_BLANKS and 0 <= row < MAX_ROWS and 0 <= column < MAX_COLUMNS:
            rows.append(row)
            columns.append(column)
            styles.append(style)

    def add_span(self, top: int, left: int, bottom: int, right: int) -> None:
        if 0 <= top <= bottom < MAX_ROWS and 0 <= left <= right < MAX_COLUMNS and len(self.spans) < MAX_SPANS:
            self.spans.append(Box(top, left, bottom, right))

    def finish(self, style_of: Callable[[int], Style]) -> Sheet:
        order = self._order()
        rows, columns, styles = (_ints(each) for each in (self._rows, self._columns, self._styles))
        values, texts, formulas = self._values, self._texts, self._formulas
        if order is not None:
            rows, columns, styles = rows[order], columns[order], styles[order]
            places = order.tolist()
            values = [values[at] for at in places]
            texts = None if texts is None else [texts[at] for at in places]
            formulas = {new: formulas[old] for new, old in enumerate(places) if old in formulas}
        kinds = np.fromiter((_KINDS[type(value)] for value in values), np.int8, len(values))
        sheet = Sheet(
            self.name, self.is_hidden, rows, columns, styles, values, kinds, style_of, texts, formulas,
            blanks=(_ints(self._blanks[0]), _ints(self._blanks[1]), _ints(self._blanks[2])),
            spans=_apart(self.spans),
            hidden_rows=_ints(sorted(self.hidden_rows)),
            hidden_columns=_ints(sorted(self.hidden_columns)),
        )  # fmt: skip
        sheet.notes = _notes(sheet)
        return sheet

    def _order(self) -> NDArray[np.int64] | None:
        """None when the cells came in the order of the sheet, each once."""
        keys = np.asarray(self._rows, np.int64) * MAX_COLUMNS + np.asarray(self._columns, np.int64)
        if keys.size < 2 or bool(np.all(keys[1:] > keys[:-1])):
            return None
        _, last = np.unique(keys[::-1], return_index=True)
        return np.asarray(keys.size - 1 - last, np.int64)


def visible_only(sheet: Sheet) -> Sheet:
    """Without hidden rows and columns: what stood on both sides of them stands together."""
    if not sheet.hidden_rows.size and not sheet.hidden_columns.size:
        return sheet
    rows, row_numbers = _ranks(sheet.rows, sheet.hidden_rows)
    columns, column_numbers = _ranks(sheet.columns, sheet.hidden_columns)
    kept = np.flatnonzero((rows >= 0) & (columns >= 0))
    places = kept.tolist()
    new = {old: at for at, old in enumerate(places)}
    return Sheet(
        sheet.name, sheet.is_hidden, rows[kept], columns[kept], sheet.styles[kept],
        [sheet.values[at] for at in places], sheet.kinds[kept], sheet.style_of,
        None if sheet.texts is None else [sheet.texts[at] for at in places],
        {new[at]: formula for at, formula in sheet.formulas.items() if at in new},
        spans=[found for span in sheet.spans if (found := _shown(span, sheet)) is not None],
        notes=sheet.notes, row_numbers=row_numbers, column_numbers=column_numbers,
    )  # fmt: skip


def range_in(sheet: Sheet, box: Box) -> Box | None:
    """A rectangle of the file as one of this sheet, from which rows and columns may have been left out."""
    top, bottom = _between(box.top, box.bottom, sheet.row_numbers)
    left, right = _between(box.left, box.right, sheet.column_numbers)
    return Box(top, left, bottom, right) if top <= bottom and left <= right else None


def _between(first: int, last: int, numbers: Ints | None) -> tuple[int, int]:
    if numbers is None:
        return first, last
    return int(np.searchsorted(numbers, first)), int(np.searchsorted(numbers, last, side="right")) - 1


def _ranks(numbers: Ints, hidden: Ints) -> tuple[Ints, Ints]:
    """For each number its place among those that are not hidden, -1 for hidden ones; and the numbers by place."""
    size = int(numbers.max(initial=-1)) + 1
    is_shown = np.ones(size, bool)
    is_shown[hidden[hidden < size]] = False
    ranks = np.where(is_shown, np.cumsum(is_shown) - 1, -1)
    return ranks[numbers].astype(np.int32), np.flatnonzero(is_shown).astype(np.int32)


def _shown(span: Box, sheet: Sheet) -> Box | None:
    """A merged cell among visible rows and columns; None where its first cell, which has the value, is hidden."""
    if np.isin(span.top, sheet.hidden_rows) or np.isin(span.left, sheet.hidden_columns):
        return None
    top, bottom = (span.top - _before(span.top, sheet.hidden_rows), span.bottom - _upto(span.bottom, sheet.hidden_rows))
    left = span.left - _before(span.left, sheet.hidden_columns)
    return Box(top, left, bottom, span.right - _upto(span.right, sheet.hidden_columns))


def _before(number: int, hidden: Ints) -> int:
    return int(np.searchsorted(hidden, number, side="left"))


def _upto(number: int, hidden: Ints) -> int:
    return int(np.searchsorted(hidden, number, side="right"))


def _apart(spans: list[Box]) -> list[Box]:
    """Those of more than one cell, each beginning only once."""
    found = {(span.top, span.left): span for span in spans if span.area > 1}
    return [found[key] for key in sorted(found)]


def _notes(sheet: Sheet) -> list[str]:
    uncomputed = sum(not sheet.values[at] for at in np.flatnonzero(sheet.kinds == FAULT).tolist())
    if not uncomputed:
        return []
    said = f"Sheet '{sheet.name}': formulas without a computed value, given as null: {uncomputed}."
    return [f"{said} Open the workbook in a spreadsheet program and save it to have them computed."]


def _ints(values: Sequence[int] | Any) -> Ints:
    return np.array(values, dtype=np.int32)
