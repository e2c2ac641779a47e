"""The chunker role: a Document → chunks that the embedder can take whole."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag.types import Chunk, Document

Distances: TypeAlias = Callable[[list[str], int], NDArray[np.float32]]
"""(texts, lag) → how far the meaning of each text is from that of the one `lag` places after it, in [0, 2]."""


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


@runtime_checkable
class MeaningChunker(Protocol):
    """A chunker that compares what texts mean. It is left to those who have a model at hand: parsing loads none."""

    def by(self, distances: Distances) -> Chunker:
        """The chunker that compares with `distances`."""
        ...
