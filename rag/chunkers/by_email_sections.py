"""Chunks of a mail: its head and text, each earlier message below it, the signature, each attachment."""

import re

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.chunkers.cutting import Cutter
from rag.chunkers.options import SizeOptions
from rag.chunkers.places import heading_starts
from rag.chunkers.spans import Positions, line_spans, paragraph_spans, parted, sentence_spans, word_spans
from rag.types import Chunk, Document

_SECTION = re.compile(
    r"^(?:On [^\n]{5,250} wrote:|Am [^\n]{5,250} schrieb[^\n]{0,100}:|Le [^\n]{5,250} a écrit ?:"
    r"|Begin forwarded message:|-{2,} ?(?:Original Message|Forwarded [Mm]essage|Ursprüngliche Nachricht"
    r"|Message d'origine) ?-{2,}|(?:From|Von|De): [^\n]{1,250}|-- )[ \t]*$",
    re.MULTILINE,
)
_QUOTED = re.compile(r"(?:^>[^\n]*\n?)+", re.MULTILINE)


class EmailSectionsChunker:
    """What was written now is not mixed with what is quoted; a section over the limit is parted by paragraphs."""

    Options = SizeOptions

    def __init__(self, options: SizeOptions, *, counter: TokenCounter) -> None:
        self._options = options
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        cutter = Cutter(document, self._counter)
        rules = cutter.characters(self._options.chunk_size, self._options.overlap)
        borders = _borders(document)

        def section_numbers(positions: Positions) -> Positions:
            return np.searchsorted(borders, positions, "right").astype(np.int64)

        pieces = parted(paragraph_spans(document.text), borders)
        return cutter.cut(pieces, (sentence_spans, line_spans, word_spans), rules, group=section_numbers)


def _borders(document: Document) -> Positions:
    quotes = [edge for found in _QUOTED.finditer(document.text) for edge in found.span()]
    starts = [found.start() for found in _SECTION.finditer(document.text)]
    return np.unique(np.array([*heading_starts(document).tolist(), *starts, *quotes], dtype=np.int64))
