"""The reranker role: a question and texts → how well each text answers it."""

from collections.abc import Sequence
from typing import Protocol


class Reranker(Protocol):
    """Thread-safe. Raises UpstreamError when the server behind it fails or gives something else than scores."""

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """One finite relevance per text, in the order of the input; higher is better, on no fixed scale."""
        ...
