"""Searching a pipeline: two ways of asking, one search, one answer that both sides read."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from anyio import to_thread

from rag.errors import BadRequestError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.pipelines import (
    PipelineRetrieveRequest,
    PipelineRetrieveResponse,
    RetrievalNode,
    RetrievalResult,
)
from server.llamacloud.services.filtering import Where, read_search_filters
from server.llamacloud.services.members import MemberLists
from server.llamacloud.services.searching import Passage, Search, SearchWanted
from server.llamacloud.services.texts import Texts
from state.cloud.collections import collection_of
from state.cloud.members import Collection, Member
from state.cloud.objects import CloudObject

DEFAULT_TOP_K = 6
DEFAULT_CANDIDATES = 30
DEFAULT_FILES = 5
MAX_FILE_CHARS = 200_000
"""Of a file that is answered with as a whole; `end_char_idx` says where it was cut."""
CLIENT_KEYS = frozenset(
    {
        "dense_similarity_top_k", "sparse_similarity_top_k", "dense_similarity_cutoff", "alpha", "enable_reranking",
        "rerank_top_n",
    }
)  # fmt: skip
_WORD = re.compile(r"\w{2,}")


@dataclass(frozen=True, slots=True)
class Found:
    """What an answer is made of. `start` and `end` count in the file's parsed text."""

    id: str
    text: str
    score: float
    member: Member
    start: int
    end: int
    facts: Mapping[str, Any]


class PipelineRetrieval:
    def __init__(self, cloud: CloudEngine) -> None:
        self._search = Search(cloud)
        self._texts = Texts(cloud)
        self._lists = MemberLists(cloud)

    async def retrieve(self, found: CloudObject, request: PipelineRetrieveRequest) -> PipelineRetrieveResponse:
        """
        Raises:
            BadRequestError, InvalidInputError: the query or a filter cannot be understood.
        """
        started = time.perf_counter()
        collection = collection_of(found)
        given = {**(found.body.get("preset_retrieval_parameters") or {}), **request.model_dump(exclude_none=True)}
        if request.mode is not None and not CLIENT_KEYS & request.model_fields_set:
            given = {key: value for key, value in given.items() if key not in CLIENT_KEYS}
        where = read_search_filters(given.get("search_filters"))
        mode = given.get("retrieval_mode") or "chunks"
        if mode == "auto_routed":
            mode = await to_thread.run_sync(self._route, collection, request.query, where)
        if mode == "chunks":
            results = _of_passages(found, await self._passages(collection, given, where))
        elif mode == "files_via_metadata":
            results = await to_thread.run_sync(self._files_by_facts, found, given, where)
        else:
            passages = await self._passages(collection, {**given, "top_k": 200, "rerank_top_n": 200}, where)
            results = await to_thread.run_sync(self._files_by_content, found, given, passages)
        return _response(found, results, mode, given, time.perf_counter() - started)

    async def _passages(self, collection: Collection, given: Mapping[str, Any], where: Where | None) -> list[Passage]:
        wanted = search_wanted(given, where)
        passages = await self._search.search(collection, wanted)
        return [each for each in passages if _is_similar(each, given)][: results_wanted(given)]

    def _route(self, collection: Collection, query: str, where: Where | None) -> str:
        """A question that names a file wants that file; every other wants passages."""
        asked = query.casefold()
        for each in self._members(collection, where):
            name = each.name.casefold()
            if name in asked or (len(PurePath(name).stem) > 3 and PurePath(name).stem in asked):
                return "files_via_metadata"
        return "chunks"

    def _members(self, collection: Collection, where: Where | None) -> Sequence[Member]:
        members = self._lists.of(collection)
        if where is None:
            return members.members
        selection = members.selection(where)
        return [each for each in members.members if selection.member(each.file_hash, {}) is not None]

    def _files_by_facts(self, found: CloudObject, given: Mapping[str, Any], where: Where | None) -> list[Found]:
        """By the share of the query's words that stand in a file's name and metadata."""
        asked = _words(given["query"])
        scored = [(_share(asked, each), each) for each in self._members(collection_of(found), where)]
        best = sorted((each for each in scored if each[0] > 0), key=lambda each: -each[0])
        return self._whole(found, best, given)

    def _files_by_content(
        self, found: CloudObject, given: Mapping[str, Any], passages: Sequence[Passage]
    ) -> list[Found]:
        """By the best passage of each."""
        best: dict[str, tuple[float, Member]] = {}
        for each in passages:
            best.setdefault(each.member.id, (_score(each), each.member))
        return self._whole(found, list(best.values()), given)

    def _whole(
        self, found: CloudObject, scored: Sequence[tuple[float, Member]], given: Mapping[str, Any]
    ) -> list[Found]:
        results: list[Found] = []
        for score, member in scored:
            if len(results) == given.get("files_top_k", DEFAULT_FILES):
                break
            try:
                text = self._texts.text(collection_of(found), member).text[:MAX_FILE_CHARS]
            except NotFoundError:  # not read yet, or not readable: the others are answered with
                continue
            results.append(Found(f"{found.id}/{member.id}", text, score, member, 0, len(text), {}))
        return results


