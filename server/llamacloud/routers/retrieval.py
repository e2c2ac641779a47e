"""Searching indexes, and looking into their files."""

from typing import Annotated

from fastapi import Query

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.links import PresignedURL
from server.llamacloud.schemas.retrieval import (
    AttachmentPage,
    FileFindRequest,
    FileFindResponse,
    FileSearchRequest,
    FileSearchResponse,
    GrepRequest,
    GrepResponse,
    ReadRequest,
    ReadResponse,
    RetrieveRequest,
    RetrieveResponse,
)
from server.llamacloud.services.retrieval import RetrievalService
from server.routing import Router

router = Router(prefix="/api", tags=["retrieval"])

SourceId = Annotated[str, Query(description="Id of a file, or of a directory file.")]


@router.post("/v1/retrieval/retrieve", operation_id="cloud_retrieve")
async def retrieve(body: RetrieveRequest, cloud: CloudDep, scope: ScopeDep) -> RetrieveResponse:
    """Search the files of an index by meaning and by words.

    Filters are applied before `top_k`. An index that was not built yet gives no results.
    """
    return await RetrievalService(cloud, scope).retrieve(body)


@router.post("/v1/retrieval/files/search", operation_id="cloud_retrieval_files_search")
def search_files(body: FileSearchRequest, cloud: CloudDep, scope: ScopeDep) -> FileSearchResponse:
    """List files of an index by name; both filters must fit where both are given."""
    return RetrievalService(cloud, scope).search_files(body)


@router.post("/v1/retrieval/files/find", operation_id="cloud_retrieval_files_find")
def find_files(body: FileFindRequest, cloud: CloudDep, scope: ScopeDep) -> FileFindResponse:
    """List files of an index by name, page by page: what newer clients ask in place of `files/search`."""
    return RetrievalService(cloud, scope).find_files(body)


@router.post("/v1/retrieval/files/grep", operation_id="cloud_retrieval_files_grep")
async def grep_file(body: GrepRequest, cloud: CloudDep, scope: ScopeDep) -> GrepResponse:
    """Find a regular expression in the parsed text of a file.

    The time it takes grows with the length of the text only, whatever the expression.
    """
    return await RetrievalService(cloud, scope).grep(body)


@router.post("/v1/retrieval/files/read", operation_id="cloud_retrieval_files_read")
def read_file(body: ReadRequest, cloud: CloudDep, scope: ScopeDep) -> ReadResponse:
    """Read the parsed text of a file, whole or in part.

    Beyond its end there is nothing, which is no error.
    """
    return RetrievalService(cloud, scope).read(body)


@router.get("/v1/beta/attachments", operation_id="cloud_attachments_list", tags=["attachments"])
def list_attachments(
    cloud: CloudDep,
    scope: ScopeDep,
    source_id: SourceId,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
) -> AttachmentPage:
    """List what was kept beside a file, such as pictures of its pages: nothing is, so the list is always empty."""
    RetrievalService(cloud, scope).require_source(source_id)
    return AttachmentPage(items=[], total_size=0)


@router.get("/v1/beta/attachments/{attachment_name:path}", operation_id="cloud_attachment_get", tags=["attachments"])
def get_attachment(attachment_name: str, cloud: CloudDep, scope: ScopeDep, source_id: SourceId) -> PresignedURL:
    """Get a link to an attachment of a file: none are kept, so there is none to be found."""
    return RetrievalService(cloud, scope).attachment(attachment_name, source_id)
