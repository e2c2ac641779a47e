"""A long question, split by a model into smaller ones that are asked at once; their hits are merged."""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field

from rag.embedders.base import Embedder
from rag.errors import UpstreamError
from rag.registry import ComponentOptions
from rag.retrievers import fuse, retrievers
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.cross_encoder import BaseStrategy
from rag.retrievers.cut import cut
from rag.retrievers.models import Models, NoModels
from rag.retrievers.rerank import reranked
from rag.stores.base import Store
from rag.time_box import within
from rag.types import Hit

ASK_TIMEOUT_S = 20.0
MAX_SUB_QUERY_CHARS = 500
INSTRUCTION = (
    "Split the user's question into at most {count} shorter questions that can be looked up one by one and together "
    "cover it. Keep names, numbers and codes as they are written. Answer with a JSON list of strings and nothing else."
)
_LIST = re.compile(r"\[.*\]", re.DOTALL)


class MultiTurnRAGStrategy:
    """A short question is asked as it is. Where the model does not answer, a long one is too, with a note."""

    asks_models = True

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
        reranker_strategy: Literal["CrossEncoderRerankedStrategy"] = Field(
            "CrossEncoderRerankedStrategy", description="Whose options reranker_config has."
        )
        reranker_config: Mapping[str, Any] = Field(
            {}, description="model_name, initial_k, relevance_threshold and timeout as of the reranker strategy."
        )
        dedup_similarity_threshold: float = Field(0.95, ge=0.5, le=1, description="From which hits count as equal.")
        max_workers: int = Field(3, ge=1, le=10, description="Sub-questions asked at once.")

    def __init__(self, options: Options, *, embedder: Embedder, store: Store, models: Models | None = None) -> None:
        self._options = options
        self._models: Models = models or NoModels()
        self._base = retrievers.build(
            options.base_strategy, options.base_strategy_config, embedder=embedder, store=store
        )
        reranker: Any = None
        if options.enable_reranking:
            reranker = retrievers.options(options.reranker_strategy, options.reranker_config)
        self._reranker = reranker

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.final_top_k if query.top_k is None else query.top_k
        questions, notes = self._questions(query)
        if len(questions) == 1:
            found = self._base.retrieve(replace(query, top_k=limit))
            return Retrieval(found.hits, (*found.notes, *notes))
        depth = max(self._options.sub_query_top_k, limit)
        # A vector, or words, that were made for the question are not those of its parts.
        plain = replace(query.for_candidates(depth), words=None, vector=None)
        wanted = [replace(plain, text=each) for each in questions]
        with ThreadPoolExecutor(min(self._options.max_workers, len(wanted))) as pool:
            answers = list(pool.map(self._base.retrieve, wanted))
        best = fuse.highest([{hit.id: hit.score for hit in each.hits} for each in answers], [1.0] * len(answers))
        given = sum(len(each.hits) for each in answers)
        hits = query.trace.timed(
            "merge", lambda: self._distinct(fuse.merge([each.hits for each in answers], best)), given=given
        )
        hits, more = self._in_order(query, hits)
        told = dict.fromkeys([*(note for each in answers for note in each.notes), *notes, *more])
        return Retrieval(cut(hits, query, limit=limit, threshold=None), tuple(told))

    def _questions(self, query: Query) -> tuple[list[str], list[str]]:
        """The question itself, and what it was split into if it is long; notes."""
        text, options = query.text, self._options
        if len(text) < options.complexity_threshold:
            return [text], []
        started_at = time.perf_counter()
        questions, notes = self._split(text, query.time_left(ASK_TIMEOUT_S))
        query.trace.add("split", started_at, queries=questions, notes=notes)
        return questions, notes

    def _split(self, text: str, seconds: float) -> tuple[list[str], list[str]]:
        options = self._options
        instruction = INSTRUCTION.format(count=options.max_sub_queries)
        try:
            answer = within(
                seconds,
                "it",
                lambda: self._models.ask(options.model_name, instruction, text, timeout_s=seconds),
            )
        except UpstreamError as error:
            note = (
                f"splitting the question with model '{options.model_name}' was skipped: {error.message}; it was asked "
                f"as it is, with {options.base_strategy}"
            )
            return [text], [note]
        parts = _listed(answer, at_least=options.min_query_length)[: options.max_sub_queries]
        if not parts:
            return [text], [f"model '{options.model_name}' gave no list of questions; the question was asked as it is"]
        return list(dict.fromkeys([text, *parts])), [f"also asked: {'; '.join(parts)}"]

    def _in_order(self, query: Query, hits: list[Hit]) -> tuple[list[Hit], list[str]]:
        if self._reranker is None:
            return hits, []
        options = self._reranker
        head, rest, least = hits[: options.initial_k], hits[options.initial_k :], options.relevance_threshold
        seconds = query.time_left(options.timeout)
        started_at = time.perf_counter()
        try:
            reranker = self._models.reranker(options.model_name, timeout_s=max(seconds, 0.001))
            ranked = within(seconds, "it", lambda: reranked(query.text, head, reranker, relevance_threshold=least))
        except UpstreamError as error:
            note = f"reranker '{options.model_name}' was skipped: {error.message}"
            query.trace.add("rerank", started_at, given=len(head), found=head, notes=(note,))
            return hits, [note]
        query.trace.add("rerank", started_at, given=len(head), found=ranked)
        return [*ranked, *([] if least else rest)], []

    def _distinct(self, hits: Sequence[Hit]) -> list[Hit]:
        """Leave out a hit whose vector is nearly that of a better one."""
        kept: list[Hit] = []
        for hit in hits:
            if not any(_cosine(hit, other) >= self._options.dedup_similarity_threshold for other in kept):
                kept.append(hit)
        return kept


def _listed(answer: str, *, at_least: int) -> list[str]:
    """The strings of the JSON list in a model's answer; [] where there is none."""
    found = _LIST.search(answer)
    try:
        values: Iterable[Any] = json.loads(found[0]) if found else []
    except ValueError:
        return []
    texts = [" ".join(each.split())[:MAX_SUB_QUERY_CHARS] for each in values if isinstance(each, str)]
    return [text for text in texts if len(text) >= at_least]


def _cosine(hit: Hit, other: Hit) -> float:
    if hit.vector is None or other.vector is None:
        return 1.0 if hit.text == other.text else 0.0
    lengths = float(np.linalg.norm(hit.vector) * np.linalg.norm(other.vector))
    return float(hit.vector @ other.vector) / lengths if lengths else 0.0
