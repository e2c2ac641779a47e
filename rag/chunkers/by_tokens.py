"""Chunks of so many tokens of the embedder, cut between words."""

from pydantic import Field

from rag.chunkers.base import TokenCounter
from rag.chunkers.cutting import Cutter
from rag.chunkers.options import SizeOptions
from rag.chunkers.spans import word_spans
from rag.types import Chunk, Document


class TokensChunker:
    class Options(SizeOptions):
        chunk_size: int = Field(200, gt=0, description="Tokens per chunk, at most; the embedder's window also holds.")
        chunk_overlap: int = Field(20, ge=0, description="Tokens repeated from the end of the chunk before, at most.")

    def __init__(self, options: Options, *, counter: TokenCounter) -> None:
        self._options = options
        self._counter = counter

    def chunk(self, document: Document) -> list[Chunk]:
        cutter = Cutter(document, self._counter)
        rules = [cutter.tokens(self._options.chunk_size, self._options.overlap)]
        return cutter.cut(word_spans(document.text), (), rules)
