"""Compares question and passage token by token, with the embedding model itself: no further weights."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pydantic import Field

from rag.errors import InvalidInputError, UpstreamError
from rag.rerankers.base import RerankerOptions
from rag.types import Matrix

if TYPE_CHECKING:
    from rag.embedders.base import Embedder
    from rag.retrievers.models import Models

TEXTS_PER_STEP = 8
"""Passages between two looks at the clock."""


@runtime_checkable
class TokenEmbedder(Protocol):
    """An embedder that can give the vector of each token."""

    def embed_tokens(self, texts: list[str]) -> list[Matrix]:
        """Unit rows, one per token, special ones left out; a text above the model's window is cut."""
        ...


class LateInteractionReranker:
    """Each token of the question looks for its nearest token of the passage; the mean of their cosines counts.

    The passages are computed anew for each question, which takes about as long as embedding them did. With
    all-MiniLM-L6-v2 the order was worse than that of hybrid search on three collections out of three (nDCG@10 0.424
    against 0.452, 0.731 against 0.759, 0.750 against 0.821): it is for models that were trained for it.

    Source:
        Khattab and Zaharia, "ColBERT", SIGIR 2020; here with the tokens of a model that was trained for whole texts.
    """

    class Options(RerankerOptions):
        candidates: int = Field(20, ge=1, le=200, description="First hits that are put in a new order.")

    def __init__(self, options: Options, *, embedder: "Embedder", models: "Models") -> None:
        self._timeout_s = options.timeout_s
        self._embedder = embedder

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        embedder = _token_embedder(self._embedder)
        ends_at = time.monotonic() + self._timeout_s
        question = embedder.embed_tokens([query])[0]
        scores: list[float] = []
        for start in range(0, len(texts), TEXTS_PER_STEP):
            if time.monotonic() > ends_at:
                raise UpstreamError(f"it had read {start} of {len(texts)} passages after {self._timeout_s:g} s")
            passages = embedder.embed_tokens(list(texts[start : start + TEXTS_PER_STEP]))
            scores += [_mean_of_nearest(question, passage) for passage in passages]
        return scores


def _mean_of_nearest(question: Matrix, passage: Matrix) -> float:
    if not len(question) or not len(passage):
        return 0.0
    return float((question @ passage.T).max(axis=1).mean())


def _token_embedder(embedder: object) -> TokenEmbedder:
    """The embedder itself, or the one that a batcher or a chooser stands around."""
    inner: object | None = embedder
    while inner is not None:
        if isinstance(inner, TokenEmbedder):
            return inner
        inner = getattr(inner, "inner", None)
    name = getattr(embedder, "model_id", type(embedder).__name__)
    raise InvalidInputError(
        f"the reranker 'late_interaction' needs an embedding model that runs in this process; '{name}' gives no "
        "vectors of single tokens: use a SentenceTransformerEmbedder, or another reranker"
    )
