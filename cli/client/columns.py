"""How wide the columns of a table are where the terminal is narrow."""

import re
from collections.abc import Sequence

SHORT_HASH_CHARS = 12
_HASH = re.compile("[0-9a-f]{32,128}")
_GAP = 2
"""What stands between two columns."""


def short_hashes(rows: Sequence[Sequence[str]]) -> tuple[list[list[str]], bool]:
    """The rows with the beginnings of their hashes, and whether there were any."""
    shorter = [[cell[:SHORT_HASH_CHARS] if _HASH.fullmatch(cell) else cell for cell in row] for row in rows]
    return shorter, shorter != [list(row) for row in rows]


def column_widths(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, fits_whole: bool = False
) -> list[int] | None:
    """Widths with which no word breaks; None where `width` has no room for that.

    Args:
        fits_whole: also no cell may go on in a second line.
    """
    columns = list(zip(headings, *rows, strict=True))
    room = width - _GAP * (len(columns) - 1)
    widths = [max(_width(line) for cell in column for line in cell.split("\n")) for column in columns]
    least = [max(_width(word) for cell in column for word in cell.split() or [""]) for column in columns]
    if sum(widths if fits_whole else least) > room:
        return None
    widths = [min(width, room) for width in widths]
    while sum(widths) > room:
        widest = max((each for each in range(len(widths)) if widths[each] > least[each]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
