"""Vectors and words, searched at the same time and fused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from pydantic import Field

from rag.embedders.base import Embedder
from rag.errors import UpstreamError
from rag.retrievers import fuse
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import SearchOptions
from rag.retrievers.cut import cut
from rag.retrievers.exact import exact_matches
from rag.stores import scores
from rag.stores.base import Store
from rag.types import Hit, Vector

MAX_THREADS = 8


class HybridRetriever:
    """Fuses the nearest vectors with the best BM25 hits.

    What is asked for by its exact form (a code, a number, a quoted phrase) counts beside both sides, see
    `rag.retrievers.exact`: near-equal vector scores of a bare code, stretched to [0, 1], would bury it. With alpha 1
    only the vectors count.

    Every candidate gets a vector score: one that only BM25 found is compared with the query through its stored
    vector. The fused order is then placed between the lowest vector score and the best score of either side, so that
    a threshold means about what it means for vectors alone.

    When the vectors cannot be searched, hits by words alone are returned with a note; without any, the error is.
    """

    class Options(SearchOptions):
        alpha: float = Field(0.7, ge=0, le=1, description="Weight of the vectors; the words get the rest.")
        fusion: Literal["weighted", "rank"] = Field(
            "weighted", description="Mean of min-max normalised scores, or reciprocal ranks."
        )
        candidates: int = Field(50, ge=10, le=1000, description="Hits taken from each side.")

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._embedder = embedder
        self._store = store
        # Its threads live as long as the retriever, as do their connections to the ledger.
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="hybrid")

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.limit(query)
        depth = max(self._options.candidates, 2 * limit)
        words = self._threads.submit(self._store.search_text, query.text, limit=depth, where=query.where)
        try:
            vector = self._embedder.embed_query(query.text)
            dense = self._store.search_vector(vector, limit=depth, where=query.where)
        except UpstreamError as error:
            return self._words_only(words.result(), query, limit, error)
        hits = self._fused(vector, dense, words.result(), query)
        return Retrieval(cut(hits, query, limit=limit, threshold=self._options.threshold))

    def _words_only(self, hits: list[Hit], query: Query, limit: int, error: UpstreamError) -> Retrieval:
        if not hits:
            raise error
        note = f"vectors could not be searched, the hits were found by words alone: {error}"
        return Retrieval(cut(hits, query, limit=limit, threshold=self._options.threshold), (note,))

    def _fused(self, vector: Vector, dense: list[Hit], lexical: list[Hit], query: Query) -> list[Hit]:
        alpha = self._options.alpha if query.hybrid_alpha is None else query.hybrid_alpha
        by_vector = {**self._vector_scores(vector, lexical), **{hit.id: hit.score for hit in dense}}
        by_words = {hit.id: hit.score for hit in lexical}
        if self._options.fusion == "rank":
            ranked = sorted(by_vector, key=lambda each: -by_vector[each])
            fused = fuse.reciprocal_rank([ranked, list(by_words)], [alpha, 1 - alpha])
        else:
            words = fuse.min_max(by_words)
            complete = {chunk_id: words.get(chunk_id, 0.0) for chunk_id in {**by_vector, **by_words}}
            fused = fuse.weighted_mean([fuse.min_max(by_vector), complete], [alpha, 1 - alpha])
        if alpha < 1:
            exact, weight = exact_matches(query.text, [*dense, *lexical])
            fused = fuse.weighted_mean([fused, {**dict.fromkeys(fused, 0.0), **exact}], [1, weight])
        low = min(by_vector.values(), default=0.0)
        high = max([*by_vector.values(), *by_words.values()], default=0.0)
        return fuse.merge([dense, lexical], fuse.on_scale(fused, low, high))

    def _vector_scores(self, vector: Vector, hits: list[Hit]) -> dict[str, float]:
        """Scores of hits whose store gave their vectors along."""
        known = [(hit.id, hit.vector) for hit in hits if hit.vector is not None]
        if not known:
            return {}
        metric = self._store.identity.metric
        distances = scores.distances(metric, np.stack([each for _, each in known]), vector)
        return {
            chunk_id: scores.score(metric, float(distance))
            for (chunk_id, _), distance in zip(known, distances, strict=True)
        }
