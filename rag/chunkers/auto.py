"""Leaves the choice to the document: rows where it is a table, the blocks of a program, the sections of a mail,
headings where it has some, else paragraphs."""

from rag.chunkers.base import Chunker, TokenCounter
from rag.chunkers.by_code import CodeChunker
from rag.chunkers.by_email_sections import EmailSectionsChunker
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
        mail = EmailSectionsChunker(options, counter=counter)
        code = CodeChunker(CodeChunker.Options(chunk_size=options.chunk_size), counter=counter)
        self._by_parser: dict[str, Chunker] = {"CodeParser": code, "EmailParser": mail, "MsgParser": mail}

    def chunk(self, document: Document) -> list[Chunk]:
        of_text = self._rows if _is_table(document) else self._headings
        return self._by_parser.get(document.parser, of_text).chunk(document)


def _is_table(document: Document) -> bool:
    """Whether rows are most of its text: an archive may hold a table beside other files."""
    return 2 * sum(end - start for start, end in document.rows) > len(document.text)
