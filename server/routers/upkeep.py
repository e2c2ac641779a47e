"""Work on a whole database that takes its time: a task does it."""

from fastapi import Request

from server.deps import RequestIdDep, UpkeepServiceDep
from server.routing import Router
from server.schemas.errors import CONFLICT_RESPONSES, ERROR_RESPONSES
from server.schemas.upkeep import MigrationRequest, UpkeepStarted

router = Router(
    prefix="/v1/projects/{namespace}/{project}/rag/databases/{database}", tags=["rag"], responses=ERROR_RESPONSES
)


@router.post("/rebuild", operation_id="database_rebuild", status_code=202, responses=CONFLICT_RESPONSES)
def rebuild(
    namespace: str, project: str, database: str, request: Request, request_id: RequestIdDep, upkeep: UpkeepServiceDep
) -> UpkeepStarted:
    """Make the indexes of a database anew from the text and vectors that are kept, without parsing or embedding.

    A task does it: poll `task_uri`. Queries are answered from the old indexes until the new ones take their place;
    files cannot be processed meanwhile.
    """
    return _started(request, namespace, project, upkeep.rebuild(namespace, project, database, request_id))


@router.post("/migrate", operation_id="database_migrate", status_code=202, responses=CONFLICT_RESPONSES)
def migrate(
    namespace: str,
    project: str,
    database: str,
    body: MigrationRequest,
    request: Request,
    request_id: RequestIdDep,
    upkeep: UpkeepServiceDep,
) -> UpkeepStarted:
    """Copy a database into another store without embedding, and then have llamafarm.yaml name that one.

    A task does it: poll `task_uri`. Queries are answered from the old store until the copy is complete; files cannot be
    processed meanwhile. What is in the old store stays there unless `drop_source` is true.
    """
    return _started(request, namespace, project, upkeep.migrate(namespace, project, database, body, request_id))


def _started(request: Request, namespace: str, project: str, task_id: str) -> UpkeepStarted:
    uri = f"{request.base_url}v1/projects/{namespace}/{project}/tasks/{task_id}"
    return UpkeepStarted(message="Started", task_id=task_id, task_uri=uri)
