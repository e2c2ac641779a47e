"""The strategy for questions that a model splits. No model is asked yet: it answers as its base strategy."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from rag.embedders.base import Embedder
from rag.registry import ComponentOptions
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.cross_encoder import BaseStrategy
from rag.stores.base import Store


class MultiTurnRAGStrategy:
    class Options(ComponentOptions):
        model_name: str = Field(min_length=1, description="Name of a chat model in runtime.models.")
        api_key: str | None = Field(None, description="Accepted; keys belong to runtime.models.", repr=False)
        max_sub_queries: int = Field(3, ge=1, le=5, description="Questions that one is split into at most.")
        complexity_threshold: int = Field(50, ge=20, le=200, description="Characters from which one is split.")
        min_query_length: int = Field(20, ge=10, le=100, description="Characters of the shortest sub-question.")
        base_strategy: BaseStrategy = Field("BasicSimilarityStrategy", description="Answers each sub-question.")
        base_strategy_config: Mapping[str, Any] = Field({}, description="Options of the base strategy.")
        sub_query_top_k: int = Field(10, ge=5, le=50, description="Hits per sub-question.")
        final_top_k: int = Field(10, ge=1, le=50, description="Hits to return when the request names no number.")
        enable_reranking: bool = Field(False, description="Rerank the hits of all sub-questions.")
        reranker_strategy: Literal["CrossEncoderRerankedStrategy"] = "CrossEncoderRerankedStrategy"
        reranker_config: Mapping[str, Any] = Field({}, description="Options of the reranker strategy.")
        dedup_similarity_threshold: float = Field(0.95, ge=0.5, le=1, description="From which hits count as equal.")
        max_workers: int = Field(3, ge=1, le=10, description="Sub-questions asked at once.")

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._base = retrievers.build(
            options.base_strategy, options.base_strategy_config, embedder=embedder, store=store
        )

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.final_top_k if query.top_k is None else query.top_k
        found = self._base.retrieve(replace(query, top_k=limit))
        note = (
            f"splitting questions with model '{self._options.model_name}' is not configured; the question was asked "
            f"as it is, with {self._options.base_strategy}"
        )
        return Retrieval(found.hits, (*found.notes, note))
