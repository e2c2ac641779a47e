"""Nearest vectors, nothing else."""

from typing import Literal

from pydantic import Field

from rag.embedders.base import Embedder
from rag.registry import ComponentOptions
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.cut import cut
from rag.stores.base import Store
from rag.types import Hit


class SearchOptions(ComponentOptions):
    """What every strategy understands that searches once and returns what it found."""

    top_k: int = Field(10, ge=1, le=1000, description="Hits to return when the request names no number.")
    score_threshold: float | None = Field(None, ge=0, le=1, description="Hits below it are left out.")
    similarity_threshold: float | None = Field(
        None, ge=0, le=1, description="Another name of score_threshold, which wins when both are given."
    )
    distance_metric: Literal["cosine", "euclidean", "manhattan", "dot"] | None = Field(
        None, description="The metric belongs to the database, where the vectors are: another one is warned of."
    )
    include_metadata: bool = Field(True, description="Accepted; metadata is always returned.")
    max_results: int | None = Field(None, ge=1, description="An upper bound for top_k, the request's included.")

    @property
    def threshold(self) -> float | None:
        return self.similarity_threshold if self.score_threshold is None else self.score_threshold

    def limit(self, query: Query) -> int:
        """How many hits to return: the request's number wins over our own."""
        limit = self.top_k if query.top_k is None else query.top_k
        return limit if self.max_results is None else min(limit, self.max_results)


def nearest(query: Query, embedder: Embedder, store: Store, *, limit: int) -> list[Hit]:
    """The chunks whose vectors are the nearest to the query's."""
    vector = query.vector_by(embedder)
    return query.trace.timed(
        "vectors", lambda: store.search_vector(vector, limit=limit, where=query.where), query=query.text
    )


class BasicSimilarityStrategy:
    Options = SearchOptions

    def __init__(self, options: SearchOptions, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._embedder = embedder
        self._store = store

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.limit(query)
        hits = nearest(query, self._embedder, self._store, limit=limit)
        return Retrieval(cut(hits, query, limit=limit, threshold=self._options.threshold))
