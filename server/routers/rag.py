"""Queries, and the databases they go to."""

from typing import Annotated

from fastapi import APIRouter, Query

from server.deps import DatabaseServiceDep, RagHealthServiceDep, RagServiceDep
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.rag import DatabaseDetail, DatabaseList, RagAnswer, RagHealth, RagQuery

router = APIRouter(prefix="/v1/projects/{namespace}/{project}/rag", tags=["rag", "mcp"], responses=ERROR_RESPONSES)


@router.post("/query", operation_id="rag_query", response_model_exclude_none=True)
async def query(namespace: str, project: str, body: RagQuery, rag: RagServiceDep) -> RagAnswer:
    return await rag.query(namespace, project, body)


@router.get("/databases", operation_id="databases_list")
def list_databases(namespace: str, project: str, databases: DatabaseServiceDep) -> DatabaseList:
    return databases.list(namespace, project)


@router.get("/databases/{database}", operation_id="database_get")
def get_database(namespace: str, project: str, database: str, databases: DatabaseServiceDep) -> DatabaseDetail:
    return databases.get(namespace, project, database)


@router.get("/health", operation_id="rag_health")
async def check_health(
    namespace: str,
    project: str,
    health: RagHealthServiceDep,
    database: Annotated[str | None, Query(description="Default: the project's default database.")] = None,
) -> RagHealth:
    return await health.check(namespace, project, database)
