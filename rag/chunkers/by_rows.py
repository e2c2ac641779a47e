"""Chunks of whole table rows."""

import numpy as np
from pydantic import Field

from rag.chunkers.base import TokenCounter
from rag.chunkers.cutting import Cutter
from rag.chunkers.options import SizeOptions
from rag.chunkers.packing import Measure, Rule
from rag.chunkers.places import heading_starts
from rag.chunkers.spans import (
    Positions,
    Spans,
    as_spans,
    field_spans,
    gaps_filled,
    line_spans,
    parted,
    sentence_spans,
    word_spans,
)
from rag.types import Chunk, Document


class RowsChunker:
    """The embedder's window decides first: a chunk holds `chunk_size` rows only where they are that short.

    In a document without rows each line is one. A row over the window is parted between its fields. A heading over
    rows – the name of a sheet – begins a chunk: rows of two tables have different columns.
    """

    class Options(SizeOptions):
        chunk_size: int = Field(1000, gt=0, description="Rows per chunk, at most.")
        chunk_overlap: int = Field(0, ge=0, description="Rows repeated from the end of the chunk before, at most.")

    def __init__(self, options: Options, *, counter: TokenCounter) -> None:
        self._options = options
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        rows = as_spans(document.rows) if document.rows else line_spans(document.text)
        cutter = Cutter(document, self._counter)
        rules = [self._row_rule(rows), cutter.tokens(self._counter.max_tokens, self._counter.max_tokens)]
        finders = (field_spans, sentence_spans, word_spans)
        pieces = gaps_filled(document.text, rows)
        if not document.rows or not document.headings:
            return cutter.cut(pieces, finders, rules)
        starts = heading_starts(document)

        def table_numbers(positions: Positions) -> Positions:
            return np.searchsorted(starts, positions, "right").astype(np.int64)

        return cutter.cut(parted(pieces, starts), finders, rules, group=table_numbers)

    def _row_rule(self, rows: Spans) -> Rule:
        options = self._options

        def measure(spans: Spans) -> Measure:
            # Text before the first row goes with it, text after a row belongs to that row.
            numbers = np.maximum(np.searchsorted(rows[:, 0], spans[:, 0], "right"), 1).astype(np.int64)
            return Measure(numbers, numbers + 1, options.chunk_size, options.overlap)

        return measure
