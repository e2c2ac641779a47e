"""Sheets of .xls files (Excel 97–2003), read through xlrd."""

import datetime as dt
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import xlrd
from xlrd.compdoc import CompDocError

from rag.errors import EncryptedFileError, UnreadableFileError
from rag.parsers.base import FileProbe
from rag.parsers.decoding import clean
from rag.parsers.sheets import Cell, Row, Sheet

_DAMAGE: Final = (
    xlrd.XLRDError, CompDocError, struct.error, AssertionError, LookupError, ValueError, TypeError, AttributeError,
    ArithmeticError, EOFError, RecursionError,
)  # fmt: skip
"""The library trusts the bytes: what a damaged file leads to is whatever they break first."""
_FORMULAS_ARE_VALUES: Final = "Formulas of an .xls file cannot be shown; its cells show the values last computed."


@contextmanager
def opened_xls(probe: FileProbe, *, with_formulas: bool, with_notes: bool) -> Iterator["XlsWorkbook"]:
    with opened_book(probe) as book:
        yield XlsWorkbook(probe, book, with_formulas=with_formulas, with_notes=with_notes)


@contextmanager
def opened_book(probe: FileProbe) -> Iterator[Any]:
    """The library's own workbook. Raises EncryptedFileError and UnreadableFileError."""
    with readable(probe):
        book = xlrd.open_workbook(
            str(probe.path), logfile=io.StringIO(), formatting_info=True, on_demand=True, ragged_rows=True
        )
    try:
        yield book
    finally:
        book.release_resources()


@contextmanager
def readable(probe: FileProbe) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        if "encrypted" in str(error):
            raise EncryptedFileError(f"'{probe.filename}': password required; save it without one") from error
        raise UnreadableFileError(
            f"'{probe.filename}' is damaged: it ends too early, as a broken download does, or its records are broken"
        ) from error


class XlsWorkbook:
    def __init__(self, probe: FileProbe, book: Any, *, with_formulas: bool, with_notes: bool) -> None:
        self.warnings = [_FORMULAS_ARE_VALUES] if with_formulas else []
        self.facts: dict[str, str] = {}
        self._probe = probe
        self._book = book
        self._with_notes = with_notes

    def sheets(self) -> Iterator[Sheet]:
        for index, name in enumerate(self._book.sheet_names()):
            with readable(self._probe):
                sheet = self._book.sheet_by_index(index)
                spans = {(top, left): (bottom - top, right - left) for top, bottom, left, right in sheet.merged_cells}
                notes: dict[int, dict[int, str]] = {}
                for (row, column), note in sheet.cell_note_map.items() if self._with_notes else ():
                    notes.setdefault(row, {})[column] = " ".join(clean(note.text).split())
            yield Sheet(clean(name), sheet.visibility != 0, self._rows(sheet), spans, notes)
            self._book.unload_sheet(index)

    def _rows(self, sheet: Any) -> Iterator[Row]:
        for index in range(sheet.nrows):
            with readable(self._probe):
                row = [self._value(cell) for cell in sheet.row(index)]
            yield row

    def _value(self, cell: Any) -> Cell:
        if cell.ctype in {xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK}:
            return None
        if cell.ctype == xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#N/A"))
        if cell.ctype == xlrd.XL_CELL_DATE:
            return self._date(cell.value)
        return str(cell.value) if cell.ctype == xlrd.XL_CELL_TEXT else float(cell.value)

    def _date(self, value: float) -> Cell:
        try:
            moment: dt.datetime = xlrd.xldate_as_datetime(value, self._book.datemode)
        except (ValueError, OverflowError):  # a number that only looks like a date
            return value
        return moment.time() if 0 <= value < 1 else moment
