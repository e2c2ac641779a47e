"""Tasks: what a worker does, and a client polls."""

from enum import Enum
from typing import Annotated, Any

from fastapi import Depends, Query, Response

from server.deps import TaskServiceDep, require_project
from server.routing import Router
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.streams import EVENT_STREAM
from server.schemas.tasks import TaskCancelled, TaskList, TaskView
from server.sse import EventStream
from state.task_lists import TaskState

TOOL: list[str | Enum] = ["mcp"]
"""Tag of what an agent may call; a stream is nothing for a tool."""
MAX_OFFSET = 10**9
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One event per change, each with the body of `task_get`; `[DONE]` after the last.",
        "content": EVENT_STREAM,
    }
}

router = Router(prefix="/v1/projects/{namespace}/{project}/tasks", tags=["tasks"], responses=ERROR_RESPONSES)


@router.get("", operation_id="tasks_list", response_model=TaskList, tags=TOOL, dependencies=[Depends(require_project)])
@router.get("/", include_in_schema=False, dependencies=[Depends(require_project)])
def list_tasks(
    namespace: str,
    project: str,
    tasks: TaskServiceDep,
    state: Annotated[list[TaskState] | None, Query(description="Only these; may be repeated.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> dict[str, Any]:
    """List the tasks of a project, newest first, each with its state, progress and counts.

    What became of each file is in `task_get`.
    """
    return tasks.list(namespace, project, states=state or (), limit=limit, offset=offset)


@router.get("/{task_id}", operation_id="task_get", response_model=TaskView, tags=TOOL)
@router.get("/{task_id}/", include_in_schema=False)
def get_task(namespace: str, project: str, task_id: str, tasks: TaskServiceDep) -> dict[str, Any]:
    """Read the state, progress and per-file outcomes of a task.

    Poll until `state` is `SUCCESS` or `FAILURE`; `result.details` has a pair `[succeeded, what happened]` per file.
    An id from `meta.files` is answered for that file alone, with its pair as `result`.
    """
    return tasks.get(namespace, project, task_id)


@router.get(
    "/{task_id}/events", operation_id="task_events", response_class=Response, responses=STREAM, response_model=None
)
async def watch_task(namespace: str, project: str, task_id: str, tasks: TaskServiceDep) -> EventStream:
    """Follow a task as server-sent events instead of polling it.

    The first event tells the state as it is, the last one `SUCCESS` or `FAILURE`.
    """
    return EventStream(await tasks.watch(namespace, project, task_id))


@router.delete("/{task_id}", operation_id="task_cancel", response_model=TaskCancelled, tags=TOOL)
@router.delete("/{task_id}/", include_in_schema=False)
def cancel_task(namespace: str, project: str, task_id: str, tasks: TaskServiceDep) -> dict[str, Any]:
    """Cancel a task and take back what it had written so far.

    Cancelling again, or after its end, changes nothing and says so.
    """
    return tasks.cancel(namespace, project, task_id)
