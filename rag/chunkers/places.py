"""Where a chunk stands in its document: its pages and the headings above it."""

import re

import numpy as np

from rag.chunkers.spans import Positions, Spans
from rag.types import Document, Heading

_WORD_CHAR = re.compile(r"[^\W_]")


class Places:
    def __init__(self, document: Document) -> None:
        self._text = document.text
        self._pages = document.pages
        self._has_parts = bool(document.parts)
        self._page_starts = np.array([page.start for page in document.pages], dtype=np.int64)
        self._page_ends = np.array([page.end for page in document.pages], dtype=np.int64)
        self._headings = document.headings
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
        """Of one position."""
        index = int(np.searchsorted(self._heading_starts, start, "right")) - 1
        return self._heading_paths[index] if index >= 0 else ()

    def sections(self, start: int, end: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The heading path of a span, and the titles of its sections where there are several.

        The path of several is what theirs have in common. A heading without text of its own, and what stands before
        the first heading of all, count only where there is nothing else.
        """
        first, behind = (int(np.searchsorted(self._heading_starts, edge, "left")) for edge in (start + 1, end))
        first -= 1
        if behind - first < 2:
            return self.heading_path(start), ()
        indexes = range(max(0, first), behind)
        told = [each for each in indexes if not self._is_bare(each, start, end)] or [behind - 1]
        paths = [self._heading_paths[each] for each in told]
        titles = dict.fromkeys(path[-1] for path in paths)
        return _common_start(paths), tuple(titles) if len(paths) > 1 else ()

    def _is_bare(self, index: int, start: int, end: int) -> bool:
        """Whether a heading has no text of its own in a span. One that begins before the span has."""
        begin = self._headings[index].start
        until = min(end, self._headings[index + 1].start) if index + 1 < len(self._headings) else end
        body = self._text[begin:until].rstrip()
        return begin >= start and is_bare_heading(body, 0, len(body))


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


def _common_start(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    low, high = min(paths), max(paths)
    length = next((n for n, pair in enumerate(zip(low, high, strict=False)) if pair[0] != pair[1]), len(low))
    return low[:length]


def is_bare_heading(text: str, start: int, end: int) -> bool:
    """Whether a span that begins at a heading holds nothing but that heading, underlined or not."""
    line_end = text.find("\n", start, end)
    if line_end < 0:
        return True
    return not any(char.isalnum() for char in text[line_end + 1 : min(end, line_end + 200)]) and end - line_end <= 200


class HeadingHomes:
    """To which text the lines of headings belong: to what stands below them, and what stands above where nothing
    does before the next border.

    Args:
        starts: of headings.
        borders: where pages and parts begin or end.
    """

    def __init__(self, text: str, starts: Positions, borders: Positions) -> None:
        self._starts = starts
        behind = [*starts.tolist(), len(text)][1:]
        ends = [text.find("\n", start, end) for start, end in zip(starts.tolist(), behind, strict=True)]
        self._ends = np.array(
            [end if end >= 0 else other for end, other in zip(ends, behind, strict=True)], dtype=np.int64
        )
        bodies = [_WORD_CHAR.search(text, *edges) for edges in zip(self._ends.tolist(), behind, strict=True)]
        homes = [body.start() if body else other for body, other in zip(bodies, behind, strict=True)]
        region_of = np.searchsorted(borders, [*starts.tolist(), *homes], "right").reshape(2, -1)
        is_last = (region_of[0] != region_of[1]) | (np.array(homes) == len(text))
        for index in reversed(range(len(starts) - 1)):
            if not bodies[index] and not is_last[index]:
                homes[index], is_last[index] = homes[index + 1], is_last[index + 1]
        for index in np.flatnonzero(is_last).tolist():
            above = max(0, int(starts[index]) - 1)
            if index and is_last[index - 1] and region_of[0][index - 1] == region_of[0][index]:
                homes[index] = homes[index - 1]
            else:
                is_alone = region_of[0][index] != np.searchsorted(borders, above, "right")
                homes[index] = int(starts[index]) if is_alone else above
        self._homes = np.array(homes, dtype=np.int64)

    def of(self, positions: Positions) -> Positions:
        if not len(self._starts):
            return positions
        index = np.maximum(np.searchsorted(self._starts, positions, "right") - 1, 0)
        is_inside = (positions >= self._starts[index]) & (positions <= self._ends[index])
        return np.where(is_inside, self._homes[index], positions)


def join_headings(text: str, spans: Spans, starts: Positions, groups: Positions) -> Spans:
    """Join each span that is only a heading with the span after it; the last ones of a group with the one before."""
    is_bare = np.isin(spans[:, 0], starts)
    for index in np.flatnonzero(is_bare).tolist():
        is_bare[index] = is_bare_heading(text, *spans[index].tolist())
    if not is_bare.any():
        return spans
    is_begin = np.ones(len(spans), dtype=np.bool_)
    is_begin[1:] = ~is_bare[:-1] | (groups[:-1] != groups[1:])
    is_last = np.append(groups[:-1] != groups[1:], True)
    for index in np.flatnonzero(is_bare & is_last).tolist():
        while not is_begin[index]:
            index -= 1
        is_begin[index] = index == 0 or groups[index - 1] != groups[index]
    is_end = np.append(is_begin[1:], True)
    return np.stack([spans[is_begin, 0], spans[is_end, 1]], axis=1)
