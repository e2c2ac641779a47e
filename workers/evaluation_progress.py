"""What a client that polls an evaluation is told: the same keys as of any task, with the report as `result`."""

from collections.abc import Sequence
from typing import Any

from state.evaluations import KIND
from state.tables import TaskFileRow, TaskRow
from state.task_lists import PARSED_SHARE, Tally
from workers.progress import moment

_STATES = {"parsed": "PENDING", "processed": "SUCCESS", "failed": "FAILURE", "cancelled": "FAILURE"}
"""The other one, `embedding`, is STARTED."""


def evaluation_body(task: TaskRow, files: Sequence[TaskFileRow], result: dict[str, Any] | None) -> dict[str, Any]:
    """The body of `GET …/tasks/{task_id}`; an evaluation has one row."""
    row = files[0]
    state = _STATES.get(row.state, "STARTED")
    is_done = state == "SUCCESS"
    total = row.chunk_count
    return {
        "task_id": task.id,
        "state": state,
        "meta": {
            "kind": KIND,
            "current": row.stored_count,
            "total": total,
            "progress": 100 if is_done else int(100 * row.stored_count / total) if total else 0,
            "message": _message(task, row),
            "database": task.database,
            "dataset": None,
        },
        "result": result if is_done else None,
        "error": row.error if state == "FAILURE" else None,
        "traceback": None,
        "cancelled": task.cancelled_at is not None,
    }


def evaluation_summary(task: TaskRow, tally: Tally) -> dict[str, Any]:
    """The same without the report, as a list of tasks shows it."""
    row_state = next(iter(tally.counts), "parsed")
    state = _STATES.get(row_state, "STARTED")
    share = max(0.0, (tally.share_done - PARSED_SHARE) / (1 - PARSED_SHARE))
    is_ended = state in ("SUCCESS", "FAILURE")
    return {
        "task_id": task.id,
        "state": state,
        "meta": {
            "kind": KIND,
            "current": int(state == "SUCCESS"),
            "total": 1,
            "progress": 100 if state == "SUCCESS" else int(100 * share),
            "message": f"evaluation of database '{task.database}'",
            "database": task.database,
            "dataset": None,
        },
        "result": None,
        "error": "Task cancelled" if task.cancelled_at is not None and is_ended else _failed(state),
        "traceback": None,
        "cancelled": task.cancelled_at is not None,
        "created_at": moment(task.created_at),
        "finished_at": moment(task.finished_at),
    }


def _failed(state: str) -> str | None:
    return "the evaluation failed; the task itself says why" if state == "FAILURE" else None


def _message(task: TaskRow, row: TaskFileRow) -> str:
    if task.cancelled_at is not None:
        return "cancelled"
    if row.state == "parsed":
        return f"waits to be tried again: {row.error}" if row.error else "waits for the embed worker"
    if row.state == "embedding":
        return str((row.details or {}).get("message") or "begins")
    return "done" if row.state == "processed" else str(row.error)
