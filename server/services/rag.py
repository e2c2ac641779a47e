"""What the query routes do. `Searcher` is also what chat retrieves with."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

import anyio
from anyio import CapacityLimiter, to_thread

from config.loader import ProjectStore
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from rag.chunkers.base import TokenCounter
from rag.embedders.base import Embedder
from rag.errors import BadRequestError, InvalidInputError, UpstreamError
from rag.filters import parse_filter
from rag.pipelines.query import QueryPipeline
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval, Retriever
from rag.retrievers.trace import NO_TRACE, Stage, Trace
from rag.types import Hit
from server.schemas.rag import RagAnswer, RagHit, RagQuery, RagStage, RagStageCandidate
from server.services.slots import run_in_slots

QUERY_THREADS = 64
PROJECT_THREADS = 16
"""Of one project: one whose embedder or store stalls must not stop the queries of others."""
DEFAULT_TOP_K = 5
SEARCH_SHARE = 0.9
"""Of the deadline, for what stages divide between them; the rest is for what comes after."""
RERANK_TIMEOUT_S = 20.0
SHOWN_NAMES, SHOWN_CHARS = 10, 100
"""Of the fields that a note names."""
WITHOUT_FUSION = frozenset({"BasicSimilarityStrategy", "BM25Retriever", "ElasticRetriever", "GraphRetriever", "mmr"})
WORDINGS = 3
"""Of one question with query_expansion, itself included."""
METRICS = {
    "cosine": "cosine",
    "l2": "l2",
    "euclidean": "l2",
    "ip": "ip",
    "dot": "ip",
    "dot_product": "ip",
    "inner_product": "ip",
}

Result = TypeVar("Result")


class QueryAssembly(Protocol):
    """The part of `config.assemble.Assembly` that queries need."""

    def embedder(self, database: DatabaseConfig) -> Embedder: ...

    def retriever(
        self, config: ProjectConfig, database: DatabaseConfig, name: str | None, stages: Mapping[str, Any] | None = None
    ) -> tuple[str, Retriever]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave, and what it was made with."""

    retrieval: Retrieval
    strategy: str
    database: str


class Searcher:
    """Runs queries in threads of their own, each with a deadline: the library below is synchronous."""

    def __init__(self, assembly: QueryAssembly, *, deadline_s: float) -> None:
        self.assembly = assembly
        self._deadline_s = deadline_s
        self._all = CapacityLimiter(QUERY_THREADS)
        self._by_project: WeakValueDictionary[tuple[str, str], CapacityLimiter] = WeakValueDictionary()

    async def search(
        self,
        config: ProjectConfig,
        queries: Sequence[Query],
        *,
        database: str | None = None,
        strategy: str | None = None,
        stages: Mapping[str, Any] | None = None,
    ) -> Found:
        """Search one database with one query or several, which are merged; the first one's `top_k` cuts the result.

        Args:
            stages: in the place of those of the strategy, see `config.stages`.

        Raises:
            NotFoundError: no such database, or no such strategy.
            InvalidInputError: a stage is not known, or does not take what it was given.
            UpstreamError: something behind it failed, or the deadline passed.
        """
        chosen = config.database(database)
        ends_at = time.monotonic() + self._deadline_s * SEARCH_SHARE
        asked = [replace(query, deadline=ends_at) for query in queries]

        def work() -> Found:
            name, retriever = self.assembly.retriever(config, chosen, strategy, stages)
            pipeline = QueryPipeline(retriever)
            if len(asked) == 1:
                return Found(pipeline.run(asked[0]), name, chosen.name)
            return Found(pipeline.run_many(asked, asked[0].top_k or DEFAULT_TOP_K), name, chosen.name)

        return await self.within_deadline(config, work)

    async def within_deadline(self, config: ProjectConfig, work: Callable[[], Result]) -> Result:
        """Run `work` in one of the project's threads; raises UpstreamError when the deadline passes."""
        try:
            with anyio.fail_after(self._deadline_s):
                return await run_in_slots((self._limiter(config), self._all), work)
        except TimeoutError as error:
            raise UpstreamError(
                f"Query failed: no answer within {self._deadline_s:g} s (LF_QUERY_DEADLINE_S); the embedder or the "
                "vector store is slow or overloaded, try again"
            ) from error

    def _limiter(self, config: ProjectConfig) -> CapacityLimiter:
        return self._by_project.setdefault((config.namespace, config.name), CapacityLimiter(PROJECT_THREADS))


