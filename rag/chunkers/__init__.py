"""The names of chunkers; the key is the `chunk_strategy` that users write in llamafarm.yaml."""

from rag.chunkers.base import Chunker
from rag.registry import Registry

chunkers = Registry[Chunker](
    "chunker",
    {
        "auto": "rag.chunkers.auto:AutoChunker",
        "characters": "rag.chunkers.by_characters:CharactersChunker",
        "tokens": "rag.chunkers.by_tokens:TokensChunker",
        "sentences": "rag.chunkers.by_sentences:SentencesChunker",
        "paragraphs": "rag.chunkers.by_paragraphs:ParagraphsChunker",
        "headings": "rag.chunkers.by_headings:HeadingsChunker",
        "pages": "rag.chunkers.by_pages:PagesChunker",
        "rows": "rag.chunkers.by_rows:RowsChunker",
    },
    aliases={
        "sections": "headings",
        "semantic": "paragraphs",  # until breakpoints are found by comparing embeddings
        "code": "paragraphs",
        "email_sections": "paragraphs",
        "full": "rows",  # a whole table is rarely within an embedder's window: as much of it as fits
        "columns": "rows",  # a row carries its column names
    },
)
