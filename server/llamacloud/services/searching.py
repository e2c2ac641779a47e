"""Searching the files of a collection: the engine's own retrievers, and which file each hit is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread

from config.project import ProjectConfig
from config.rag_section import DatabaseConfig, RetrievalStrategy
from config.stages import split
from rag.errors import InvalidInputError
from rag.filters import Filter
from rag.retrievers.base import Query
from rag.types import Hit
from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.filtering import Selection, Where, of_members
from server.llamacloud.services.members import MemberList, MemberLists
from server.schemas.rag import MAX_QUERY_CHARS
from state.cloud.members import Collection, Member

MAX_TOP_K = 500
MAX_CANDIDATES = 5_000
WORDINGS = 3
"""Of one question where it is expanded, itself included."""
STAGES_OFF = {"query_transform": False, "expand": False, "collapse_duplicates": False}
"""What would give other texts than the chunks that were found, or leave out some of them."""


FUSING = ("HybridRetriever", "hybrid", "HybridUniversalStrategy")
"""Strategies that fuse both sides by the weight of a query."""
SCORES = ("merged", "fused", "vector", "lexical")
"""The score of a search, the last stage first. What comes after it (reranking) puts its own into the hit."""


@dataclass(frozen=True, slots=True)
class SearchWanted:
    """
    Args:
        top_k: most passages; more than `MAX_TOP_K` are that many.
        vector_weight, text_weight: in [0, 1]; 0 switches a side off.
        candidates: taken from each side where both are searched, at least `top_k`; None: as the project says.
        rerank: by the reranker of the project's default retrieval strategy; without one there is none.
        rerank_top_n: most passages where `rerank` is on.
        threshold: least score, before reranking.
        expand: also ask in other words.
    """

    query: str
    top_k: int
    vector_weight: float = 0.5
    text_weight: float = 0.5
    candidates: int | None = None
    rerank: bool = True
    rerank_top_n: int | None = None
    threshold: float | None = None
    where: Where | None = None
    expand: bool = False

    def check(self) -> None:
        """Raises InvalidInputError."""
        if not self.query.strip() or len(self.query) > MAX_QUERY_CHARS:
            raise InvalidInputError(f"query: expected 1 to {MAX_QUERY_CHARS} characters that are not all blank")
        for name, weight in (("vector", self.vector_weight), ("full_text", self.text_weight)):
            if not 0 <= weight <= 1:
                raise InvalidInputError(f"{name}_pipeline_weight = {weight}: expected 0 to 1")
        if not self.vector_weight and not self.text_weight:
            raise InvalidInputError("both pipeline weights are 0, so there is nothing to search with")
        for name, number in (("top_k", self.top_k), ("num_candidates", self.candidates), ("top_n", self.rerank_top_n)):
            if number is not None and number < 1:
                raise InvalidInputError(f"{name} = {number}: expected 1 or more")


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found: `text` is characters `start` to `end` of its file's parsed text.

    Args:
        rerank_score: None unless a reranker looked at it.
        page_start, page_end: 1-based; None for formats without pages.
        metadata: of the chunk; that of users is the member's.
    """

    text: str
    score: float
    rerank_score: float | None
    member: Member
    chunk_index: int
    start: int
    end: int
    token_count: int
    page_start: int | None
    page_end: int | None
    metadata: Mapping[str, Any]
    hit: Hit = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A search that has only to be made.

    Args:
        config: the project with the one database, searched as it is wanted.
        members: None: only those of the hits are read, once there are hits.
    """

    wanted: SearchWanted
    collection: Collection
    config: ProjectConfig
    members: MemberList | None
    selection: Selection | None

    @property
    def where(self) -> Filter | None:
        """None: nothing may be found."""
        return Filter() if self.selection is None else self.selection.where


class Search:
    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._lists = MemberLists(cloud)

    async def search(self, collection: Collection, wanted: SearchWanted) -> list[Passage]:
        """The best passages, best first: by what the reranker says where one ran, else by score.

        Nothing is found in a collection that was not built yet.

        Raises:
            InvalidInputError: see `SearchWanted.check`.
            UpstreamError: what is behind the search does not answer.
        """
        return await self.run(await to_thread.run_sync(self.prepare, collection, wanted))

    def prepare(self, collection: Collection, wanted: SearchWanted) -> Prepared | None:
        """The half that reads the state: callers that have to read too do so in the same thread. None: nothing to find.

        Raises InvalidInputError.
        """
        wanted.check()
        config = self._cloud.projects.load(collection.project_id)
        database = next((each for each in config.databases if each.name == collection.database), None)
        if database is None:
            return None
        chosen = _searching(config, database, wanted)
        if wanted.where is None:
            return Prepared(wanted, collection, chosen, self._lists.settled(collection), None)
        members = self._lists.of(collection)
        return Prepared(wanted, collection, chosen, members, members.selection(wanted.where))

    async def run(self, prepared: Prepared | None) -> list[Passage]:
        """Raises UpstreamError."""
        if prepared is None or prepared.where is None:
            return []
        wanted = prepared.wanted
        hits = await self._hits(prepared, prepared.where)
        passages = await self._passages(prepared, hits)
        if prepared.selection is None and len(passages) < len(hits) == _limit(wanted):
            # Some are of files that were taken away and are about to be forgotten: they stand in others' place.
            members = await to_thread.run_sync(self._lists.all, prepared.collection)
            hits = await self._hits(prepared, of_members(members))
            passages = await self._passages(prepared, hits)
        if wanted.rerank and wanted.rerank_top_n is not None:
            return passages[: wanted.rerank_top_n]
        return passages

    async def _hits(self, prepared: Prepared, where: Filter) -> Sequence[Hit]:
        wanted = prepared.wanted
        query = Query(
            text=wanted.query,
            top_k=_limit(wanted),
            where=where,
            score_threshold=wanted.threshold,
            hybrid_alpha=wanted.vector_weight / (wanted.vector_weight + wanted.text_weight),
            candidates=None if wanted.candidates is None else min(wanted.candidates, MAX_CANDIDATES),
        )
        stages: dict[str, Any] = dict(STAGES_OFF)
        if wanted.expand:
            stages["query_transform"] = {"type": "multi_query", "method": "rules", "num_queries": WORDINGS}
        if not wanted.rerank:
            stages["reranker"] = False
        database = prepared.collection.database
        found = await self._cloud.searcher.search(prepared.config, [query], database=database, stages=stages)
        return found.retrieval.hits

    async def _passages(self, prepared: Prepared, hits: Sequence[Hit]) -> list[Passage]:
        """Those of files that belong to the collection."""
        members = prepared.members
        if members is None:
            hashes = {_file_hash(hit) for hit in hits}
            members = await to_thread.run_sync(self._lists.of_hashes, prepared.collection, hashes)
        found = [(hit, _member_of(hit, members, prepared.selection)) for hit in hits]
        return [_passage(hit, member) for hit, member in found if member is not None]


def _member_of(hit: Hit, members: MemberList, selection: Selection | None) -> Member | None:
    if selection is not None:
        return selection.member(_file_hash(hit), hit.metadata)
    return members.of_hash.get(_file_hash(hit))


def _file_hash(hit: Hit) -> str:
    return hit.file_key.rpartition("/")[2]


def _limit(wanted: SearchWanted) -> int:
    return min(wanted.top_k, MAX_TOP_K)


def _searching(config: ProjectConfig, database: DatabaseConfig, wanted: SearchWanted) -> ProjectConfig:
    """The project as if its only retrieval strategy were the one that the weights ask for.

    The project's default strategy says how both sides are fused, and which reranker there is.
    """
    default = database.retrieval_strategy_in_use()
    own, stages = split(default.config)
    kind, options = "HybridRetriever", dict[str, Any]()
    if not wanted.text_weight:
        kind = "BasicSimilarityStrategy"
    elif not wanted.vector_weight:
        kind = "BM25Retriever"
    elif default.type in FUSING and not own.get("strategies"):
        kind, options = default.type, own
    strategy = RetrievalStrategy(name=default.name, type=kind, config={**options, **stages}, default=True)
    only = database.model_copy(update={"retrieval_strategies": [strategy], "default_retrieval_strategy": None})
    assert config.rag is not None
    return config.model_copy(update={"rag": config.rag.model_copy(update={"databases": [only]})})


def _passage(hit: Hit, member: Member) -> Passage:
    facts = hit.metadata
    first, last = facts.get("page_start"), facts.get("page_end")
    return Passage(
        text=hit.text,
        score=next((hit.scores[each] for each in SCORES if each in hit.scores), hit.score),
        rerank_score=hit.scores.get("relevance"),
        member=member,
        chunk_index=int(facts["chunk_index"]),
        start=int(facts["char_start"]),
        end=int(facts["char_end"]),
        token_count=int(facts.get("token_count", 0)),
        page_start=None if first is None else int(first),
        page_end=None if last is None else int(last),
        metadata=facts,
        hit=hit,
    )
