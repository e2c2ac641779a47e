"""What is kept of a page once its lines are in order, until the whole document is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

EDGE_LINES: Final = 4
"""How many lines at the top and at the bottom of a page may be its header and footer."""

MAX_EDGE_CHARS: Final = 200
MAX_EDGE_POINTS: Final = 120.0
MIN_EDGE_GAP: Final = 1.2
"""How far a header stands from the text, as a multiple of the usual distance of two lines."""

PARAGRAPH_GAP: Final = 1.35
"""Two paragraphs are so many times as far from each other as two lines usually are."""

LARGE: Final = 1.12
"""Lines so many times as high as the usual one of their page may be headings."""

TITLE_GAP: Final = 1.1
MAX_HEADING_CHARS: Final = 200
MAX_BOLD_HEADING_CHARS: Final = 80


class Edge(NamedTuple):
    """A line at the top or the bottom of a page, which may be a header or footer.

    Args:
        line: its number among the lines of the page.
        place: how far its base is from that border of the page, in points.
        gap: its distance to the next line inwards, as a multiple of the page's usual one.
    """

    line: int
    text: str
    is_top: bool
    place: float
    gap: float


class Candidate(NamedTuple):
    """A line that may be a heading."""

    line: int
    text: str
    size: float
    is_bold: bool


@dataclass(slots=True)
class ComposedPage:
    """The text of a page and what is known of its lines: nothing that grows with the words on it."""

    text: str
    edges: tuple[Edge, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    sizes: Mapping[float, int] = field(default_factory=dict)
    """Line height → how many characters have it."""


def could_be_title(text: str, length: int) -> bool:
    """Whether a short line reads like a heading, if it is bold."""
    return (
        length <= MAX_BOLD_HEADING_CHARS
        and (text[0].isupper() or text[0].isdigit())
        and text[-1] not in ".,;:-"
        and any(char.isalpha() for char in text[:20])
    )
