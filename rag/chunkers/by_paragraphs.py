"""Chunks of whole paragraphs."""

from rag.chunkers.base import TokenCounter
from rag.chunkers.cutting import Cutter
from rag.chunkers.options import SizeOptions
from rag.chunkers.spans import line_spans, paragraph_spans, sentence_spans, word_spans
from rag.types import Chunk, Document


class ParagraphsChunker:
    Options = SizeOptions

    def __init__(self, options: SizeOptions, *, counter: TokenCounter) -> None:
        self._options = options
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        cutter = Cutter(document, self._counter)
        rules = cutter.characters(self._options.chunk_size, self._options.overlap)
        return cutter.cut(paragraph_spans(document.text), (sentence_spans, line_spans, word_spans), rules)
