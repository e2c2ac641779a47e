"""The whole document as one chunk, or as few as the embedder's window allows."""

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.chunkers.cutting import Cutter
from rag.chunkers.spans import as_spans, gaps_filled, line_spans, paragraph_spans, sentence_spans, word_spans
from rag.registry import ComponentOptions
from rag.types import Chunk, Document


class FullChunker:
    """Pages and parts of a file are still told apart. Rows of a table, then paragraphs, are kept whole."""

    class Options(ComponentOptions):
        pass

    def __init__(self, options: Options, *, counter: TokenCounter) -> None:
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        cutter = Cutter(document, self._counter)
        rows = as_spans(document.rows)
        pieces = gaps_filled(document.text, rows) if len(rows) else paragraph_spans(document.text)
        rule = cutter.tokens(int(np.iinfo(np.int32).max), 0)
        return cutter.cut(pieces, (sentence_spans, line_spans, word_spans), [rule])
