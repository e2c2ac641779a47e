"""What the task routes do: the dispatcher knows the answers, whose shape is fixed in `workers/progress.py`."""

from typing import Any, Protocol


class TaskDispatcher(Protocol):
    def task_status(self, namespace: str, project: str, task_id: str) -> dict[str, Any]: ...

    def cancel(self, namespace: str, project: str, task_id: str) -> dict[str, Any]: ...


class TaskService:
    """Every method raises NotFoundError for an id that this project's server never gave out."""

    def __init__(self, dispatcher: TaskDispatcher) -> None:
        self._dispatcher = dispatcher

    def get(self, namespace: str, project: str, task_id: str) -> dict[str, Any]:
        return self._dispatcher.task_status(namespace, project, task_id)

    def cancel(self, namespace: str, project: str, task_id: str) -> dict[str, Any]:
        return self._dispatcher.cancel(namespace, project, task_id)
