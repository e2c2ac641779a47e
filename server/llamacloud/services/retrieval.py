"""What the retrieval routes do: from ids and wire models to searches of collections, and back."""

from collections.abc import Mapping
from typing import Any

import orjson
from anyio import to_thread

from rag.errors import NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.links import PresignedURL
from server.llamacloud.schemas.retrieval import (
    FileFindRequest,
    FileFindResponse,
    FileSearchRequest,
    FileSearchResponse,
    FoundFile,
    GrepMatch,
    GrepRequest,
    GrepResponse,
    ReadRequest,
    ReadResponse,
    RetrievedChunk,
    RetrieveRequest,
    RetrieveResponse,
    StaticFields,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.file_tools import FileTools, GrepWanted
from server.llamacloud.services.filtering import read_filters
from server.llamacloud.services.searching import Passage, Prepared, Search, SearchWanted
from state.cloud.collections import collection_of
from state.cloud.members import Collection, Member

DEFAULT_TOP_K = 10
DEFAULT_WEIGHT = 0.5


class RetrievalService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope
        self._tools = FileTools(cloud)

    def index(self, index_id: str) -> Collection:
        """Raises NotFoundError."""
        return collection_of(self._cloud.objects.get("index", index_id, self._scope.visible))

    async def retrieve(self, wanted: RetrieveRequest) -> RetrieveResponse:
        search = Search(self._cloud)

        def prepared() -> Prepared | None:
            return search.prepare(self.index(wanted.index_id), _search_wanted(wanted))

        found = await search.run(await to_thread.run_sync(prepared))
        return RetrieveResponse(results=[_chunk(each) for each in found])

    def search_files(self, wanted: FileSearchRequest) -> FileSearchResponse:
        found = self._tools.matching(self.index(wanted.index_id), wanted.file_name, wanted.file_name_contains)
        return FileSearchResponse(files=[_file(each) for each in found[: wanted.limit]])

    def find_files(self, wanted: FileFindRequest) -> FileFindResponse:
        page = self._tools.find(
            self.index(wanted.index_id),
            wanted.file_name,
            wanted.file_name_contains,
            wanted.page_token,
            wanted.page_size,
        )
        return FileFindResponse(
            items=[_file(each) for each in page.items],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def grep(self, wanted: GrepRequest) -> GrepResponse:
        collection = await to_thread.run_sync(self.index, wanted.index_id)
        page = await self._tools.grep(
            collection,
            GrepWanted(
                file_id=wanted.file_id,
                pattern=wanted.pattern,
                context_chars=wanted.context_chars or 0,
                limit=wanted.page_size if wanted.limit is None else wanted.limit,
                page_token=wanted.page_token,
            ),
        )
        matches = [GrepMatch(content=each.content, start_char=each.start, end_char=each.end) for each in page.items]
        return GrepResponse(
            matches=matches, items=matches, next_page_token=page.next_page_token, total_size=page.total_size
        )

    def read(self, wanted: ReadRequest) -> ReadResponse:
        collection = self.index(wanted.index_id)
        return ReadResponse(content=self._tools.read(collection, wanted.file_id, wanted.offset or 0, wanted.max_length))

    def require_source(self, source_id: str) -> None:
        """Raises NotFoundError: no file and no directory file has this id."""
        if not any(
            self._cloud.objects.by_ids(kind, [source_id], self._scope.visible) for kind in ("file", "directory_file")
        ):
            raise NotFoundError(f"File {source_id[:100]!r} not found")

    def attachment(self, name: str, source_id: str) -> PresignedURL:
        self.require_source(source_id)
        raise NotFoundError(
            f"Attachment {name[:100]!r} of file '{source_id}' not found: Paddock keeps no attachments beside files"
        )


def _search_wanted(wanted: RetrieveRequest) -> SearchWanted:
    plain = wanted.model_dump(include={"custom_filters", "static_filters"})
    vector, text, rerank = wanted.vector_pipeline_weight, wanted.full_text_pipeline_weight, wanted.rerank
    return SearchWanted(
        query=wanted.query,
        top_k=DEFAULT_TOP_K if wanted.top_k is None else wanted.top_k,
        vector_weight=DEFAULT_WEIGHT if vector is None else vector,
        text_weight=DEFAULT_WEIGHT if text is None else text,
        candidates=wanted.num_candidates,
        rerank=rerank is None or rerank.enabled is not False,
        rerank_top_n=None if rerank is None else rerank.top_n,
        threshold=wanted.score_threshold,
        where=read_filters(plain["custom_filters"], plain["static_filters"]),
    )


def _chunk(found: Passage) -> RetrievedChunk:
    return RetrievedChunk(
        content=found.text,
        metadata=shown_metadata(found.member.metadata),
        score=found.score,
        rerank_score=found.rerank_score,
        static_fields=StaticFields(
            parsed_directory_file_id=found.member.id,
            chunk_index=found.chunk_index,
            chunk_start_char=found.start,
            chunk_end_char=found.end,
            chunk_token_count=found.token_count,
            page_range_start=found.page_start,
            page_range_end=found.page_end,
            file_name=found.member.name,
        ),
    )


def shown_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the reference lets values be: other shapes as JSON text; what is null is left out."""
    return {key: _shown(value) for key, value in metadata.items() if value is not None}


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [each if isinstance(each, str) else orjson.dumps(each).decode() for each in value]
    return value if isinstance(value, str | int | float) else orjson.dumps(value).decode()


def _file(member: Member) -> FoundFile:
    return FoundFile(file_id=member.id, file_name=member.name)
