"""Wire models of tasks; what `meta` and `result` hold is fixed in `workers/progress.py`."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class TaskView(BaseModel):
    task_id: str
    state: str = Field(description="PENDING, STARTED, SUCCESS or FAILURE.")
    meta: dict[str, Any] | None = Field(None, description="Progress: current, total, progress, message, files …")
    result: dict[str, Any] | list[Any] | None = Field(
        None, description="Counts, and a [success, details] pair per file; for the id of one file its pair alone."
    )
    error: str | None = None
    traceback: str | None = None
    cancelled: bool = False


class TaskSummary(TaskView):
    """A task without what is said of each file."""

    created_at: datetime
    finished_at: datetime | None = None


class TaskList(BaseModel):
    total: int = Field(description="How many tasks there are in these states, on all pages.")
    tasks: list[TaskSummary]
    limit: int
    offset: int


class RevertError(BaseModel):
    file_hash: str
    error: str


class TaskCancelled(BaseModel):
    message: str
    task_id: str
    cancelled: bool
    pending_tasks_cancelled: int = 0
    running_tasks_at_cancel: int = 0
    files_reverted: int = 0
    files_failed_to_revert: int = 0
    errors: list[RevertError] | None = None
    already_completed: bool = False
    already_cancelled: bool = False
