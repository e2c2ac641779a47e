"""What the task routes do: the dispatcher knows the answers, whose shape is fixed in `workers/progress.py`."""

from collections.abc import Sequence
from typing import Any, Protocol

from server.services.task_events import TaskEvents, TaskStream, WatchedTasks
from state.task_lists import TaskState


class TaskDispatcher(WatchedTasks, Protocol):
    def task_list(
        self, namespace: str, project: str, *, states: Sequence[TaskState], limit: int, offset: int
    ) -> dict[str, Any]: ...

    def cancel(self, namespace: str, project: str, task_id: str) -> dict[str, Any]: ...


class TaskService:
    """Every method that takes an id raises NotFoundError for one that this project's server never gave out."""

    def __init__(self, dispatcher: TaskDispatcher) -> None:
        self._dispatcher = dispatcher
        self._events = TaskEvents(dispatcher)

    def get(self, namespace: str, project: str, task_id: str) -> dict[str, Any]:
        return self._dispatcher.task_status(namespace, project, task_id)

    def list(
        self, namespace: str, project: str, *, states: Sequence[TaskState], limit: int, offset: int
    ) -> dict[str, Any]:
        return self._dispatcher.task_list(namespace, project, states=states, limit=limit, offset=offset)

    async def watch(self, namespace: str, project: str, task_id: str) -> TaskStream:
        """Every change of `get`, until the task has ended."""
        return await self._events.open(namespace, project, task_id)

    def cancel(self, namespace: str, project: str, task_id: str) -> dict[str, Any]:
        return self._dispatcher.cancel(namespace, project, task_id)
