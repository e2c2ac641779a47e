"""Sheets of .xlsx, .xlsm, .xltx and .xltm files, read through openpyxl row by row."""

import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any, Final

import openpyxl
from openpyxl.utils.cell import coordinate_to_tuple
from openpyxl.worksheet._reader import WorkSheetParser
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from rag.errors import UnreadableFileError
from rag.parsers.archive import readable_package
from rag.parsers.base import FileProbe
from rag.parsers.decoding import clean
from rag.parsers.opc import RELATION_ID, Package
from rag.parsers.sheets import Row, Sheet

_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3}\d{1,7}):([A-Z]{1,3}\d{1,7})"')
_MAX_MERGED: Final = 100_000
_MAX_ROWS: Final = 1_048_576
_PIECE_BYTES: Final = 1 << 20
_OVERLAP_BYTES: Final = 200


@contextmanager
def opened_xlsx(probe: FileProbe, *, with_formulas: bool, with_notes: bool) -> Iterator["XlsxWorkbook"]:
    with warnings.catch_warnings(), probe.path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        warnings.simplefilter("ignore")  # openpyxl warns of what it cannot write back; nothing is written here
        with _readable(probe):
            book = openpyxl.load_workbook(stream, read_only=True, data_only=not with_formulas)
        yield XlsxWorkbook(probe, book, Package(archive), with_notes=with_notes)


@contextmanager
def _readable(probe: FileProbe) -> Iterator[None]:
    """The library builds its objects from the attributes it finds: the wrong ones are errors of Python's own."""
    with readable_package(probe):
        try:
            yield
        except (TypeError, IndexError, AttributeError, ArithmeticError) as error:
            raise UnreadableFileError(f"'{probe.filename}' is damaged: a part holds unexpected markup") from error


class XlsxWorkbook:
    def __init__(self, probe: FileProbe, book: Any, package: Package, *, with_notes: bool) -> None:
        self.warnings: list[str] = []
        self.facts = _facts(book)
        self._probe = probe
        self._book = book
        self._package = package
        self._with_notes = with_notes

    def sheets(self) -> Iterator[Sheet]:
        parts = self._parts()
        for sheet in self._book.worksheets:
            part = parts.get(sheet.title)
            found = Sheet(
                sheet.title,
                sheet.sheet_state != "visible",
                iter(()),
                self._spans(part) if part else {},
                self._notes(part) if part and self._with_notes else {},
            )
            found.rows = self._rows(sheet, found)
            yield found

    def _parts(self) -> dict[str, str]:
        relations = self._package.relations(self._package.main)
        entries = self._package.root(self._package.main).iter(f"{_MAIN}sheet")
        found = {each.get("name"): relations.get(each.get(RELATION_ID)) for each in entries}
        return {name: each.target for name, each in found.items() if each and self._package.has(each.target)}

    def _rows(self, sheet: Any, found: Sheet) -> Iterator[Row]:
        """As `sheet.iter_rows`, but rows end with their last value, and formulas without a value are seen."""
        book = self._book
        with _readable(self._probe), sheet._get_source() as source:
            reader = _Reader(
                source, sheet._shared_strings, data_only=book.data_only, epoch=book.epoch,
                date_formats=book._date_formats, timedelta_formats=book._timedelta_formats,
            )  # fmt: skip
            count = 0
            for number, cells in reader.parse():
                blank_count = min(number, _MAX_ROWS) - 1 - count
                yield from repeat([], blank_count)
                count += 1 + max(0, blank_count)
                row: Row = [None] * max((cell["column"] for cell in cells if cell["value"] is not None), default=0)
                for cell in cells:
                    if cell["value"] is not None:
                        row[cell["column"] - 1] = cell["value"]
                found.uncomputed_count = reader.uncomputed_count
                yield row

    def _spans(self, part: str) -> dict[tuple[int, int], tuple[int, int]]:
        """Merged cells are listed behind the rows, and openpyxl leaves them out when it reads row by row."""
        spans: dict[tuple[int, int], tuple[int, int]] = {}
        rest = b""
        with self._package.open(part) as stream:
            while (piece := stream.read(_PIECE_BYTES)) and len(spans) < _MAX_MERGED:
                for found in _MERGED.finditer(rest + piece):
                    (top, left), (bottom, right) = (coordinate_to_tuple(found[n].decode("ascii")) for n in (1, 2))
                    spans[top - 1, left - 1] = (bottom - top + 1, right - left + 1)
                rest = piece[-_OVERLAP_BYTES:]
        return spans

    def _notes(self, part: str) -> dict[int, dict[int, str]]:
        notes: dict[int, dict[int, str]] = {}
        for name in self._package.related(part, "comments"):
            for comment in self._package.root(name).iter(f"{_MAIN}comment"):
                row, column = coordinate_to_tuple(comment.get("ref") or "A1")
                text = "".join(each.text or "" for each in comment.iter(f"{_MAIN}t"))
                notes.setdefault(row - 1, {})[column - 1] = " ".join(clean(text).split())
        return notes


class _Reader(WorkSheetParser):
    uncomputed_count = 0

    def parse_cell(self, element: Any) -> dict[str, Any]:
        cell: dict[str, Any] = super().parse_cell(element)
        formula = element.find(f"{_MAIN}f") if self.data_only else None
        if formula is not None and cell["value"] is None and element.get("t") != "str":  # that computed to ""
            cell["value"] = self.parse_formula(element)  # type: ignore[no-untyped-call]
            self.uncomputed_count += 1
        elif formula is not None and formula.text and formula.get("t") == "shared":
            self.parse_formula(element)  # type: ignore[no-untyped-call]  # others refer to it
        if isinstance(cell["value"], ArrayFormula | DataTableFormula):
            cell["value"] = getattr(cell["value"], "text", None)
        return cell


def _facts(book: Any) -> dict[str, str]:
    facts = {"title": book.properties.title, "author": book.properties.creator}
    return {key: clean(value) for key, value in facts.items() if value and value != "openpyxl"}
