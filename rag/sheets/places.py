"""Where cells are: A1 notation and rectangles. Rows and columns are counted from 0 here, from 1 on paper."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from rag.errors import InvalidInputError

MAX_ROWS: Final = 1_048_576
MAX_COLUMNS: Final = 16_384
_RANGE: Final = re.compile(
    r"(?:(?:'(?P<quoted>(?:[^']|'')+)'|(?P<plain>[^'!:]+))!)?"
    r"(?P<first>\$?[A-Za-z]{1,3}\$?[0-9]{1,7}|\$?[A-Za-z]{1,3}|\$?[0-9]{1,7})"
    r"(?::(?P<last>\$?[A-Za-z]{1,3}\$?[0-9]{1,7}|\$?[A-Za-z]{1,3}|\$?[0-9]{1,7}))?"
)
_PART: Final = re.compile(r"([A-Z]*)([0-9]*)")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of cells; `bottom` and `right` belong to it."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top + 1

    @property
    def width(self) -> int:
        return self.right - self.left + 1

    @property
    def area(self) -> int:
        return self.height * self.width

    def overlaps(self, other: "Box") -> bool:
        return (
            self.top <= other.bottom
            and other.top <= self.bottom
            and self.left <= other.right
            and other.left <= self.right
        )

    def joined(self, other: "Box") -> "Box":
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def cut_to(self, other: "Box") -> "Box | None":
        """What both have in common."""
        if not self.overlaps(other):
            return None
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )


@dataclass(frozen=True, slots=True)
class Range:
    """A range that somebody asked for; `sheet` where it names one."""

    box: Box
    sheet: str | None = None


@cache
def letters(column: int) -> str:
    found = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(65 + rest) + found
    return found


@cache
def column_of(name: str) -> int:
    """Raises ValueError for what is no column of a sheet."""
    number = 0
    for letter in name.upper():
        if not "A" <= letter <= "Z":
            raise ValueError(f"no column is called {name[:20]!r}")
        number = number * 26 + ord(letter) - 64
    if not 1 <= number <= MAX_COLUMNS:
        raise ValueError(f"no column is called {name[:20]!r}")
    return number - 1


def a1(row: int, column: int) -> str:
    return f"{letters(column)}{row + 1}"


def location(box: Box) -> str:
    return f"{a1(box.top, box.left)}:{a1(box.bottom, box.right)}"


def read_range(text: str) -> Range:
    """`A1:D10`, `B3`, `A:C`, `2:9`, also with the name of a sheet before (`Sales!A1:D10`).

    Raises:
        InvalidInputError: it is none of these, or reaches beyond what a sheet can have.
    """
    found = _RANGE.fullmatch(text.strip()[:500])
    if found is None:
        raise _unreadable(text)
    first = _corner(found["first"], text)
    last = _corner(found["last"], text) if found["last"] else first
    if (first[0] is None, first[1] is None) != (last[0] is None, last[1] is None):
        raise _unreadable(text)
    if found["last"] is None and None in first:
        raise _unreadable(text)
    rows = sorted((0 if first[0] is None else first[0], MAX_ROWS - 1 if last[0] is None else last[0]))
    columns = sorted((0 if first[1] is None else first[1], MAX_COLUMNS - 1 if last[1] is None else last[1]))
    sheet = found["quoted"].replace("''", "'") if found["quoted"] else found["plain"]
    return Range(Box(rows[0], columns[0], rows[1], columns[1]), sheet)


def _corner(text: str, whole: str) -> tuple[int | None, int | None]:
    part = _PART.fullmatch(text.replace("$", "").upper())
    if part is None:
        raise _unreadable(whole)
    row = int(part[2]) - 1 if part[2] else None
    if row is not None and not 0 <= row < MAX_ROWS:
        raise _unreadable(whole)
    try:
        return row, column_of(part[1]) if part[1] else None
    except ValueError as error:
        raise _unreadable(whole) from error


def _unreadable(text: str) -> InvalidInputError:
    return InvalidInputError(
        f"extraction_range {text[:100]!r} is not a range of cells: expected A1 notation such as 'A1:D10', 'B:D' or "
        "'Sales!A1:D10'"
    )
