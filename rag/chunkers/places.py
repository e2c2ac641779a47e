"""Where a chunk stands in its document: its pages and the headings above it."""

import numpy as np

from rag.chunkers.spans import Positions, Spans
from rag.types import Document, Heading


class Places:
    def __init__(self, document: Document) -> None:
        self._pages = document.pages
        self._has_parts = bool(document.parts)
        self._page_starts = np.array([page.start for page in document.pages], dtype=np.int64)
        self._page_ends = np.array([page.end for page in document.pages], dtype=np.int64)
        self._heading_starts = heading_starts(document)
        self._heading_paths = heading_paths(document.headings)

    def pages(self, start: int, end: int) -> tuple[int | None, int | None]:
        """First and last page that share a character with start … end; between two pages, the one before."""
        if not self._pages:
            return None, None
        first = int(np.searchsorted(self._page_ends, start, "right"))
        last = max(0, int(np.searchsorted(self._page_starts, end, "left")) - 1)
        first = min(first, last)
        if self._has_parts and not (self._page_starts[first] < end and start < self._page_ends[last]):
            return None, None  # in a part without pages, between others that have some
        return self._pages[first].page, self._pages[last].page

    def heading_path(self, start: int) -> tuple[str, ...]:
        index = int(np.searchsorted(self._heading_starts, start, "right")) - 1
        return self._heading_paths[index] if index >= 0 else ()


def heading_starts(document: Document) -> Positions:
    return np.array([heading.start for heading in document.headings], dtype=np.int64)


def heading_paths(headings: tuple[Heading, ...]) -> list[tuple[str, ...]]:
    """Titles from the outermost heading down to each heading itself."""
    paths: list[tuple[str, ...]] = []
    stack: list[Heading] = []
    for heading in headings:
        while stack and stack[-1].level >= heading.level:
            stack.pop()
        stack.append(heading)
        paths.append(tuple(above.title for above in stack))
    return paths


def is_bare_heading(text: str, start: int, end: int) -> bool:
    """Whether a span that begins at a heading holds nothing but that heading, underlined or not."""
    line_end = text.find("\n", start, end)
    if line_end < 0:
        return True
    return not any(char.isalnum() for char in text[line_end + 1 : min(end, line_end + 200)]) and end - line_end <= 200


def join_headings(text: str, spans: Spans, starts: Positions, groups: Positions | None = None) -> Spans:
    """Join each span that is only a heading with the span after it, unless that belongs to another group."""
    if len(spans) < 2 or not len(starts):
        return spans
    found = np.unique(np.searchsorted(spans[:-1, 0], starts))
    is_begin = np.ones(len(spans), dtype=np.bool_)
    known = set(starts.tolist())
    for index in found[found < len(spans) - 1].tolist():
        start, end = spans[index].tolist()
        same_group = groups is None or groups[index] == groups[index + 1]
        if start in known and same_group and is_bare_heading(text, start, end):
            is_begin[index + 1] = False
    is_end = np.append(is_begin[1:], True)
    return np.stack([spans[is_begin, 0], spans[is_end, 1]], axis=1)
