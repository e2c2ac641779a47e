"""What a client that polls a rebuild or a migration is told: the same keys as of any task."""

from collections.abc import Sequence
from typing import Any

from state.tables import TaskFileRow, TaskRow
from state.task_lists import PARSED_SHARE, Tally
from state.upkeep_tasks import KIND
from workers.progress import moment

_STATES = {"processed": "SUCCESS", "failed": "FAILURE", "cancelled": "FAILURE"}
"""The others are STARTED: what waits for the second stage counts so in every list."""


def upkeep_body(task: TaskRow, files: Sequence[TaskFileRow]) -> dict[str, Any]:
    """The body of `GET …/tasks/{task_id}`."""
    row = files[0]
    state = _STATES.get(row.state, "STARTED")
    share = row.stored_count / row.chunk_count if row.chunk_count else 0.0
    return {
        **_head(task, state, 1.0 if state == "SUCCESS" else share, row.filename),
        "result": (row.details or {}).get("result") if state == "SUCCESS" else None,
        "error": row.error if state == "FAILURE" else None,
    }


def upkeep_summary(task: TaskRow, tally: Tally) -> dict[str, Any]:
    """The same without the result, as a list of tasks shows it."""
    state = _STATES.get(next(iter(tally.counts), "parsed"), "STARTED")
    share = max(0.0, (tally.share_done - PARSED_SHARE) / (1 - PARSED_SHARE))
    failed = "Task cancelled" if task.cancelled_at is not None else "it failed; the task itself says why"
    return {
        **_head(task, state, 1.0 if state == "SUCCESS" else share, f"upkeep of database '{task.database}'"),
        "result": None,
        "error": failed if state == "FAILURE" else None,
        "created_at": moment(task.created_at),
        "finished_at": moment(task.finished_at),
    }


def _head(task: TaskRow, state: str, share: float, message: str) -> dict[str, Any]:
    percent = int(100 * share)
    return {
        "task_id": task.id,
        "state": state,
        "meta": {
            "kind": KIND,
            "current": percent,
            "total": 100,
            "progress": percent,
            "message": message,
            "database": task.database,
            "dataset": None,
        },
        "traceback": None,
        "cancelled": task.cancelled_at is not None,
    }
