"""Leaves the choice to the document: rows where it is a table, headings where it has some, else paragraphs."""

from rag.chunkers.base import TokenCounter
from rag.chunkers.by_headings import HeadingsChunker
from rag.chunkers.by_rows import RowsChunker
from rag.chunkers.options import SizeOptions
from rag.types import Chunk, Document


class AutoChunker:
    """Sizes are in characters; of a table, a chunk holds as many rows as the embedder's window does."""

    Options = SizeOptions

    def __init__(self, options: SizeOptions, *, counter: TokenCounter) -> None:
        self._rows = RowsChunker(RowsChunker.Options(), counter=counter)
        self._headings = HeadingsChunker(options, counter=counter)

    def chunk(self, document: Document) -> list[Chunk]:
        return (self._rows if document.rows else self._headings).chunk(document)
