"""One chunk per page; a page over the limit gives several."""

from rag.chunkers.base import TokenCounter
from rag.chunkers.cutting import Cutter
from rag.chunkers.options import SizeOptions
from rag.chunkers.spans import (
    as_spans,
    gaps_filled,
    line_spans,
    paragraph_spans,
    sentence_spans,
    word_spans,
)
from rag.types import Chunk, Document


class PagesChunker:
    """A document without pages is cut as one page."""

    Options = SizeOptions

    def __init__(self, options: SizeOptions, *, counter: TokenCounter) -> None:
        self._options = options
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        pages = gaps_filled(document.text, as_spans([(page.start, page.end) for page in document.pages]))
        cutter = Cutter(document, self._counter)
        rules = cutter.characters(self._options.chunk_size, self._options.overlap)
        finders = (paragraph_spans, sentence_spans, line_spans, word_spans)
        return cutter.cut(pages, finders, rules)
