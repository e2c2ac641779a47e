"""Chunks of whole functions and classes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from pydantic import Field

from rag.chunkers.base import TokenCounter
from rag.chunkers.code_blocks import code_blocks, definitions, statement_lines
from rag.chunkers.cutting import Cutter
from rag.chunkers.options import SizeOptions
from rag.chunkers.places import heading_starts
from rag.chunkers.spans import Positions, line_spans, parted, word_spans
from rag.types import Chunk, Document

_FINDERS = (*[code_blocks] * 5, statement_lines, line_spans, word_spans)


class CodeChunker:
    """Small declarations share a chunk. A long one is parted between its inner blocks, at blank lines, and last
    between statements; its name stays in the heading path of each part. No chunk begins inside a string or a comment
    that fits.
    """

    class Options(SizeOptions):
        chunk_overlap: int = Field(0, ge=0, description="Characters of whole lines repeated from the chunk before.")

    def __init__(self, options: Options, *, counter: TokenCounter) -> None:
        self._options = options
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        if not document.headings:
            document = replace(document, headings=tuple(definitions(document.text)))
        cutter = Cutter(document, self._counter, keeps_headings=False)
        rules = cutter.characters(self._options.chunk_size, self._options.overlap)
        borders = self._borders(document)

        def block_numbers(positions: Positions) -> Positions:
            return np.searchsorted(borders, positions, "right").astype(np.int64)

        blocks = parted(code_blocks(document.text), borders)
        return cutter.cut(blocks, _FINDERS, rules, group=block_numbers)

    def _borders(self, document: Document) -> Positions:
        """Where long declarations begin and end: their parts share no chunk with what stands around them."""
        edges = [*heading_starts(document).tolist(), len(document.text)]
        long = [pair for pair in pairwise(edges) if pair[1] - pair[0] > self._options.chunk_size]
        return np.unique(np.array([edge for pair in long for edge in pair], dtype=np.int64))
