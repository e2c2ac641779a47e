"""Looking after a database: giving room back, emptying, deleting, processing anew, export and import."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from server.deps import MaintenanceServiceDep, PruningServiceDep, RequestIdDep, TransferServiceDep
from server.routers.databases import DatabaseQuery
from server.routing import Router
from server.schemas.errors import CONFLICT_RESPONSES, ERROR_RESPONSES, TOO_LARGE_RESPONSES
from server.schemas.maintenance import (
    Cleared,
    Compacted,
    DocumentsDeleted,
    DocumentSelection,
    Imported,
    PruneCounts,
    Pruned,
    Reindexed,
    SelectionPreview,
)

router = Router(prefix="/v1/projects/{namespace}/{project}/rag", tags=["rag"], responses=ERROR_RESPONSES)

EXPORT_SCHEMA = {
    "type": "object",
    "required": ["version", "documents"],
    "properties": {
        "version": {"type": "string"},
        "export_date": {"type": "string"},
        "database": {"type": "string"},
        "documents": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "content": {"type": "string"},
                    "embedding": {"type": "array", "items": {"type": "number"}},
                    "metadata": {"type": "object"},
                },
            },
        },
        "metadata": {"type": "object"},
    },
}
JSON_EXPORT = {"application/json": {"schema": EXPORT_SCHEMA}}


@router.post("/compact", operation_id="rag_compact")
def compact(
    namespace: str, project: str, maintenance: MaintenanceServiceDep, database: DatabaseQuery = None
) -> Compacted:
    """Delete vectors and chunks that nothing shows any more, and give their room back to the disk."""
    return maintenance.compact(namespace, project, database)


@router.post("/reindex", operation_id="rag_reindex", responses=CONFLICT_RESPONSES)
async def reindex(
    namespace: str,
    project: str,
    maintenance: MaintenanceServiceDep,
    request_id: RequestIdDep,
    database: DatabaseQuery = None,
    strategy: Annotated[
        str | None, Query(description="Process with this data processing strategy, this once. Default: the datasets'.")
    ] = None,
) -> Reindexed:
    """Process every file of the database's datasets anew.

    Waits up to 45 seconds for the end; what takes longer goes on as the tasks that `task_ids` names. Each file answers
    from its old chunks until the new ones are complete.
    """
    return await maintenance.reindex(namespace, project, database, strategy, request_id)


@router.post("/clear", operation_id="rag_clear", responses=CONFLICT_RESPONSES)
def clear(namespace: str, project: str, maintenance: MaintenanceServiceDep, database: DatabaseQuery = None) -> Cleared:
    """Delete every chunk of a database; the files stay in their datasets."""
    return maintenance.clear(namespace, project, database)


@router.post("/delete/preview", operation_id="rag_delete_preview")
def preview_delete(
    namespace: str, project: str, body: DocumentSelection, maintenance: MaintenanceServiceDep
) -> SelectionPreview:
    """Count the documents that `delete` would delete."""
    return maintenance.preview_delete(namespace, project, body)


@router.post("/delete", operation_id="rag_delete")
def delete_documents(
    namespace: str, project: str, body: DocumentSelection, maintenance: MaintenanceServiceDep
) -> DocumentsDeleted:
    """Delete the chunks of the chosen documents; their files stay in their datasets."""
    return maintenance.delete(namespace, project, body)


@router.get("/prune/preview", operation_id="rag_prune_preview")
def preview_prune(
    namespace: str, project: str, pruning: PruningServiceDep, database: DatabaseQuery = None
) -> PruneCounts:
    """Count what `prune` would remove."""
    return pruning.preview(namespace, project, database)


@router.post("/prune", operation_id="rag_prune")
def prune(namespace: str, project: str, pruning: PruningServiceDep, database: DatabaseQuery = None) -> Pruned:
    """Remove documents that are there twice, that have no file any more, or that are not whole."""
    return pruning.prune(namespace, project, database)


@router.get(
    "/export", operation_id="rag_export", response_class=StreamingResponse, responses={200: {"content": JSON_EXPORT}}
)
def export(
    namespace: str,
    project: str,
    transfers: TransferServiceDep,
    database: DatabaseQuery = None,
    *,
    metadata_only: Annotated[bool, Query(description="Leave the embeddings out.")] = False,
) -> StreamingResponse:
    """Send all chunks of a database as one JSON document, which `import` takes."""
    pieces = transfers.export(namespace, project, database, metadata_only=metadata_only)
    return StreamingResponse(pieces, media_type="application/json")


@router.post(
    "/import",
    operation_id="rag_import",
    responses={**CONFLICT_RESPONSES, **TOO_LARGE_RESPONSES},
    openapi_extra={"requestBody": {"required": True, "content": JSON_EXPORT}},
)
async def import_documents(
    namespace: str,
    project: str,
    request: Request,
    transfers: TransferServiceDep,
    database: DatabaseQuery = None,
    strategy: Annotated[
        str | None, Query(description="Without effect, which a note says: chunks are taken over as they were cut.")
    ] = None,
) -> Imported:
    """Take in an export document. Chunks without a vector, or with one of another model, are embedded."""
    return await transfers.receive(namespace, project, database, strategy, request.stream())
