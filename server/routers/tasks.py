"""Tasks: what a worker does, and a client polls."""

from typing import Any

from fastapi import APIRouter

from server.deps import TaskServiceDep
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.tasks import TaskCancelled, TaskView

router = APIRouter(prefix="/v1/projects/{namespace}/{project}/tasks", tags=["tasks", "mcp"], responses=ERROR_RESPONSES)


@router.get("/{task_id}", operation_id="task_get", response_model=TaskView)
def get_task(namespace: str, project: str, task_id: str, tasks: TaskServiceDep) -> dict[str, Any]:
    return tasks.get(namespace, project, task_id)


@router.delete("/{task_id}", operation_id="task_cancel", response_model=TaskCancelled)
def cancel_task(namespace: str, project: str, task_id: str, tasks: TaskServiceDep) -> dict[str, Any]:
    return tasks.cancel(namespace, project, task_id)
