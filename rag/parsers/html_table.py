"""The rows of a table on a page, with every cell in the column where a reader sees it."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

_MAX_WIDTH: Final = 100
_MAX_HEIGHT: Final = 65_534
_MAX_COLUMNS: Final = 500
_MAX_REPEATED_CHARS: Final = 500


class Cell(NamedTuple):
    text: str
    width: int = 1
    height: int = 1

    @classmethod
    def of(cls, text: str, attributes: Mapping[str, str | None]) -> "Cell":
        return cls(
            text,
            _span(attributes.get("colspan"), _MAX_WIDTH),
            _span(attributes.get("rowspan"), _MAX_HEIGHT, of_zero=_MAX_HEIGHT),
        )


class HtmlTable:
    """A cell over several rows stands in each of them; one over several columns is followed by blank ones."""

    def __init__(self) -> None:
        self.row_count = 0
        self._standing: dict[int, tuple[int, str]] = {}  # per column: the rows it still reaches, what it says

    def place(self, cells: Sequence[Cell]) -> list[str]:
        """The texts of the next row; empty if none of its own cells says something."""
        above, row = self._standing, list[str]()
        self._standing = {column: (rows - 1, text) for column, (rows, text) in above.items() if rows > 1}
        for text, width, height in cells:
            while len(row) in above:
                row.append(above[len(row)][1])
            is_narrow = (len(cells) == 1 and not above) or len(row) + width > _MAX_COLUMNS
            texts = [text] if is_narrow else [text, *[""] * (width - 1)]
            if height > 1 and len(row) < _MAX_COLUMNS:
                repeated = [each if len(each) <= _MAX_REPEATED_CHARS else "" for each in texts]
                self._standing |= {len(row) + at: (height - 1, each) for at, each in enumerate(repeated)}
            row += texts
        if not any(cell.text for cell in cells):
            return []
        row += [above[column][1] if column in above else "" for column in range(len(row), max(above, default=-1) + 1)]
        self.row_count += 1
        return row

    def end_group(self) -> None:
        """Cells reach no further than their head, body or foot of the table."""
        self._standing = {}


def _span(value: str | None, most: int, *, of_zero: int = 1) -> int:
    digits = (value or "").strip()[:9]
    if not (digits.isascii() and digits.isdecimal()):
        return 1
    return min(int(digits), most) or of_zero