class RagService:
    def __init__(self, projects: ProjectStore, searcher: Searcher) -> None:
        self._projects = projects
        self._searcher = searcher

    async def query(self, namespace: str, project: str, wanted: RagQuery) -> RagAnswer:
        started_at = time.perf_counter()
        config = await to_thread.run_sync(self._projects.load, namespace, project)
        database = config.database(wanted.database)
        _refuse_unsupported(wanted, database)
        query = Query(
            text=wanted.query,
            top_k=wanted.top_k,
            where=parse_filter(wanted.metadata_filters),
            score_threshold=wanted.score_threshold,
            hybrid_alpha=wanted.hybrid_alpha,
            history=tuple((message.role, message.content) for message in wanted.messages or ()),
            trace=Trace() if wanted.explain else NO_TRACE,
        )
        if wanted.rerank_model is not None:
            config.model(wanted.rerank_model)  # a name that is not known is told before the search
        found = await self._searcher.search(
            config, [query], database=database.name, strategy=wanted.retrieval_strategy, stages=_stages(wanted)
        )
        hits = await self._cut(found.retrieval.hits[: wanted.top_k], wanted.max_tokens, config, database)
        return RagAnswer(
            query=wanted.query,
            results=[_wire_hit(hit, explain=wanted.explain) for hit in hits],
            total_results=len(hits),
            processing_time_ms=round((time.perf_counter() - started_at) * 1000, 3),
            retrieval_strategy_used=found.strategy,
            database_used=found.database,
            notes=[*found.retrieval.notes, *_ignored(wanted, database, found.strategy)],
            stages=[_wire_stage(stage) for stage in found.retrieval.stages] if wanted.explain else None,
        )

    async def _cut(
        self, hits: Sequence[Hit], max_tokens: int | None, config: ProjectConfig, database: DatabaseConfig
    ) -> Sequence[Hit]:
        if max_tokens is None or not hits:
            return hits

        def work() -> list[Hit]:
            counter = self._searcher.assembly.embedder(database).token_counter
            return [replace(hit, text=first_tokens(hit.text, max_tokens, counter)) for hit in hits]

        return await self._searcher.within_deadline(config, work)


def first_tokens(text: str, count: int, counter: TokenCounter) -> str:
    """The beginning of `text` that is at most `count` tokens long; never cut inside a token."""
    spans = counter.spans(text)
    return text if len(spans) <= count else text[: spans[count - 1][1]]


def _stages(wanted: RagQuery) -> dict[str, Any]:
    """What a request says of stages; its two older fields are other names of two of them.

    Raises:
        BadRequestError: an older field and the one for the same stage.
    """
    keys = {"query_transform", "reranker", "expand", "collapse_duplicates"}
    stages = wanted.model_dump(include=keys, exclude_none=True)
    if wanted.query_expansion:
        _refuse_both("query_expansion", "query_transform", stages)
        stages["query_transform"] = {"type": "multi_query", "method": "rules", "num_queries": WORDINGS}
    if wanted.rerank_model is not None:
        _refuse_both("rerank_model", "reranker", stages)
        stages["reranker"] = {"type": "remote", "model_name": wanted.rerank_model, "timeout_s": RERANK_TIMEOUT_S}
    return stages


def _refuse_both(older: str, key: str, stages: Mapping[str, Any]) -> None:
    if key in stages:
        raise BadRequestError(f"{older} and {key} say the same thing in two ways; leave one of them out")


def _refuse_unsupported(wanted: RagQuery, database: DatabaseConfig) -> None:
    """What is asked for and cannot be done is said, never passed over."""
    if wanted.distance_metric is None:
        return
    metric = METRICS.get(wanted.distance_metric.lower())
    if metric is None:
        raise InvalidInputError(
            f"distance_metric '{wanted.distance_metric[:100]}' is not known. Known: {', '.join(METRICS)}"
        )
    if metric != database.metric:
        raise BadRequestError(
            f"distance_metric '{wanted.distance_metric}': database '{database.name}' is stored with "
            f"'{database.metric}', and a query cannot change that; leave distance_metric out"
        )


def _ignored(wanted: RagQuery, database: DatabaseConfig, strategy: str) -> list[str]:
    notes = []
    if wanted.data_processing_strategy is not None:
        notes.append("data_processing_strategy has no effect on a query: it says how files are processed")
    if wanted.hybrid_alpha is not None and _type_of(strategy, database) in WITHOUT_FUSION:
        notes.append(f"hybrid_alpha has no effect with strategy '{strategy}', which does not fuse vectors and words")
    if wanted.model_extra:
        names = ", ".join(repr(name[:SHOWN_CHARS]) for name in sorted(wanted.model_extra)[:SHOWN_NAMES])
        more = len(wanted.model_extra) - SHOWN_NAMES
        notes.append(f"ignored, as a query has no such field: {names}" + (f" and {more} more" if more > 0 else ""))
    return notes


def _type_of(strategy: str, database: DatabaseConfig) -> str:
    """The component behind the name of a strategy: one of the database's, or a generic one."""
    name = next((each.type for each in database.retrieval_strategies if each.name == strategy), strategy)
    return retrievers.canonical(name) if name in retrievers else name


def _wire_stage(stage: Stage) -> RagStage:
    top = [
        RagStageCandidate(chunk_id=str(hit.metadata.get("chunk_id") or hit.id), score=hit.score) for hit in stage.top
    ]
    return RagStage(
        stage=stage.name,
        ms=round(stage.ms, 3),
        candidates_in=stage.candidates_in,
        candidates_out=stage.candidates_out,
        top=top,
        queries=list(stage.queries),
        notes=list(stage.notes),
    )


def _wire_hit(hit: Hit, *, explain: bool) -> RagHit:
    metadata = {key: value for key, value in hit.metadata.items() if not key.startswith("_")}
    file_hash = hit.file_key.rpartition("/")[2]
    return RagHit(
        content=hit.text,
        score=min(max(hit.score, 0.0), 1.0),
        metadata=metadata,
        chunk_id=str(metadata.get("chunk_id") or hit.id),
        document_id=str(metadata.get("document_id") or file_hash),
        scores=dict(hit.scores) if explain else None,
    )
