"""The embedder role: text → vectors of unit length."""

from typing import Protocol

from rag.chunkers.base import TokenCounter
from rag.types import Matrix, Vector


class Embedder(Protocol):
    """Turns text into unit-length float32 vectors of `dimension`, in the order of the input.

    Thread-safe. Raises UpstreamError when a remote server fails and EmbeddingError for a vector that is zero,
    not finite, or of the wrong length: such a vector never leaves an embedder.
    """

    @property
    def model_id(self) -> str:
        """Identifies what the vectors mean: two embedders with equal ids give comparable vectors."""
        ...

    def cache_scope(self, project: str) -> str:
        """What tells the vectors that this embedder makes of a text from all others of its `model_id`: who made them.

        In this process it is the weights; of a server its address and `project`, because what answers there is known
        to that project alone.
        """
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def token_counter(self) -> TokenCounter: ...

    def embed_documents(self, texts: list[str]) -> Matrix:
        """Shape (len(texts), dimension); `[]` gives shape (0, dimension)."""
        ...

    def embed_query(self, text: str) -> Vector: ...

    def close(self) -> None: ...
