"""Chunks that begin at headings."""

from typing import NamedTuple

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.chunkers.cutting import Cutter
from rag.chunkers.options import SizeOptions
from rag.chunkers.places import Places, is_bare_heading
from rag.chunkers.spans import (
    Positions,
    Spans,
    as_spans,
    gaps_filled,
    line_spans,
    paragraph_spans,
    sentence_spans,
    word_spans,
)
from rag.types import Chunk, Document

SMALL_SHARE = 4
"""A section shorter than chunk_size / 4 is small: alone it says too little to be found."""

_FINDERS = (paragraph_spans, sentence_spans, line_spans, word_spans)


class HeadingsChunker:
    """Each heading begins a chunk, except that

    * a heading without text of its own goes with the section after it (the last one: with the one before),
    * small sections are gathered while they fit in one chunk and stay under the parent of the first.

    A document without headings is cut by paragraphs.
    """

    Options = SizeOptions

    def __init__(self, options: SizeOptions, *, counter: TokenCounter) -> None:
        self._options = options
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        cutter = Cutter(document, self._counter)
        rules = cutter.characters(self._options.chunk_size, self._options.overlap)
        if not document.headings:
            return cutter.cut(paragraph_spans(document.text), _FINDERS[1:], rules)
        sections = self._gathered(document)

        def section_numbers(positions: Positions) -> Positions:
            return np.searchsorted(sections[:, 0], positions, "right").astype(np.int64)

        return cutter.cut(sections, _FINDERS, rules, group=section_numbers)

    def _gathered(self, document: Document) -> Spans:
        """Spans of what is to be one chunk if it fits: a section, or several that are small."""
        text, places = document.text, Places(document)
        sections = gaps_filled(text, as_spans([(heading.start, heading.start) for heading in document.headings]))
        groups: list[_Group] = []
        for start, end in sections.tolist():
            path = places.heading_path(start)
            section = _Group(start, end, path[:-1], bool(path) and is_bare_heading(text, start, end))
            if groups and self._belongs(groups[-1], section, path):
                first = groups[-1]
                groups[-1] = _Group(first.start, end, first.parent, first.is_bare and section.is_bare)
            else:
                groups.append(section)
        return as_spans([(group.start, group.end) for group in groups])

    def _belongs(self, group: "_Group", section: "_Group", path: tuple[str, ...]) -> bool:
        if path[: len(group.parent)] != group.parent:
            return False
        fits = section.end - group.start <= self._options.chunk_size
        is_small = group.end - group.start < self._options.chunk_size // SMALL_SHARE
        return group.is_bare or (fits and (is_small or section.is_bare))


class _Group(NamedTuple):
    start: int
    end: int
    parent: tuple[str, ...]
    """Headings above the first section."""
    is_bare: bool
    """Whether it holds headings only."""
