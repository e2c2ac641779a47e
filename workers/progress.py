"""The shape of task state: the states a file goes through, and what a client that polls a task is told.

queued → parsing → parsed → embedding → processed
Any of them may end in skipped, failed or cancelled instead.
"""

from collections.abc import Sequence
from typing import Any

from state.tables import TaskFileRow, TaskRow
from state.task_states import FINAL_STATES

_WIRE_STATES = {
    "queued": "pending",
    "parsed": "processing",
    "parsing": "processing",
    "embedding": "processing",
    "processed": "success",
    "skipped": "success",
    "failed": "failure",
    "cancelled": "failure",
}


def task_body(task: TaskRow, files: Sequence[TaskFileRow]) -> dict[str, Any]:
    """The body of `GET …/tasks/{task_id}`; `files` are all files of the task in the order of `position`."""
    state, error = _state(task, files)
    is_final = state in ("SUCCESS", "FAILURE")
    return {
        "task_id": task.id,
        "state": state,
        "meta": _meta(task, files),
        "result": _result(task, files) if is_final else None,
        "error": error,
        "traceback": None,
        "cancelled": task.cancelled_at is not None,
    }


def _state(task: TaskRow, files: Sequence[TaskFileRow]) -> tuple[str, str | None]:
    if not all(file.state in FINAL_STATES for file in files):
        is_started = any(file.state != "queued" for file in files)
        return ("STARTED" if is_started else "PENDING"), None
    if task.cancelled_at is not None:
        return "FAILURE", "Task cancelled"
    failed_count = sum(file.state == "failed" for file in files)
    if failed_count:
        return "FAILURE", f"{failed_count} of {len(files)} tasks failed"
    return "SUCCESS", None


def _meta(task: TaskRow, files: Sequence[TaskFileRow]) -> dict[str, Any]:
    done = sum(file.state in FINAL_STATES for file in files)
    total = len(files)
    return {
        "current": done,
        "total": total,
        "progress": 100 if total == 0 else int(100 * sum(map(_share_done, files)) / total),
        "message": f"{done} of {total} file(s) done",
        "dataset": task.dataset,
        "files": [_file_meta(file) for file in files],
        "stored_count": sum(file.stored_count for file in files),
        "skipped_count": sum(file.skipped_count for file in files),
    }


def _share_done(file: TaskFileRow) -> float:
    if file.state in FINAL_STATES:
        return 1.0
    if file.state == "parsing" and file.units_total:
        return 0.3 * file.units_done / file.units_total
    if file.state == "embedding" and file.chunk_count:
        return 0.3 + 0.7 * file.stored_count / file.chunk_count
    return 0.3 if file.state in ("parsed", "embedding") else 0.0


def _file_meta(file: TaskFileRow) -> dict[str, Any]:
    return {
        "index": file.position,
        "task_id": f"{file.task_id}-{file.position}",
        "state": _WIRE_STATES[file.state],
        "stage": file.state,
        "filename": file.filename,
        "file_hash": file.file_hash,
        "error": file.error,
        "chunks": file.chunk_count,
        "stored_count": file.stored_count,
        "skipped_count": file.skipped_count,
        "units_done": file.units_done,
        "units_total": file.units_total,
    }


def _result(task: TaskRow, files: Sequence[TaskFileRow]) -> dict[str, Any]:
    def count(state: str) -> int:
        return sum(file.state == state for file in files)

    return {
        "message": _summary(files),
        "namespace": task.namespace,
        "project": task.project,
        "dataset": task.dataset,
        "strategy": task.strategy,
        "database": task.database,
        "files": [file.filename for file in files],
        "total_files": len(files),
        "processed_files": count("processed"),
        "skipped_files": count("skipped"),
        "failed_files": count("failed"),
        "cancelled_files": count("cancelled"),
        "stored_count": sum(file.stored_count for file in files),
        "skipped_count": sum(file.skipped_count for file in files),
        "details": [[file.state in ("processed", "skipped"), _details(file)] for file in files],
    }


def _summary(files: Sequence[TaskFileRow]) -> str:
    if not files:
        return "The dataset has no files to process"
    states = [file.state for file in files]
    parts = [f"{states.count(state)} {state}" for state in sorted(FINAL_STATES) if state in states]
    return f"{len(files)} file(s): {', '.join(parts)}"


def _details(file: TaskFileRow) -> dict[str, Any]:
    kept = dict(file.details or {})
    result = {
        "status": file.state,
        "filename": file.filename,
        "document_count": file.chunk_count,
        "stored_count": file.stored_count,
        "skipped_count": file.skipped_count,
        "document_ids": [],
        "parsers_used": [kept["parser"]] if kept.get("parser") else [],
        "extractors_applied": kept.get("extractors", []),
        "embedder": kept.get("embedder"),
        "chunk_size": kept.get("chunk_size"),
        "reason": file.reason,
    }
    return {
        "filename": file.filename,
        "file_hash": file.file_hash,
        "status": file.state,
        "parser": kept.get("parser"),
        "extractors": kept.get("extractors", []),
        "chunks": file.chunk_count,
        "chunk_size": kept.get("chunk_size"),
        "embedder": kept.get("embedder"),
        "error": file.error,
        "reason": file.reason,
        "stored_count": file.stored_count,
        "skipped_count": file.skipped_count,
        "page_count": kept.get("page_count"),
        "pages_without_text": kept.get("pages_without_text", []),
        "warnings": kept.get("warnings", []),
        "result": result,
    }
