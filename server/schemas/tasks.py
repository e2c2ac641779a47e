"""Wire models of tasks; what `meta` and `result` hold is fixed in `workers/progress.py`."""

from typing import Any

from pydantic import BaseModel, Field


class TaskView(BaseModel):
    task_id: str
    state: str = Field(description="PENDING, STARTED, SUCCESS or FAILURE.")
    meta: dict[str, Any] | None = Field(None, description="Progress: current, total, progress, message, files …")
    result: dict[str, Any] | None = Field(None, description="Counts, and a [success, details] pair per file.")
    error: str | None = None
    traceback: str | None = None
    cancelled: bool = False


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
