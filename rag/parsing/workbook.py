"""Tables of a parsed document → a workbook with a sheet for each of them."""

import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rag.errors import LimitExceededError

MAX_CELLS: Final = 200_000
MAX_TABLES: Final = 1_000
MAX_COLUMNS: Final = 16_384
_MAX_CELL_CHARS: Final = 32_767
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")
"""`007` and other codes stay text."""
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_BETWEEN_CELLS: Final = re.compile("</t[hd]><t[hd]>")
_BREAK: Final = re.compile(r"<br\s?/?>")
Rows = list[list[str]]


def tables_of(pages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Rows]]:
    """(name of a sheet, rows) of each table of a result's pages, in their order."""
    for page in pages:
        tables = [rows for item in page["items"] if item["type"] == "table" and (rows := _rows(item))]
        for number, rows in enumerate(tables, 1):
            yield f"Page {page['page']}" + (f", table {number}" if len(tables) > 1 else ""), rows


def workbook_of(tables: Sequence[tuple[str, Rows]]) -> bytes:
    """An .xlsx file. Nothing of it is a formula, whatever a cell begins with.

    Raises:
        LimitExceededError: more tables or cells than can be written while somebody waits.
    """
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    _check_size(tables)
    book, bold = Workbook(write_only=True), Font(bold=True)
    for name, rows in tables:
        sheet = book.create_sheet(name)
        for at, row in enumerate(rows):
            cells = []
            for text in row:
                value = _value(text) if at else _plain(text)
                cell = WriteOnlyCell(sheet, value)
                if isinstance(value, str):
                    cell.data_type = "s"
                if at == 0:
                    cell.font = bold
                cells.append(cell)
            sheet.append(cells)
        sheet.close()  # its file: there may be more sheets than files may be open
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _check_size(tables: Sequence[tuple[str, Rows]]) -> None:
    count = sum(len(row) for _, rows in tables for row in rows)
    widest = max((len(row) for _, rows in tables for row in rows), default=0)
    for found, most, noun in (
        (len(tables), MAX_TABLES, "tables"), (count, MAX_CELLS, "cells"), (widest, MAX_COLUMNS, "columns")
    ):  # fmt: skip
        if found > most:
            raise LimitExceededError(
                f"{found:,} {noun} are more than the {most:,} that a workbook is made of here: read them with "
                "result/json, or have them found by POST /api/v1/sheets/jobs"
            )


def _rows(item: Mapping[str, Any]) -> Rows:
    if "rows" in item:
        return [[_BREAK.sub("\n", cell) for cell in row] for row in item["rows"]]
    lines = (line for line in item["html"].split("\n") if line.startswith(("<tr><th>", "<tr><td>")))
    found = [_BETWEEN_CELLS.split(line.removesuffix("</tr>")[len("<tr><td>") : -len("</td>")]) for line in lines]
    return [[html.unescape(_BREAK.sub("\n", cell)) for cell in row] for row in found]


def _value(text: str) -> str | int | float | None:
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return _plain(text)


def _plain(text: str) -> str | None:
    """Without the characters that XML cannot hold; nothing for an empty cell."""
    return _NOT_IN_XML.sub("", text)[:_MAX_CELL_CHARS] or None
