"""Several strategies asked the same question, their answers fused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from rag.embedders.base import Embedder
from rag.registry import ComponentOptions
from rag.retrievers import fuse, retrievers
from rag.retrievers.base import Query, Retrieval, Retriever
from rag.retrievers.cut import cut
from rag.retrievers.hybrid import HybridRetriever
from rag.retrievers.mmr import choose_diverse
from rag.stores.base import Store
from rag.types import Hit

SHORT_NAMES = {
    "basic": "BasicSimilarityStrategy",
    "filtered": "MetadataFilteredStrategy",
    "multi_query": "MultiQueryStrategy",
    "reranked": "RerankedStrategy",
}


class SubStrategy(ComponentOptions):
    type: Literal[
        "BasicSimilarityStrategy", "MetadataFilteredStrategy", "MultiQueryStrategy", "RerankedStrategy",
        "BM25Retriever", "basic", "filtered", "multi_query", "reranked", "bm25",
    ]  # fmt: skip
    weight: float = Field(1.0, ge=0, le=1, description="Weight of its scores or ranks.")
    config: Mapping[str, Any] = Field({}, description="Its options.")

    def build(self, embedder: Embedder, store: Store) -> Retriever:
        return retrievers.build(SHORT_NAMES.get(self.type, self.type), self.config, embedder=embedder, store=store)


MIN_DIVERSE = 50
"""Candidates to choose from where diversity counts."""


class HybridUniversalStrategy:
    """Without `strategies` it is vectors and words with `dense_weight` and `sparse_weight`, as HybridRetriever."""

    class Options(ComponentOptions):
        strategies: tuple[SubStrategy, ...] = Field(
            (), max_length=5, description="Two to five of type, weight and config; none for vectors and words."
        )
        combination_method: Literal["weighted_average", "rank_fusion", "score_fusion"] = Field(
            "weighted_average", description="Mean of scores, reciprocal ranks, or the highest weighted score."
        )
        final_k: int = Field(10, ge=1, le=1000, description="Hits to return when the request names no number.")
        normalize_scores: bool = Field(True, description="Stretch each strategy's scores to [0, 1] before fusing.")
        diversity_boost: float = Field(
            0.0, ge=0, le=1, description="What being unlike the other hits counts beside the score, as in `mmr`."
        )
        dense_weight: float = Field(0.7, ge=0, le=1, description="Weight of vectors where no strategies are given.")
        sparse_weight: float = Field(0.3, ge=0, le=1, description="Weight of words where no strategies are given.")
        score_threshold: float | None = Field(None, ge=0, le=1, description="Hits below it are left out.")

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._parts = [each.build(embedder, store) for each in options.strategies]
        self._weights = [each.weight for each in options.strategies]
        if not any(self._weights):
            self._weights = [1.0] * len(self._parts)
        self._pair = None if self._parts else _dense_and_sparse(options, embedder, store)
        lexical = [bool(getattr(each, "searches_words", False)) for each in self._parts]
        self.searches_words = self._pair is not None or any(lexical)

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.final_k if query.top_k is None else query.top_k
        depth = max(MIN_DIVERSE, 3 * limit) if self._options.diversity_boost else limit
        if self._pair is not None:
            found = self._pair.retrieve(replace(query, top_k=depth, score_threshold=0.0))
            hits, notes = list(found.hits), found.notes
        else:
            hits, notes = self._fused(query.for_candidates(2 * depth))
        hits = self._diverse(query, hits, limit)
        return Retrieval(cut(hits, query, limit=limit, threshold=self._options.score_threshold), notes)

    def _fused(self, query: Query) -> tuple[list[Hit], tuple[str, ...]]:
        found = [part.retrieve(query) for part in self._parts]
        given = sum(len(each.hits) for each in found)
        hits = query.trace.timed(
            "fusion", lambda: fuse.merge([each.hits for each in found], self._values(found)), given=given
        )
        return hits, tuple(dict.fromkeys(note for each in found for note in each.notes))

    def _diverse(self, query: Query, hits: list[Hit], limit: int) -> list[Hit]:
        boost = self._options.diversity_boost
        if not boost:
            return hits
        return query.trace.timed("mmr", lambda: choose_diverse(hits, limit, 1 - boost), given=len(hits))

    def _values(self, found: Sequence[Retrieval]) -> fuse.Values:
        scores = [{hit.id: hit.score for hit in each.hits} for each in found]
        everything = [value for ranking in scores for value in ranking.values()]
        low, high = min(everything, default=0.0), max(everything, default=0.0)
        if self._options.combination_method == "rank_fusion":
            ranks = fuse.reciprocal_rank([list(ranking) for ranking in scores], self._weights)
            return fuse.on_scale(fuse.min_max(ranks), low, high)
        combine = fuse.highest if self._options.combination_method == "score_fusion" else fuse.weighted_mean
        if not self._options.normalize_scores:
            return combine(scores, self._weights)
        return fuse.on_scale(combine([fuse.min_max(ranking) for ranking in scores], self._weights), low, high)


def _dense_and_sparse(options: HybridUniversalStrategy.Options, embedder: Embedder, store: Store) -> HybridRetriever:
    total = options.dense_weight + options.sparse_weight
    fusion: Literal["weighted", "rank"] = "rank" if options.combination_method == "rank_fusion" else "weighted"
    alpha = options.dense_weight / total if total else 0.5
    return HybridRetriever(HybridRetriever.Options(alpha=alpha, fusion=fusion), embedder=embedder, store=store)
