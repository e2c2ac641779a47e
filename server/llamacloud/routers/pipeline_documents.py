"""Documents of a pipeline that come as text."""

from typing import Annotated

from fastapi import Body, Depends, Query, Response

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.documents import (
    MAX_DOCUMENTS,
    MAX_LIMIT,
    DocumentCounts,
    DocumentInput,
    DocumentPage,
    DocumentView,
)
from server.llamacloud.schemas.pipelines import IngestionStatus
from server.llamacloud.services.documents import DocumentService
from server.routing import Router

router = Router(prefix="/api", tags=["pipeline documents"])

PATH = "/v1/pipelines/{pipeline_id}/documents"
ONE = f"{PATH}/{{document_id:path}}"
"""Ids are the clients': they may hold slashes."""
Documents = Annotated[list[DocumentInput], Body(max_length=MAX_DOCUMENTS)]
Skip = Annotated[int, Query(ge=0, le=1_000_000)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
FileId = Annotated[str | None, Query(description="Files are no documents here: with it, the list is empty.")]


async def get_service(cloud: CloudDep) -> DocumentService:
    return DocumentService(cloud)


DocumentsDep = Annotated[DocumentService, Depends(get_service)]


@router.post(PATH, operation_id="cloud_documents_create", status_code=201)
def create(pipeline_id: str, body: Documents, scope: ScopeDep, documents: DocumentsDep) -> list[DocumentView]:
    """Add documents as text, and start a sync; one of the same id is replaced."""
    return documents.put(pipeline_id, scope, body)


@router.put(PATH, operation_id="cloud_documents_upsert")
def upsert(pipeline_id: str, body: Documents, scope: ScopeDep, documents: DocumentsDep) -> list[DocumentView]:
    """Add documents or replace those of the same id, and start a sync."""
    return documents.put(pipeline_id, scope, body)


@router.get(PATH, operation_id="cloud_documents_list")
def list_documents(
    pipeline_id: str,
    scope: ScopeDep,
    documents: DocumentsDep,
    skip: Skip = 0,
    limit: Limit = MAX_LIMIT,
    file_id: FileId = None,
) -> list[DocumentView]:
    """List the documents that were added as text, in the order in which they came."""
    return documents.all(pipeline_id, scope, skip=skip, limit=limit, file_id=file_id).documents


@router.get(f"{PATH}/paginated", operation_id="cloud_documents_page")
def list_page(
    pipeline_id: str,
    scope: ScopeDep,
    documents: DocumentsDep,
    skip: Skip = 0,
    limit: Limit = 10,
    file_id: FileId = None,
) -> DocumentPage:
    """List documents by pages, with their number in all."""
    return documents.all(pipeline_id, scope, skip=skip, limit=limit, file_id=file_id)


@router.get(f"{PATH}/status-counts", operation_id="cloud_documents_counts")
def counts(pipeline_id: str, scope: ScopeDep, documents: DocumentsDep) -> DocumentCounts:
    """Count the documents of a pipeline by how far their ingestion is."""
    return documents.counts(pipeline_id, scope)


@router.get(f"{ONE}/status", operation_id="cloud_documents_status")
def get_status(pipeline_id: str, document_id: str, scope: ScopeDep, documents: DocumentsDep) -> IngestionStatus:
    """Tell how far the ingestion of one document is."""
    return documents.status(pipeline_id, document_id, scope)


@router.post(f"{ONE}/sync", operation_id="cloud_documents_sync", status_code=204)
def sync(pipeline_id: str, document_id: str, scope: ScopeDep, documents: DocumentsDep) -> Response:
    """Start a sync of the pipeline, which takes in what is new or has failed."""
    documents.sync(pipeline_id, document_id, scope)
    return Response(status_code=204)


@router.get(ONE, operation_id="cloud_documents_get")
def get_document(pipeline_id: str, document_id: str, scope: ScopeDep, documents: DocumentsDep) -> DocumentView:
    """Look at one document: its text and metadata."""
    return documents.get(pipeline_id, document_id, scope)


@router.delete(ONE, operation_id="cloud_documents_delete", status_code=204)
def delete(pipeline_id: str, document_id: str, scope: ScopeDep, documents: DocumentsDep) -> Response:
    """Take a document out of a pipeline; searches do not find it any more."""
    documents.delete(pipeline_id, document_id, scope)
    return Response(status_code=204)
