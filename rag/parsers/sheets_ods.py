"""Sheets of .ods files, read piece by piece."""

import datetime as dt
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import repeat as again
from typing import Any, Final

from lxml import etree

from rag.parsers.archive import readable_package
from rag.parsers.base import FileProbe
from rag.parsers.odf import OFFICE, PARAGRAPH, STYLE, TABLE, Inline, facts_of, opened_odf, plain_text, repeat
from rag.parsers.sheets import Cell, Row, Sheet

_SHEET, _ROW, _STYLE = f"{TABLE}table", f"{TABLE}table-row", f"{STYLE}style"
_CELLS: Final = frozenset({f"{TABLE}table-cell", f"{TABLE}covered-table-cell"})
_MAX_COLUMNS: Final = 16_384
_MAX_BLANK_ROWS: Final = 1_048_576


@contextmanager
def opened_ods(probe: FileProbe, *, with_formulas: bool, with_notes: bool) -> Iterator["OdsWorkbook"]:
    with opened_odf(probe) as archive:
        yield OdsWorkbook(probe, archive, with_formulas=with_formulas, with_notes=with_notes)


class OdsWorkbook:
    def __init__(self, probe: FileProbe, archive: zipfile.ZipFile, *, with_formulas: bool, with_notes: bool) -> None:
        self.warnings: list[str] = []
        self.facts = facts_of(archive)
        self._probe = probe
        self._archive = archive
        self._with_formulas = with_formulas
        self._with_notes = with_notes
        self._hidden_styles: set[str] = set()

    def sheets(self) -> Iterator[Sheet]:
        with readable_package(self._probe), self._archive.open("content.xml") as stream:
            events = etree.iterparse(
                stream, events=("start", "end"), tag=(_SHEET, _ROW, _STYLE), resolve_entities=False, no_network=True,
                remove_comments=True, remove_pis=True,
            )  # fmt: skip
            for event, element in events:
                if event == "end" and element.tag == _STYLE:
                    self._note_style(element)
                elif event == "start" and element.tag == _SHEET:
                    sheet = self._sheet(element, events)
                    yield sheet
                    for _row in sheet.rows:  # what nobody asked for has to pass by all the same
                        pass

    def _note_style(self, style: Any) -> None:
        properties = style.find(f"{STYLE}table-properties")
        if properties is not None and properties.get(f"{TABLE}display") == "false":
            self._hidden_styles.add(style.get(f"{STYLE}name"))

    def _sheet(self, element: Any, events: Any) -> Sheet:
        name, style = element.get(f"{TABLE}name") or "", element.get(f"{TABLE}style-name")
        sheet = Sheet(name, style in self._hidden_styles, iter(()), {}, {})
        sheet.rows = self._rows(sheet, element, events)
        return sheet

    def _rows(self, sheet: Sheet, table: Any, events: Any) -> Iterator[Row]:
        number = blank_count = all_blank_count = 0
        with readable_package(self._probe):
            for event, element in events:
                if element is table and event == "end":
                    return
                if event == "start" or element.tag != _ROW or _holder(element) is not table:
                    continue
                row = self._row(sheet, element, number + blank_count)
                count = repeat(element, f"{TABLE}number-rows-repeated")
                if row:
                    yield from again([], blank_count)
                    yield from again(row, count)
                    number, blank_count = number + blank_count + count, 0
                else:  # a sheet ends in a million of them
                    count = min(count, _MAX_BLANK_ROWS - all_blank_count)
                    blank_count, all_blank_count = blank_count + count, all_blank_count + count
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]

    def _row(self, sheet: Sheet, element: Any, number: int) -> Row:
        row: Row = []
        blank_count = 0
        for cell in element:
            if cell.tag not in _CELLS:
                continue
            value, count = self._value(sheet, cell, (number, len(row) + blank_count)), _columns(cell)
            if value is None:
                blank_count += count
            elif len(row) + blank_count < _MAX_COLUMNS:
                row += [None] * blank_count
                row += [value] * min(count, _MAX_COLUMNS - len(row))
                blank_count = 0
        return row

    def _value(self, sheet: Sheet, cell: Any, place: tuple[int, int]) -> Cell:
        rows, columns = (repeat(cell, f"{TABLE}number-{what}-spanned") for what in ("rows", "columns"))
        if rows > 1 or columns > 1:
            sheet.spans[place] = (rows, columns)
        if self._with_notes and (note := cell.find(f"{OFFICE}annotation")) is not None:
            sheet.notes.setdefault(place[0], {})[place[1]] = " ".join(plain_text(note).split())
        formula = cell.get(f"{TABLE}formula")
        if self._with_formulas and formula:
            return _written(formula)
        value = _typed(cell)
        if value is None and formula and cell.get(f"{OFFICE}value-type") is None:
            sheet.uncomputed_count += 1
            return _written(formula)
        return value


def _written(formula: str) -> str:
    return formula.partition(":")[2] or formula


def _columns(cell: Any) -> int:
    return repeat(cell, f"{TABLE}number-columns-repeated")


def _holder(row: Any) -> Any:
    """The table that a row belongs to; rows may stand in groups."""
    return next(row.iterancestors(_SHEET), None)


def _typed(cell: Any) -> Cell:
    kind, value = cell.get(f"{OFFICE}value-type"), cell.get(f"{OFFICE}value")
    if kind in {"float", "percentage", "currency"} and value:
        with suppress(ValueError):
            return float(value)
    if kind == "date":
        with suppress(ValueError):
            return dt.datetime.fromisoformat(str(cell.get(f"{OFFICE}date-value")))
    if kind == "boolean":
        return bool(cell.get(f"{OFFICE}boolean-value") == "true")
    text = "\n".join(found for each in cell.iterchildren(PARAGRAPH) if (found := Inline(each).text))
    return text or None
