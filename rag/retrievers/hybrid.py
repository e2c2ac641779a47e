"""Vectors and words, searched at the same time and fused."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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
from rag.retrievers.feedback import nearness_to_best
from rag.retrievers.spread import spread
from rag.stores import scores
from rag.stores.base import Store
from rag.types import Hit, Vector

MAX_THREADS = 8


class HybridRetriever:
    """Fuses the nearest vectors with the best BM25 hits.

    Where both sides count (alpha is neither 0 nor 1), so do two things that neither of them sees. What is asked for
    by its exact form (a code, a number, a quoted phrase), see `rag.retrievers.exact`: near-equal vector scores of a
    bare code, stretched to [0, 1], would bury it. And what the best hits have in common, see `rag.retrievers.feedback`.

    Every candidate gets a vector score: one that only BM25 found is compared with the query through its stored
    vector. The fused order is then placed between the lowest vector score and the best score of either side, so that
    a threshold means about what it means for vectors alone.

    When the vectors cannot be searched, hits by words alone are returned with a note; without any, the error is.
    """

    searches_words = True

    class Options(SearchOptions):
        alpha: float = Field(0.7, ge=0, le=1, description="Weight of the vectors; the words get the rest.")
        fusion: Literal["weighted", "rank"] = Field(
            "weighted", description="Mean of min-max normalised scores, or reciprocal ranks."
        )
        candidates: int = Field(50, ge=10, le=1000, description="Hits taken from each side.")
        feedback: float = Field(
            0.3, ge=0, le=1, description="What nearness to the best hits counts beside nearness to the question."
        )
        breadth_after: int = Field(
            10, ge=1, le=1000, description="Hits behind which more of one file gives way to other files."
        )

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._embedder = embedder
        self._store = store
        # Its threads live as long as the retriever, as do their connections to the ledger.
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="hybrid")

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.limit(query)
        depth = max(self._options.candidates, 2 * limit) if query.candidates is None else max(query.candidates, limit)
        words = self._threads.submit(
            query.trace.timed,
            "words",
            lambda: self._store.search_text(query.lexical, limit=depth, where=query.where),
            query=query.lexical,
        )
        try:
            vector = query.vector_by(self._embedder)
            dense = query.trace.timed(
                "vectors",
                lambda: self._store.search_vector(vector, limit=depth, where=query.where),
                query=query.text,
            )
        except UpstreamError as error:
            return self._words_only(words.result(), query, limit, error)
        lexical = words.result()
        given = len(dense) + len(lexical)
        hits = query.trace.timed("fusion", lambda: self._fused(vector, dense, lexical, query, limit), given=given)
        return Retrieval(cut(hits, query, limit=limit, threshold=self._options.threshold))

    def _words_only(self, hits: list[Hit], query: Query, limit: int, error: UpstreamError) -> Retrieval:
        if not hits:
            raise error
        note = f"vectors could not be searched, the hits were found by words alone: {error}"
        return Retrieval(cut(hits, query, limit=limit, threshold=self._options.threshold), (note,))

    def _fused(self, vector: Vector, dense: list[Hit], lexical: list[Hit], query: Query, limit: int) -> list[Hit]:
        """The best `limit` of both sides."""
        alpha = self._options.alpha if query.hybrid_alpha is None else query.hybrid_alpha
        by_vector = {**self._vector_scores(vector, lexical), **{hit.id: hit.score for hit in dense}}
        by_words = {hit.id: hit.score for hit in lexical}
        fused = self._weighed(by_vector, by_words, alpha)
        found = {hit.id: hit for hit in (*lexical, *dense)}
        if 0 < alpha < 1:
            fused = self._with_evidence(fused, list(found.values()), query)
        low = min(by_vector.values(), default=0.0)
        high = max([*by_vector.values(), *by_words.values()], default=0.0)
        values = fuse.on_scale(fused, low, high)
        if 0 < alpha < 1:
            file_of = {key: hit.file_key for key, hit in found.items()}
            values = spread(values, file_of, after=self._options.breadth_after)
        best = set(sorted(values, key=lambda each: (-values[each], each))[:limit])
        return fuse.merge([[hit for hit in side if hit.id in best] for side in (dense, lexical)], values)

    def _weighed(self, by_vector: fuse.Values, by_words: fuse.Values, alpha: float) -> fuse.Values:
        if self._options.fusion == "rank":
            ranked = sorted(by_vector, key=lambda each: -by_vector[each])
            return fuse.reciprocal_rank([ranked, list(by_words)], [alpha, 1 - alpha])
        words = fuse.min_max(by_words)
        complete = {chunk_id: words.get(chunk_id, 0.0) for chunk_id in {**by_vector, **by_words}}
        return fuse.weighted_mean([fuse.min_max(by_vector), complete], [alpha, 1 - alpha])

    def _with_evidence(self, fused: fuse.Values, hits: list[Hit], query: Query) -> fuse.Values:
        """What the best hits have in common, then what is asked for by its exact form."""
        started_at = time.perf_counter()
        exact, weight = exact_matches(query.text, hits)
        if exact and query.trace.is_on:
            holding = [replace(hit, score=exact[hit.id]) for hit in hits if exact.get(hit.id)]
            query.trace.add("exact", started_at, given=len(hits), found=holding)
        exact = {**dict.fromkeys(fused, 0.0), **exact}
        share = self._options.feedback
        if share:
            best = fuse.weighted_mean([fused, exact], [1, weight])
            near = nearness_to_best(hits, fuse.min_max(best) if self._options.fusion == "rank" else best)
            fused = fuse.weighted_mean([fused, near], [1 - share, share])
        return fuse.weighted_mean([fused, exact], [1, weight])

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
