"""Sheets of .ods files, read piece by piece."""

import datetime as dt
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from lxml import etree

from rag.parsers.archive import check_archive, readable_package
from rag.parsers.base import FileProbe, ParseLimits
from rag.parsers.decoding import clean
from rag.parsers.odf import OFFICE, PARAGRAPH, STYLE, TABLE, Inline, opened_odf, repeat
from rag.sheets.model import Allowance, Fault, Sheet, SheetMaker, Style, Value
from rag.sheets.places import MAX_COLUMNS, MAX_ROWS

_SHEET, _ROW, _COLUMN, _STYLE = f"{TABLE}table", f"{TABLE}table-row", f"{TABLE}table-column", f"{STYLE}style"
_CELLS: Final = frozenset({f"{TABLE}table-cell", f"{TABLE}covered-table-cell"})
_FO: Final = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_NUMBERS: Final = frozenset({"float", "percentage", "currency"})
_FORMATS: Final = {"percentage": "0%", "currency": "#,##0.00 [$]", "date": "yyyy-mm-dd", "time": "[h]:mm:ss"}
_ERRORS: Final = ("#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NULL!", "#NUM!", "Err:")
_MAX_INTEGER_CHARS: Final = 17


@contextmanager
def opened_ods(probe: FileProbe, limits: ParseLimits) -> Iterator["OdsBook"]:
    check_archive(probe, limits)
    with opened_odf(probe) as archive:
        yield OdsBook(probe, archive)


class OdsBook:
    def __init__(self, probe: FileProbe, archive: zipfile.ZipFile) -> None:
        self._probe = probe
        self._archive = archive
        self._allowance = Allowance(probe.filename)
        self._looks = _Looks()
        self.names: list[str] = []

    def sheets(self, is_wanted: Callable[[str, bool], bool]) -> Iterator[Sheet]:
        with readable_package(self._probe), self._archive.open("content.xml") as stream:
            events = etree.iterparse(
                stream, events=("start", "end"), tag=(_SHEET, _ROW, _COLUMN, _STYLE), resolve_entities=False,
                no_network=True, remove_comments=True, remove_pis=True,
            )  # fmt: skip
            for event, element in events:
                if event == "end" and element.tag == _STYLE:
                    self._looks.note(element)
                elif event == "start" and element.tag == _SHEET:
                    yield from self._sheet(element, events, is_wanted)

    def _sheet(self, table: Any, events: Any, is_wanted: Callable[[str, bool], bool]) -> Iterator[Sheet]:
        name = clean(table.get(f"{TABLE}name") or "")
        is_hidden = table.get(f"{TABLE}style-name") in self._looks.hidden
        self.names.append(name)
        maker = SheetMaker(name, self._allowance, is_hidden=is_hidden)
        reading = _Reading(maker, self._looks, is_read=is_wanted(name, is_hidden))
        for event, element in events:
            if event == "start":
                continue
            if element is table:
                break
            holder = next(element.iterancestors(_SHEET), None)
            if element.tag in {_ROW, _COLUMN} and holder is table:
                reading.see(element)
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
        if reading.is_read:
            yield maker.finish(self._looks.style_of)


class _Looks:
    """The styles of a workbook by number; what a cell is worth (a percentage, a date) is part of how it looks."""

    def __init__(self) -> None:
        self.hidden: set[str] = set()
        self._named: dict[str, Style] = {}
        self._numbers: dict[tuple[str | None, str | None], int] = {(None, None): 0}
        self._styles: list[Style] = [Style()]

    def style_of(self, number: int) -> Style:
        return self._styles[number]

    def number(self, name: str | None, kind: str | None) -> int:
        key = (name, kind if kind in _FORMATS else None)
        if key not in self._numbers:
            look = self._named.get(name or "", Style())
            self._numbers[key] = len(self._styles)
            self._styles.append(_with_format(look, _FORMATS.get(kind or "", "General")))
        return self._numbers[key]

    def note(self, style: Any) -> None:
        name = style.get(f"{STYLE}name") or ""
        table = style.find(f"{STYLE}table-properties")
        if table is not None and table.get(f"{TABLE}display") == "false":
            self.hidden.add(name)
        words, cell, lines = (style.find(f"{STYLE}{part}-properties") for part in ("text", "table-cell", "paragraph"))
        if words is None and cell is None and lines is None:
            return
        words, cell, lines = ({} if each is None else each for each in (words, cell, lines))
        size = (words.get(f"{_FO}font-size") or "").removesuffix("pt")
        self._named[name] = Style(
            font_name=words.get(f"{STYLE}font-name"),
            font_size=float(size) if size.replace(".", "", 1).isdecimal() else None,
            font_color=words.get(f"{_FO}color"),
            is_bold=words.get(f"{_FO}font-weight") in {"bold", "600", "700", "800", "900"},
            is_italic=words.get(f"{_FO}font-style") == "italic",
            is_underlined=(words.get(f"{STYLE}text-underline-style") or "none") != "none",
            is_struck=(words.get(f"{STYLE}text-line-through-style") or "none") != "none",
            fill_color=_color(cell.get(f"{_FO}background-color")),
            alignment=lines.get(f"{_FO}text-align"),
            is_wrapped=cell.get(f"{_FO}wrap-option") == "wrap",
        )


