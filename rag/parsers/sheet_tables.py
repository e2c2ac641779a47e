"""Finds the tables of a sheet: titles above them, column names of one or several rows, blank rows between them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rag.parsers.sheets import Cell, Row, Sheet, shown
from rag.parsers.tables import column_names

_MAX_TITLE_ROWS: Final = 3
_MAX_HEADER_ROWS: Final = 3
_MAX_NAME_CHARS: Final = 200

Numbered = tuple[int, Row]
"""0-based number of the row in the sheet, and its cells."""


@dataclass(slots=True)
class Table:
    """`rows` can be read once, and before the next table is asked for."""

    title: str
    header: list[str]
    """The row of names as it stands there."""
    columns: list[str]
    rows: Iterator[Numbered]
    numeric: set[int] = field(default_factory=set)
    """Columns in which something else than text was seen."""


class _Ahead:
    """Rows one by one, with a look at those that come."""

    def __init__(self, rows: Iterator[Numbered]) -> None:
        self._rows = rows
        self._seen: deque[Numbered] = deque()

    def peek(self, distance: int = 0) -> Numbered | None:
        while len(self._seen) <= distance:
            row = next(self._rows, None)
            if row is None:
                return None
            self._seen.append(row)
        return self._seen[distance]

    def take(self) -> Numbered:
        self.peek()
        return self._seen.popleft()

    def row(self, distance: int = 0) -> Row:
        found = self.peek(distance)
        return found[1] if found else []

    def skip_blank(self) -> None:
        while (found := self.peek()) is not None and not _filled(found[1]):
            self.take()


def tables_of(sheet: Sheet, skipped_rows: int = 0, *, find_titles: bool = True) -> Iterator[Table]:
    """The tables of a sheet from its top.

    Args:
        skipped_rows: rows above the first table's column names that say nothing.
        find_titles: whether the first table may have lines of title above its column names.
    """
    ahead = _Ahead(_numbered(sheet))
    for _ in range(skipped_rows):
        if ahead.peek() is not None:
            ahead.take()
    ahead.skip_blank()
    while ahead.peek() is not None:
        title = _title(ahead) if find_titles else ""
        header = _header(ahead, sheet)
        table = Table(title, header, column_names(header), iter(()))
        table.rows = _rows(ahead, table)
        yield table
        for _row in table.rows:
            pass
        find_titles = True


def _numbered(sheet: Sheet) -> Iterator[Numbered]:
    """Rows in which a cell that is merged over several rows stands in each of them."""
    standing: dict[int, tuple[int, Cell]] = {}  # per column: the last row it reaches, what it holds
    for number, row in enumerate(sheet.rows):
        if not sheet.spans:
            yield number, row
            continue
        full = list(row)
        if _filled(row):
            for column, (last, value) in standing.items():
                if number <= last and (column >= len(full) or full[column] is None):
                    full += [None] * (column + 1 - len(full))
                    full[column] = value
        for column in _columns_of(row):
            height = sheet.spans.get((number, column), (1, 1))[0]
            if height > 1:
                standing[column] = (number + height - 1, row[column])
        standing = {column: each for column, each in standing.items() if each[0] > number}
        yield number, full


def _title(ahead: _Ahead) -> str:
    """Lines of one cell each above a row that names columns."""
    count = 0
    while count < _MAX_TITLE_ROWS and len(_columns_of(ahead.row(count))) == 1 and _is_text(ahead.row(count)):
        count += 1
    if not count:
        return ""
    gap = 0
    while ahead.peek(count + gap) is not None and not _filled(ahead.row(count + gap)) and gap < _MAX_TITLE_ROWS:
        gap += 1
    if not _names_columns(ahead.row(count + gap)):
        return ""
    lines = [_text(ahead.take()[1]) for _ in range(count)]
    ahead.skip_blank()
    return " – ".join(lines)


def _header(ahead: _Ahead, sheet: Sheet) -> list[str]:
    """The names of the columns; below a name that is merged over several columns stands a second row of names."""
    levels: list[list[str]] = []
    has_groups = True
    while has_groups and len(levels) < _MAX_HEADER_ROWS and ahead.peek() is not None:
        if levels and not (_names_columns(ahead.row()) and _filled(ahead.row(1))):
            break
        number, row = ahead.take()
        names = [shown(cell) for cell in row]
        has_groups = False
        for column in _columns_of(row):
            width = sheet.spans.get((number, column), (1, 1))[1]
            has_groups = has_groups or width > 1
            names += [""] * (column + width - len(names))
            names[column : column + width] = [names[column]] * width
        levels.append(names)
    width = max((len(names) for names in levels), default=0)
    parts = [[names[column] for names in levels if column < len(names)] for column in range(width)]
    return [" ".join(dict.fromkeys(filter(None, each))) for each in parts]


def _rows(ahead: _Ahead, table: Table) -> Iterator[Numbered]:
    is_after_blank = False
    while (found := ahead.peek()) is not None:
        if not _filled(found[1]):
            is_after_blank = True
        elif is_after_blank and _begins_table(ahead, table):
            return
        else:
            is_after_blank = False
            table.numeric |= {column for column in _columns_of(found[1]) if not isinstance(found[1][column], str)}
            yield ahead.take()
            continue
        ahead.take()


def _begins_table(ahead: _Ahead, table: Table) -> bool:
    """Whether the row at hand names the columns of another table, or is the title above one.

    Only where it cannot be a row of this table: text in a column of numbers or dates, or cells beyond its columns.
    """
    at = 0
    if len(_columns_of(ahead.row())) == 1:
        at = 1 if _filled(ahead.row(1)) else 2
    row = ahead.row(at)
    if not _names_columns(row) or not _filled(ahead.row(at + 1)):
        return False
    columns = set(_columns_of(row))
    return bool(columns & table.numeric) or max(columns) >= len(table.columns)


def _filled(row: Row) -> bool:
    return bool(row) and (row[-1] not in {None, ""} or any(cell is not None and cell != "" for cell in row))


def _columns_of(row: Row) -> list[int]:
    return [column for column, cell in enumerate(row) if cell is not None and cell != ""]


def _is_text(row: Row) -> bool:
    return all(isinstance(cell, str) for cell in row if cell is not None)


def _names_columns(row: Row) -> bool:
    names = [cell for cell in row if cell is not None and cell != ""]
    return all(isinstance(name, str) and len(name) <= _MAX_NAME_CHARS for name in names) and len(set(names)) > 1


def _text(row: Row) -> str:
    return " ".join(shown(cell) for cell in row if cell is not None).strip()
