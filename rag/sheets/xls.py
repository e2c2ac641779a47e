"""Sheets of .xls files (Excel 97–2003), read through xlrd."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import xlrd

from rag.parsers.base import FileProbe, ParseLimits
from rag.parsers.decoding import check_size, clean
from rag.parsers.sheets_xls import opened_book, readable
from rag.sheets.model import Allowance, Fault, Sheet, SheetMaker, Style, Value

_ALIGNMENTS: Final = {1: "left", 2: "center", 3: "right", 4: "fill", 5: "justify", 6: "centerContinuous"}
_BOLD_WEIGHT: Final = 600
_TWIPS: Final = 20


@contextmanager
def opened_xls(probe: FileProbe, limits: ParseLimits) -> Iterator["XlsBook"]:
    check_size(probe, limits)
    with opened_book(probe) as book:
        yield XlsBook(probe, book)


class XlsBook:
    def __init__(self, probe: FileProbe, book: Any) -> None:
        self._probe = probe
        self._book = book
        self._allowance = Allowance(probe.filename)
        self.names = [clean(name) for name in book.sheet_names()]

    def sheets(self, is_wanted: Callable[[str, bool], bool]) -> Iterator[Sheet]:
        style_of = self._styles()
        for index, name in enumerate(self.names):
            with readable(self._probe):
                sheet = self._book.sheet_by_index(index)
                is_hidden = sheet.visibility != 0
                found = self._read(sheet, name, is_hidden, style_of) if is_wanted(name, is_hidden) else None
                self._book.unload_sheet(index)
            if found is not None:
                yield found

    def _read(self, sheet: Any, name: str, is_hidden: bool, style_of: Callable[[int], Style]) -> Sheet:
        maker = SheetMaker(name, self._allowance, is_hidden=is_hidden)
        for row in range(sheet.nrows):
            for column, cell in enumerate(sheet.row(row)):
                value = self._value(cell, style_of)
                if value is None:
                    maker.add_blank(row, column, cell.xf_index or 0)
                else:
                    maker.add(row, column, value, cell.xf_index or 0)
        for top, bottom, left, right in sheet.merged_cells:
            maker.add_span(top, left, bottom - 1, right - 1)
        maker.hidden_rows.update(row for row, info in sheet.rowinfo_map.items() if info.hidden)
        maker.hidden_columns.update(column for column, info in sheet.colinfo_map.items() if info.hidden)
        return maker.finish(style_of)

    def _value(self, cell: Any, style_of: Callable[[int], Style]) -> Value | None:
        if cell.ctype in {xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK}:
            return None
        if cell.ctype == xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return Fault(xlrd.error_text_from_code.get(cell.value, "#N/A"))
        if cell.ctype == xlrd.XL_CELL_DATE:
            return self._moment(cell.value)
        if cell.ctype == xlrd.XL_CELL_TEXT:
            return clean(cell.value) or None
        number = float(cell.value)
        # The format knows no integers: what is shown without decimals is one.
        is_whole = number.is_integer() and abs(number) < 2**53 and "." not in style_of(cell.xf_index or 0).number_format
        return int(number) if is_whole else number

    def _moment(self, value: float) -> Value:
        try:
            moment: dt.datetime = xlrd.xldate_as_datetime(value, self._book.datemode)
        except (ValueError, OverflowError):  # a number that only looks like a date
            return value
        return moment.time() if 0 <= value < 1 else moment

    def _styles(self) -> Callable[[int], Style]:
        book = self._book

        @cache
        def style_of(number: int) -> Style:
            if not 0 <= number < len(book.xf_list):
                return Style()
            form = book.xf_list[number]
            font = book.font_list[form.font_index]
            known = book.format_map.get(form.format_key)
            fill = form.background.pattern_colour_index if form.background.fill_pattern else None
            return Style(
                number_format=known.format_str if known else "General",
                font_name=font.name,
                font_size=font.height / _TWIPS,
                font_color=self._color(font.colour_index),
                is_bold=bool(font.bold) or font.weight >= _BOLD_WEIGHT,
                is_italic=bool(font.italic),
                is_underlined=bool(font.underline_type),
                is_struck=bool(font.struck_out),
                fill_color=None if fill is None else self._color(fill),
                alignment=_ALIGNMENTS.get(form.alignment.hor_align),
                is_wrapped=bool(form.alignment.text_wrapped),
            )

        return style_of

    def _color(self, number: int) -> str | None:
        rgb = self._book.colour_map.get(number)
        return None if rgb is None else "#{:02x}{:02x}{:02x}".format(*rgb)
