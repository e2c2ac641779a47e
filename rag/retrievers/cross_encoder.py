"""The strategy for a rerank model. No client for rerank servers is built yet: it answers as its base strategy."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from rag.embedders.base import Embedder
from rag.registry import ComponentOptions
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval
from rag.stores.base import Store

BaseStrategy = Literal["BasicSimilarityStrategy", "MetadataFilteredStrategy"]


class CrossEncoderRerankedStrategy:
    class Options(ComponentOptions):
        model_name: str = Field(min_length=1, description="Name of a rerank model in runtime.models.")
        initial_k: int = Field(30, ge=10, le=100, description="Candidates to send to the model.")
        final_k: int = Field(10, ge=1, le=50, description="Hits to return when the request names no number.")
        base_strategy: BaseStrategy = Field("BasicSimilarityStrategy", description="Finds the candidates.")
        base_strategy_config: Mapping[str, Any] = Field({}, description="Options of the base strategy.")
        relevance_threshold: float = Field(0.0, ge=0, le=1, description="For scores of the model only.")
        timeout: int = Field(60, ge=10, le=300, description="Seconds to wait for the model.")

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._base = retrievers.build(
            options.base_strategy, options.base_strategy_config, embedder=embedder, store=store
        )

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.final_k if query.top_k is None else query.top_k
        found = self._base.retrieve(replace(query, top_k=limit))
        note = (
            f"reranker '{self._options.model_name}' is not configured; the hits are those of "
            f"{self._options.base_strategy}, in its order"
        )
        return Retrieval(found.hits, (*found.notes, note))
