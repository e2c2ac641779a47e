"""Small chunks to be found by, inside larger ones to answer with."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from rag.chunkers.base import Chunker, TokenCounter
from rag.chunkers.by_headings import HeadingsChunker
from rag.chunkers.cutting import Cutter
from rag.chunkers.options import SizeOptions
from rag.chunkers.spans import (
    Positions,
    Spans,
    as_spans,
    gaps_filled,
    line_spans,
    paragraph_spans,
    parted,
    sentence_spans,
    word_spans,
)
from rag.errors import InvalidInputError
from rag.types import Chunk, Document

_FINDERS = (sentence_spans, line_spans, word_spans)


class ParentChildChunker:
    """A parent is a section, several small ones, or as much of a long one as `parent_size` allows, over pages if need
    be. Each chunk knows its parent; a retrieval strategy with `expand: {type: parent}` returns it instead.
    """

    class Options(SizeOptions):
        chunk_size: int = Field(400, gt=0, description="Characters per chunk, at most.")
        chunk_overlap: int = Field(
            0, ge=0, description="Characters repeated from the end of the chunk before, at most; inside one parent."
        )
        parent_size: int = Field(2000, gt=0, description="Characters of a parent, at most; more than `chunk_size`.")

        @model_validator(mode="after")
        def _parent_is_larger(self) -> Self:
            if self.parent_size < self.chunk_size and "parent_size" in self.model_fields_set:
                raise InvalidInputError(
                    f"parent_size = {self.parent_size} must not be less than chunk_size = {self.chunk_size}"
                )
            return self

        @property
        def parent(self) -> int:
            """The size in force: a large `chunk_size` alone in the YAML takes larger parents with it."""
            return max(self.parent_size, self.chunk_size)

    def __init__(self, options: Options, *, counter: TokenCounter) -> None:
        self._options = options
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        parents = self._parents(document)
        starts = parents[:, 0]

        def parent_numbers(positions: Positions) -> Positions:
            return np.searchsorted(starts, positions, "right").astype(np.int64)

        cutter = Cutter(document, self._counter)
        rules = cutter.characters(self._options.chunk_size, self._options.overlap)
        pieces = parted(_pieces(document), starts)
        chunks = cutter.cut(pieces, _FINDERS, rules, group=parent_numbers, is_firm=True)
        return [replace(chunk, parent=_parent_of(chunk, parents)) for chunk in chunks]

    def _parents(self, document: Document) -> Spans:
        whole = replace(document, pages=())
        size = self._options.parent
        if document.rows:
            cutter = Cutter(whole, _Boundless())
            rows = cutter.cut(_pieces(document), _FINDERS, cutter.characters(size, 0))
            return _spans(rows)
        sections: Chunker = HeadingsChunker(SizeOptions(chunk_size=size, chunk_overlap=0), counter=_Boundless())
        return _spans(sections.chunk(whole))


class _Boundless:
    """Parents are not embedded, so that no window holds for them."""

    max_tokens = 1 << 40

    def count(self, text: str) -> int:
        return 0

    def count_batch(self, texts: list[str]) -> list[int]:
        return [0] * len(texts)

    def spans(self, text: str) -> list[tuple[int, int]]:
        return []


def _pieces(document: Document) -> Spans:
    if document.rows:
        return gaps_filled(document.text, as_spans(document.rows))
    return paragraph_spans(document.text)


def _spans(chunks: Sequence[Chunk]) -> Spans:
    return as_spans([(chunk.start, chunk.end) for chunk in chunks])


def _parent_of(chunk: Chunk, parents: Spans) -> tuple[int, int]:
    index = max(0, int(np.searchsorted(parents[:, 0], chunk.start, "right")) - 1)
    start, end = parents[index].tolist()
    return min(start, chunk.start), max(end, chunk.end)
