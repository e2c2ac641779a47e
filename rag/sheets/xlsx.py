"""Sheets of .xlsx, .xlsm, .xltx and .xltm files: the library reads styles and texts, the cells are read here.

Its read-only sheets know neither hidden rows nor merged cells, and its others take ten times the memory and the time.
"""

import math
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Any, Final

import openpyxl
from lxml import etree
from openpyxl.styles.colors import COLOR_INDEX
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils.datetime import from_excel, from_ISO8601

from rag.errors import UnreadableFileError
from rag.parsers.archive import check_archive, readable_package
from rag.parsers.base import FileProbe, ParseLimits
from rag.parsers.decoding import clean
from rag.parsers.opc import RELATION_ID, Package
from rag.sheets.model import Allowance, Fault, Sheet, SheetMaker, Style, Value
from rag.sheets.places import MAX_COLUMNS, column_of

_TAGS: Final = ("{*}c", "{*}row", "{*}col", "{*}mergeCell")
_DIGITS: Final = "0123456789"
_MAX_INTEGER_CHARS: Final = 17
_FIRST_OWN_FORMAT: Final = 164


@contextmanager
def opened_xlsx(probe: FileProbe, limits: ParseLimits) -> Iterator["XlsxBook"]:
    check_archive(probe, limits)
    with warnings.catch_warnings(), probe.path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        warnings.simplefilter("ignore")  # of what openpyxl cannot write back; nothing is written here
        with _readable(probe):
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            package = Package(archive)
        yield XlsxBook(probe, book, package)


@contextmanager
def _readable(probe: FileProbe) -> Iterator[None]:
    """The library builds its objects from the attributes it finds: the wrong ones are errors of Python's own."""
    with readable_package(probe):
        try:
            yield
        except (TypeError, IndexError, AttributeError, ArithmeticError) as error:
            raise UnreadableFileError(f"'{probe.filename}' is damaged: a part holds unexpected markup") from error


class XlsxBook:
    def __init__(self, probe: FileProbe, book: Any, package: Package) -> None:
        self._probe = probe
        self._book = book
        self._package = package
        self._allowance = Allowance(probe.filename)
        self.names = [clean(sheet.title) for sheet in book.worksheets]

    def sheets(self, is_wanted: Callable[[str, bool], bool]) -> Iterator[Sheet]:
        style_of = _styles(self._book)
        with _readable(self._probe):
            parts = self._parts()
        for sheet in self._book.worksheets:
            name, is_hidden = clean(sheet.title), sheet.sheet_state != "visible"
            if not is_wanted(name, is_hidden):
                continue
            maker = SheetMaker(name, self._allowance, is_hidden=is_hidden)
            with _readable(self._probe):
                if part := parts.get(sheet.title):
                    with self._package.open(part) as stream:
                        _Reading(self._book, sheet._shared_strings, maker).read(stream)
                found = maker.finish(style_of)
            yield found

    def _parts(self) -> dict[str, str]:
        relations = self._package.relations(self._package.main)
        entries = self._package.root(self._package.main).iter("{*}sheet")
        found = {each.get("name"): relations.get(_relation_id(each)) for each in entries}
        return {name: each.target for name, each in found.items() if each and self._package.has(each.target)}


def _relation_id(entry: Any) -> str:
    """Its namespace is another one in strict files."""
    found = entry.get(RELATION_ID)
    return found or next((value for key, value in entry.items() if key.endswith("}id")), "")