def _color(value: str | None) -> str | None:
    return None if value in {None, "transparent"} else value


def _with_format(look: Style, number_format: str) -> Style:
    values = {name: getattr(look, name) for name in look.__slots__}
    return Style(**{**values, "number_format": number_format})


class _Reading:
    def __init__(self, maker: SheetMaker, looks: _Looks, *, is_read: bool) -> None:
        self.is_read = is_read
        self._maker = maker
        self._looks = looks
        self._row = 0
        self._column = 0

    def see(self, element: Any) -> None:
        if not self.is_read:
            return
        if element.tag == _COLUMN:
            count = min(repeat(element, f"{TABLE}number-columns-repeated"), MAX_COLUMNS - self._column)
            if _is_hidden(element):
                self._maker.hidden_columns.update(range(self._column, self._column + count))
            self._column += max(0, count)
            return
        count = min(repeat(element, f"{TABLE}number-rows-repeated"), MAX_ROWS - self._row)
        cells = list(self._cells(element)) if count > 0 else []
        for row in range(self._row, self._row + count) if cells or _is_hidden(element) else ():
            if _is_hidden(element):
                self._maker.hidden_rows.add(row)
            for column, value, style, formula in cells:
                self._maker.add(row, column, value, style, formula)
        self._row += max(0, count)

    def _cells(self, row: Any) -> Iterator[tuple[int, Value, int, str | None]]:
        column = 0
        for cell in row:
            if cell.tag not in _CELLS:
                continue
            count = repeat(cell, f"{TABLE}number-columns-repeated")
            self._merge(cell, column)
            formula = cell.get(f"{TABLE}formula")
            value = _typed(cell)
            if value is None and formula and cell.get(f"{OFFICE}value-type") is None:
                value = Fault("")
            if value is not None:
                style = self._looks.number(cell.get(f"{TABLE}style-name"), cell.get(f"{OFFICE}value-type"))
                shown = None if formula is None else formula.partition(":")[2] or formula
                for at in range(column, min(column + count, MAX_COLUMNS)):
                    yield at, value, style, shown
            column += count

    def _merge(self, cell: Any, column: int) -> None:
        rows, columns = (repeat(cell, f"{TABLE}number-{what}-spanned") for what in ("rows", "columns"))
        if rows > 1 or columns > 1:
            self._maker.add_span(self._row, column, self._row + rows - 1, column + columns - 1)


def _is_hidden(element: Any) -> bool:
    return element.get(f"{TABLE}visibility") in {"collapse", "filter"}


def _typed(cell: Any) -> Value | None:
    kind, number = cell.get(f"{OFFICE}value-type"), cell.get(f"{OFFICE}value")
    if kind in _NUMBERS and number:
        with suppress(ValueError):
            is_whole = len(number) <= _MAX_INTEGER_CHARS and number.lstrip("-").isdecimal()
            return int(number) if is_whole else float(number)
    if kind == "date":
        with suppress(ValueError):
            return dt.datetime.fromisoformat(str(cell.get(f"{OFFICE}date-value"))[:26]).replace(tzinfo=None)
    if kind == "boolean":
        return bool(cell.get(f"{OFFICE}boolean-value") == "true")
    text = "\n".join(found for each in cell.iterchildren(PARAGRAPH) if (found := Inline(each).text))
    if text.startswith(_ERRORS) and cell.get(f"{TABLE}formula"):
        return Fault(text)
    return text or None
