"""The reranker role: a question and texts → how well each text answers it."""

from collections.abc import Sequence
from typing import Protocol

from pydantic import Field

from rag.registry import ComponentOptions


class RerankerOptions(ComponentOptions):
    """What every reranker accepts."""

    candidates: int = Field(30, ge=1, le=200, description="First hits that are put in a new order.")
    timeout_s: float = Field(
        10.0, gt=0, le=300, description="Seconds it may take; over them the order is that of the search, with a note."
    )
    top_n: int | None = Field(None, ge=1, le=1000, description="Hits to return when the request names no number.")
    relevance_threshold: float = Field(
        0.0, ge=0, le=1, description="Least relevance, stretched to [0, 1] over the candidates; 0 leaves nothing out."
    )


class Reranker(Protocol):
    """Built as `Class(options, embedder=…, models=…)`, which loads and asks nothing yet.

    Thread-safe. Gives up by itself soon after `timeout_s`. Raises RagError when it cannot do its work: UpstreamError
    when the server behind it fails or gives something else than scores.
    """

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """One finite relevance per text, in the order of the input; higher is better, on no fixed scale."""
        ...