class _Reading:
    def __init__(self, book: Any, texts: Any, maker: SheetMaker) -> None:
        self._texts = texts or []
        self._epoch = book.epoch
        self._dates = frozenset(book._date_formats)
        self._durations = frozenset(book._timedelta_formats)
        self._maker = maker
        self._row = 0
        self._column = 0
        self._row_of_cells = 0

    def read(self, stream: IO[bytes]) -> None:
        events = etree.iterparse(
            stream, events=("end",), tag=_TAGS, resolve_entities=False, no_network=True, remove_comments=True,
            remove_pis=True,
        )  # fmt: skip
        for _event, element in events:
            name = element.tag.rpartition("}")[2]
            if name == "c":
                self._cell(element)
            elif name == "row":
                self._end_row(element)
            elif name == "col":
                self._hide_columns(element)
            else:
                self._merge(element.get("ref") or "")
            element.clear(keep_tail=False)
            holder = element.getparent()
            while element.getprevious() is not None:
                del holder[0]

    def _cell(self, element: Any) -> None:
        reference = element.get("r")
        if reference is None:
            row, column = self._next_place(element)
        else:
            name = reference.rstrip(_DIGITS)
            row, column = int(reference[len(name) :]) - 1, column_of(name)
        self._row, self._column = row, column + 1
        style = int(element.get("s") or 0)
        content = formula = None
        for child in element:
            tag = child.tag.rpartition("}")[2]
            if tag == "v":
                content = child.text
            elif tag == "f":
                formula = f"={child.text}" if child.text else ""
            elif tag == "is":
                content = "".join(each.text or "" for each in child.iter("{*}t") if not _is_phonetic(each))
        value = self._value(element.get("t") or "n", content, style)
        if value is None and formula is not None and element.get("t") != "str":  # that computed to ""
            value = Fault("")
        if value is None:
            self._maker.add_blank(row, column, style)
        else:
            self._maker.add(row, column, value, style, formula)

    def _next_place(self, element: Any) -> tuple[int, int]:
        """Where a cell stands that does not say so: behind the one before it."""
        number = element.getparent().get("r")
        row = int(number) - 1 if number else self._row_of_cells
        return row, self._column if row == self._row else 0

    def _value(self, kind: str, content: str | None, style: int) -> Value | None:
        if not content:
            return None
        if kind == "n":
            return self._number(content, style)
        if kind == "s":
            return clean(self._texts[int(content)]) or None
        if kind == "b":
            return content.strip() not in {"0", "false"}
        if kind == "e":
            return Fault(content)
        if kind == "d":
            found: Value = from_ISO8601(content)  # type: ignore[no-untyped-call]  # the stubs leave it out
            return found if type(found).__name__ in {"datetime", "time", "timedelta"} else clean(content)
        return clean(content) or None

    def _number(self, content: str, style: int) -> Value:
        number: int | float = float(content)
        if not math.isfinite(number):
            return Fault(content)
        if style in self._dates:
            return self._moment(number, style)
        if len(content) <= _MAX_INTEGER_CHARS and content.lstrip("-").isdecimal():
            number = int(content)
        return number

    def _moment(self, number: float, style: int) -> Value:
        try:
            found: Value = from_excel(number, self._epoch, timedelta=style in self._durations)
        except (ValueError, OverflowError, ArithmeticError):  # a number that only looks like a date
            return number
        return found

    def _end_row(self, element: Any) -> None:
        number = element.get("r")
        row = int(number) - 1 if number else self._row_of_cells
        self._row_of_cells = row + 1
        if _is_true(element.get("hidden")) or element.get("ht") in {"0", "0.0"}:
            self._maker.hidden_rows.add(row)
        self._column = 0

    def _hide_columns(self, element: Any) -> None:
        if _is_true(element.get("hidden")) or element.get("width") in {"0", "0.0"}:
            first, last = int(element.get("min") or 1), int(element.get("max") or 0)
            self._maker.hidden_columns.update(range(max(0, first - 1), min(last, MAX_COLUMNS)))

    def _merge(self, reference: str) -> None:
        first, _, last = reference.partition(":")
        (top, left), (bottom, right) = (_place(each) for each in (first, last or first))
        self._maker.add_span(top, left, bottom, right)


def _place(reference: str) -> tuple[int, int]:
    name = reference.replace("$", "").rstrip(_DIGITS)
    return int(reference.replace("$", "")[len(name) :]) - 1, column_of(name)


def _is_true(value: str | None) -> bool:
    return value in {"1", "true"}


def _is_phonetic(text: Any) -> bool:
    return bool(text.getparent().tag.endswith("}rPh"))


def _styles(book: Any) -> Callable[[int], Style]:
    @cache
    def style_of(number: int) -> Style:
        if not 0 <= number < len(book._cell_styles):
            return Style()
        cell = book._cell_styles[number]
        font, fill, alignment = book._fonts[cell.fontId], book._fills[cell.fillId], book._alignments[cell.alignmentId]
        return Style(
            number_format=_number_format(book, cell.numFmtId),
            font_name=font.name,
            font_size=font.sz,
            font_color=_color(font.color),
            is_bold=bool(font.b),
            is_italic=bool(font.i),
            is_underlined=bool(font.u),
            is_struck=bool(font.strike),
            fill_color=_fill(fill),
            alignment=alignment.horizontal,
            is_wrapped=bool(alignment.wrap_text),
        )

    return style_of


def _number_format(book: Any, number: int) -> str:
    own = number - _FIRST_OWN_FORMAT
    if 0 <= own < len(book._number_formats):
        return str(book._number_formats[own])
    return str(BUILTIN_FORMATS.get(number, "General"))


def _fill(fill: Any) -> str | None:
    pattern = getattr(fill, "patternType", None)
    if pattern is None or pattern == "none":
        return None
    return _color(fill.fgColor) if pattern == "solid" else _color(fill.bgColor)


def _color(color: Any) -> str | None:
    if color is None:
        return None
    if color.type == "rgb" and isinstance(color.rgb, str):
        return f"#{color.rgb[-6:].lower()}"
    if color.type == "theme":
        return f"theme:{color.theme}"
    if color.type == "indexed" and isinstance(color.indexed, int) and color.indexed < len(COLOR_INDEX):
        return f"#{COLOR_INDEX[color.indexed][-6:].lower()}"
    return None
