"""The parts of a document that a model reads one at a time."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rag.chunkers.tables import find_tables
from rag.errors import InvalidInputError
from rag.types import Document

MAX_RANGES = 1_000
_BREAKS = ("\n\n", "\n", ". ", " ")
_RANGE = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Characters `start` up to but excluding `end` of a document.

    Args:
        heading: of the table that it begins in the middle of.
        heading_start: where that stands in the document.
    """

    start: int
    end: int
    text: str
    heading: str = ""
    heading_start: int = 0


def read_ranges(written: str) -> list[tuple[int, int]]:
    """`1,3,5-7` as (first, last) pairs, counted from 1.

    Raises:
        InvalidInputError: it is written otherwise.
    """
    parts = written.split(",")
    found = [_RANGE.fullmatch(each) for each in parts[:MAX_RANGES]]
    ranges = [(int(each[1]), int(each[2] or each[1])) for each in found if each]
    if len(ranges) != len(parts) or any(first < 1 or last < first for first, last in ranges):
        raise InvalidInputError(f"page range {written[:100]!r}: expected pages from 1 on, such as '1,3,5-7'")
    return ranges


def pages_of(
    document: Document, ranges: Sequence[tuple[int, int]] | None, max_pages: int | None
) -> list[tuple[int, int, int]]:
    """(page, start, end) of the pages that are wanted; a document without pages is one page.

    Raises:
        InvalidInputError: none of them is there.
    """
    pages = [(each.page, each.start, each.end) for each in document.pages] or [(1, 0, len(document.text))]
    if ranges is not None:
        pages = [each for each in pages if any(first <= each[0] <= last for first, last in ranges)]
    pages = pages if max_pages is None else pages[:max_pages]
    if not pages:
        count = document.page_count or max(1, len(document.pages))
        raise InvalidInputError(f"none of the pages that are asked for exist: the file has {count}")
    return pages


def sheets_of(document: Document, names: Sequence[str]) -> list[tuple[int, int]]:
    """Raises InvalidInputError that lists the sheets when one is unknown."""
    sheets = [each for each in document.parts if each.kind == "sheet"]
    unknown = set(names) - {each.name for each in sheets}
    if unknown:
        known = ", ".join(each.name for each in sheets) or "none"
        raise InvalidInputError(f"the file has no sheet {min(unknown)!r}; its sheets: {known}")
    return [(each.start, each.end) for each in sheets if each.name in names]


def together(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that follow each other as one."""
    ordered = sorted(spans)
    joined = ordered[:1]
    for (_, end), (start, stop) in pairwise(ordered):
        if start - end <= 2:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def cut(document: Document, spans: Sequence[tuple[int, int]], size: int) -> list[TextPart]:
    """Parts of at most `size` characters, cut between paragraphs, lines, sentences or words, in this order."""
    tables = [each for each in find_tables(document.text) if each.header]
    starts = [each.start for each in tables]
    parts = []
    for start, end in spans:
        while start < end:
            stop = _end_of(document.text, start, end, size)
            at = bisect_right(starts, start) - 1
            inside = at >= 0 and tables[at].body_start < start < tables[at].end
            text = document.text[start:stop]
            if text.strip():
                heading = (tables[at].header, tables[at].start) if inside else ("", 0)
                parts.append(TextPart(start, stop, text, *heading))
            start = stop
    return parts


def halves(part: TextPart) -> list[TextPart]:
    stop = _end_of(part.text, 0, len(part.text), len(part.text) // 2 + 1)
    at = part.start + stop
    return [
        replace(part, end=at, text=part.text[:stop]),
        replace(part, start=at, text=part.text[stop:]),
    ]


def _end_of(text: str, start: int, end: int, size: int) -> int:
    if end - start <= size:
        return end
    half = start + size // 2
    for mark in _BREAKS:
        at = text.rfind(mark, half, start + size)
        if at >= 0:
            return at + len(mark)
    return start + size


def page_at(document: Document, position: int) -> int | None:
    at = bisect_right(document.pages, position, key=lambda page: page.start) - 1
    return document.pages[at].page if at >= 0 else None
