"""The white space between two chunks of a file, of which only what is unusual is stored."""

from typing import Final

from rag.types import Scalar

MAX_GAP_CHARS: Final = 1_000
"""More white space than that is put back as a usual gap of its length."""


def usual_gap(before: str, char_count: int, strategy: Scalar | None) -> str:
    """White space of the right length after the chunk `before`: a line break where lines matter, else a blank."""
    if char_count == 0:
        return ""
    if strategy == "code" and char_count > 1:
        return "\n" + " " * (char_count - 1)
    if char_count > 1:
        return "\n" * min(char_count, 2) + " " * (char_count - 2)
    paragraph = before.rpartition("\n\n")[2]
    is_line = "\n" in paragraph or paragraph.startswith("|") or strategy == "rows"
    return "\n" if is_line else " "
