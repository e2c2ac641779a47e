"""Databases: making, changing and deleting them, and what is in them."""

from typing import Annotated

from fastapi import Query

from server.deps import (
    DatabaseEditorDep,
    DatabaseServiceDep,
    DocumentServiceDep,
    PreviewServiceDep,
    RagHealthServiceDep,
)
from server.routing import Router
from server.schemas.databases import (
    DatabaseCreate,
    DatabaseCreated,
    DatabaseDeleted,
    DatabaseDetail,
    DatabaseList,
    DatabaseStats,
    DatabaseUpdate,
    DocumentEntry,
    RagHealth,
)
from server.schemas.errors import CONFLICT_RESPONSES, ERROR_RESPONSES, TOO_LARGE_RESPONSES
from server.schemas.preview import Preview, PreviewRequest

router = Router(prefix="/v1/projects/{namespace}/{project}/rag", tags=["rag", "mcp"], responses=ERROR_RESPONSES)

DatabaseQuery = Annotated[str | None, Query(description="Default: the project's default database.")]


@router.get("/databases", operation_id="databases_list")
def list_databases(namespace: str, project: str, databases: DatabaseServiceDep) -> DatabaseList:
    """List the databases of a project with their strategies, and which is the default."""
    return databases.list(namespace, project)


@router.post("/databases", operation_id="database_create", status_code=201, responses=CONFLICT_RESPONSES)
def create_database(
    namespace: str, project: str, body: DatabaseCreate, databases: DatabaseEditorDep
) -> DatabaseCreated:
    """Make a database: a named set of vectors with the strategies that fill and search it.

    Without embedding strategies Ollama embeds with its defaults; without retrieval strategies the nearest vectors are
    found. Datasets then name it as their `database`.
    """
    return databases.create(namespace, project, body)


@router.get("/databases/{database}", operation_id="database_get")
def get_database(namespace: str, project: str, database: str, databases: DatabaseServiceDep) -> DatabaseDetail:
    """Read one database: its configuration, strategies and the datasets that depend on it."""
    return databases.get(namespace, project, database)


@router.patch("/databases/{database}", operation_id="database_update", responses=CONFLICT_RESPONSES)
def update_database(
    namespace: str, project: str, database: str, body: DatabaseUpdate, databases: DatabaseEditorDep
) -> DatabaseDetail:
    """Change a database's options, strategies or defaults; what is given replaces the old value whole.

    What would make stored vectors useless (another embedding model, metric or collection) is refused with 409 while
    chunks are stored.
    """
    return databases.update(namespace, project, database, body)


@router.delete("/databases/{database}", operation_id="database_delete", responses=CONFLICT_RESPONSES)
def delete_database(
    namespace: str,
    project: str,
    database: str,
    databases: DatabaseEditorDep,
    *,
    delete_collection: Annotated[bool, Query(description="false keeps what is stored.")] = True,
) -> DatabaseDeleted:
    """Delete a database that no dataset depends on, with all that is stored in it."""
    return databases.delete(namespace, project, database, delete_collection=delete_collection)


@router.get("/databases/{database}/documents", operation_id="rag_list_documents")
def list_documents(
    namespace: str,
    project: str,
    database: str,
    documents: DocumentServiceDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    filter: Annotated[  # noqa: A002  # the name on the wire
        list[str] | None, Query(description="`key:value` on the metadata of chunks; may be repeated, all must hold.")
    ] = None,
) -> list[DocumentEntry]:
    """List the files that queries can find in a database, by name."""
    return documents.list(namespace, project, database, limit=limit, offset=offset, filters=filter or [])


@router.post("/databases/{database}/preview", operation_id="rag_preview_document", responses=TOO_LARGE_RESPONSES)
async def preview_document(
    namespace: str, project: str, database: str, body: PreviewRequest, previews: PreviewServiceDep
) -> Preview:
    """Show how a file would be parsed and cut into chunks, with positions in its text; nothing is stored."""
    return await previews.preview(namespace, project, database, body)


@router.get("/stats", operation_id="rag_stats")
def get_stats(
    namespace: str, project: str, documents: DocumentServiceDep, database: DatabaseQuery = None
) -> DatabaseStats:
    """Count what a database holds: files, chunks, vectors, bytes."""
    return documents.stats(namespace, project, database)


@router.get("/health", operation_id="rag_health")
async def check_health(
    namespace: str, project: str, health: RagHealthServiceDep, database: DatabaseQuery = None
) -> RagHealth:
    """Probe a database: whether it can be reached, counted, embedded for and searched."""
    return await health.check(namespace, project, database)
