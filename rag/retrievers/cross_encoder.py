"""Candidates of a base strategy, put in the order that a rerank model gives them."""

import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from rag.embedders.base import Embedder
from rag.errors import UpstreamError
from rag.registry import ComponentOptions
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.cut import cut
from rag.retrievers.models import Models, NoModels
from rag.retrievers.rerank import reranked
from rag.stores.base import Store
from rag.time_box import within

BaseStrategy = Literal["BasicSimilarityStrategy", "MetadataFilteredStrategy"]


class CrossEncoderRerankedStrategy:
    """Where the model does not answer, the hits are those of the base strategy in its order, with a note."""

    asks_models = True

    class Options(ComponentOptions):
        model_name: str = Field(min_length=1, description="Name of a rerank model in runtime.models.")
        initial_k: int = Field(30, ge=10, le=100, description="Candidates to send to the model.")
        final_k: int = Field(10, ge=1, le=50, description="Hits to return when the request names no number.")
        base_strategy: BaseStrategy = Field("BasicSimilarityStrategy", description="Finds the candidates.")
        base_strategy_config: Mapping[str, Any] = Field({}, description="Options of the base strategy.")
        relevance_threshold: float = Field(
            0.0, ge=0, le=1, description="Least relevance, stretched to [0, 1] over the candidates."
        )
        timeout: int = Field(60, ge=10, le=300, description="Seconds to wait for the model.")

    def __init__(self, options: Options, *, embedder: Embedder, store: Store, models: Models | None = None) -> None:
        self._options = options
        self._models: Models = models or NoModels()
        self._base = retrievers.build(
            options.base_strategy, options.base_strategy_config, embedder=embedder, store=store
        )

    def retrieve(self, query: Query) -> Retrieval:
        options = self._options
        limit = options.final_k if query.top_k is None else query.top_k
        depth = max(options.initial_k, limit)
        found = self._base.retrieve(query.for_candidates(depth))
        notes = found.notes
        seconds = query.time_left(options.timeout)
        started_at = time.perf_counter()
        given = len(found.hits)
        try:
            reranker = self._models.reranker(options.model_name, timeout_s=max(seconds, 0.001))
            hits = within(
                seconds,
                "it",
                lambda: reranked(query.text, found.hits, reranker, relevance_threshold=options.relevance_threshold),
            )
            query.trace.add("rerank", started_at, given=given, found=hits)
        except UpstreamError as error:
            note = (
                f"reranker '{options.model_name}' was skipped: {error.message}; the hits are those of "
                f"{options.base_strategy}, in its order"
            )
            hits, notes = list(found.hits), (*notes, note)
            query.trace.add("rerank", started_at, given=given, found=hits, notes=(note,))
        return Retrieval(cut(hits, query, limit=limit, threshold=None), notes)
