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
        "semantic": "rag.chunkers.by_meaning:SemanticChunker",
        "code": "rag.chunkers.by_code:CodeChunker",
        "parent_child": "rag.chunkers.parent_child:ParentChildChunker",
        "email_sections": "rag.chunkers.by_email_sections:EmailSectionsChunker",
        "full": "rag.chunkers.whole:FullChunker",
    },
    aliases={
        "sections": "headings",
        "columns": "rows",  # a row carries its column names
    },
)
