"""The chunker role: a Document → chunks that the embedder can take whole."""

from typing import Protocol

from rag.types import Chunk, Document


class TokenCounter(Protocol):
    """Counts in the embedder's own tokenizer.

    `max_tokens` is the number of content tokens that fit in one text (special tokens already subtracted).
    """

    max_tokens: int

    def count(self, text: str) -> int: ...

    def count_batch(self, texts: list[str]) -> list[int]: ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character span (start, end) of every content token of `text`, in order, never truncated."""
        ...


class Chunker(Protocol):
    """Cuts a document. Chunks come in order; each obeys `len(spans) <= max_tokens`; together they cover all
    non-blank text (overlap allowed); `document.text[chunk.start:chunk.end] == chunk.text`. An empty text gives [].
    """

    def chunk(self, document: Document) -> list[Chunk]: ...