def search_wanted(given: Mapping[str, Any], where: Where | None) -> SearchWanted:
    """
    Raises:
        BadRequestError: neither way of searching is left.
    """
    mode = given.get("mode") or "accurate"
    dense, sparse = given.get("dense_similarity_top_k"), given.get("sparse_similarity_top_k")
    is_client = bool(CLIENT_KEYS & given.keys())
    alpha = given.get("alpha", 1.0 if mode == "fast" else 0.5)
    vector = 0.0 if dense == 0 else alpha
    text = 0.0 if sparse == 0 else 1.0 - alpha
    if not vector and not text:
        raise BadRequestError(
            "alpha, dense_similarity_top_k and sparse_similarity_top_k leave nothing to search with; alpha 1 searches "
            "by meaning, 0 by words"
        )
    rerank = given.get("enable_reranking", mode != "fast")
    wanted = results_wanted(given)
    candidates = max(dense or 0, sparse or 0) or (DEFAULT_CANDIDATES if is_client else None)
    return SearchWanted(
        query=given["query"],
        top_k=max(wanted, candidates or 0) if rerank else wanted,
        vector_weight=vector,
        text_weight=text,
        candidates=None if candidates is None else max(candidates, wanted),
        rerank=rerank,
        rerank_top_n=wanted if rerank else None,
        where=where,
        expand=mode == "advanced",
        threshold=given.get("dense_similarity_cutoff") if not text else None,
    )


def results_wanted(given: Mapping[str, Any]) -> int:
    """`top_k`, else what the vendor's clients say: `rerank_top_n`, or without reranking the candidates."""
    if given.get("top_k"):
        return int(given["top_k"])
    is_reranked = given.get("enable_reranking", given.get("mode") != "fast")
    if is_reranked and given.get("rerank_top_n"):
        return int(given["rerank_top_n"])
    candidates = max(given.get("dense_similarity_top_k") or 0, given.get("sparse_similarity_top_k") or 0)
    return candidates if candidates and not is_reranked else min(candidates or DEFAULT_TOP_K, DEFAULT_TOP_K)


def _is_similar(passage: Passage, given: Mapping[str, Any]) -> bool:
    """The cutoff is for what was found by meaning alone: what has the words may stay."""
    cutoff, scores = given.get("dense_similarity_cutoff"), passage.hit.scores
    return cutoff is None or "lexical" in scores or scores.get("vector", passage.score) >= cutoff


def _score(passage: Passage) -> float:
    return passage.score if passage.rerank_score is None else passage.rerank_score


def _of_passages(found: CloudObject, passages: Sequence[Passage]) -> list[Found]:
    return [
        Found(
            id=f"{found.id}/{each.member.id}/{each.chunk_index}",
            text=each.text,
            score=_score(each),
            member=each.member,
            start=each.start,
            end=each.end,
            facts=_facts(each),
        )
        for each in passages
    ]


def _facts(passage: Passage) -> dict[str, Any]:
    facts: dict[str, Any] = {"chunk_index": passage.chunk_index}
    if passage.page_start is not None:
        facts |= {
            "page_label": str(passage.page_start),
            "page_start": passage.page_start,
            "page_end": passage.page_end or passage.page_start,
        }
    kept = ("sheet", "slide_number", "chapter", "heading_path", "member", "attachment")
    return facts | {key: passage.metadata[key] for key in kept if passage.metadata.get(key) is not None}


def _metadata(found: CloudObject, each: Found) -> dict[str, Any]:
    """What a user says of the file goes before what we know."""
    file_id = each.member.file_id or each.member.id
    known = {"file_name": each.member.name, "file_id": file_id, "pipeline_id": found.id}
    return {**known, **each.facts, **each.member.metadata}


def _response(
    found: CloudObject, results: Sequence[Found], mode: str, given: Mapping[str, Any], seconds: float
) -> PipelineRetrieveResponse:
    facts = {"retrieval_mode": mode}
    if given.get("search_filters_inference_schema"):
        facts["ignored_parameters"] = "search_filters_inference_schema"
    return PipelineRetrieveResponse(
        results=[
            RetrievalResult(text=each.text, score=each.score, metadata=_metadata(found, each)) for each in results
        ],
        pipeline_id=found.id,
        retrieval_nodes=[RetrievalNode(node=_node(found, each), score=each.score) for each in results],
        metadata=facts,
        retrieval_latency={"total": round(seconds, 6)},
    )


def _node(found: CloudObject, each: Found) -> dict[str, Any]:
    metadata = _metadata(found, each)
    return {
        "class_name": "TextNode",
        "id": each.id,
        "id_": each.id,
        "text": each.text,
        "extra_info": metadata,
        "metadata": metadata,
        "start_char_idx": each.start,
        "end_char_idx": each.end,
        "mimetype": "text/plain",
        "relationships": {},
        "embedding": None,
        "excluded_embed_metadata_keys": [],
        "excluded_llm_metadata_keys": [],
    }


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold().replace("_", " ")))


def _share(asked: set[str], member: Member) -> float:
    said = _words(" ".join([member.name.replace(".", " "), *map(str, member.metadata.values())]))
    return len(asked & said) / len(asked) if asked else 0.0
