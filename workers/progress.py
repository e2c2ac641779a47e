"""The shape of task state: the states a file goes through, and what a client that polls a task is told.

queued → parsing → parsed → embedding → processed
Any of them may end in skipped, failed or cancelled instead.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from state.tables import TaskFileRow, TaskRow
from state.task_lists import PARSED_SHARE, Tally
from state.task_states import DONE_STATES, FINAL_STATES, REVERTED

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
_FILE_STATES = {
    "queued": "PENDING",
    "processed": "SUCCESS",
    "skipped": "SUCCESS",
    "failed": "FAILURE",
    "cancelled": "FAILURE",
}
"""The others are STARTED."""


def task_body(task: TaskRow, files: Sequence[TaskFileRow]) -> dict[str, Any]:
    """The body of `GET …/tasks/{task_id}`; `files` are all files of the task in the order of `position`."""
    state, error = _told(Counter(file.state for file in files), is_cancelled=task.cancelled_at is not None)
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


def file_body(task: TaskRow, file: TaskFileRow) -> dict[str, Any]:
    """The same for one file under the id that `meta.files` gives it; `result` is the file's pair."""
    is_cancelled = task.cancelled_at is not None and file.state == "cancelled"
    state = _FILE_STATES.get(file.state, "STARTED")
    return {
        "task_id": _file_id(file),
        "state": state,
        "meta": _progress(task, Tally({file.state: 1}, _share_done(file))) | _file_meta(file),
        "result": _pair(file) if file.state in FINAL_STATES else None,
        "error": file.error if state == "FAILURE" else None,
        "traceback": None,
        "cancelled": is_cancelled,
    }


def task_summary(task: TaskRow, tally: Tally) -> dict[str, Any]:
    """The same without what is said of each file, as a list of tasks shows it."""
    state, error = _told(tally.counts, is_cancelled=task.cancelled_at is not None)
    counts = {"stored_count": tally.stored_count, "skipped_count": tally.skipped_count}
    return {
        "task_id": task.id,
        "state": state,
        "meta": _progress(task, tally) | counts,
        "result": _counts(task, tally.counts) | counts if state in ("SUCCESS", "FAILURE") else None,
        "error": error,
        "traceback": None,
        "cancelled": task.cancelled_at is not None,
        "created_at": moment(task.created_at),
        "finished_at": moment(task.finished_at),
    }


def moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _told(counts: Mapping[str, int], *, is_cancelled: bool) -> tuple[str, str | None]:
    """(state, error) of a task with so many files in each state."""
    if not FINAL_STATES.issuperset(state for state, count in counts.items() if count):
        is_started = any(count for state, count in counts.items() if state != "queued")
        return ("STARTED" if is_started else "PENDING"), None
    if is_cancelled:
        return "FAILURE", "Task cancelled"
    total, problems = sum(counts.values()), []
    if counts.get("failed"):
        problems.append(f"{counts['failed']} of {total} tasks failed")
    if counts.get("cancelled"):
        problems.append(f"{counts['cancelled']} of {total} file(s) were removed before they were processed")
    return ("FAILURE", "; ".join(problems)) if problems else ("SUCCESS", None)


def _meta(task: TaskRow, files: Sequence[TaskFileRow]) -> dict[str, Any]:
    counts = Counter(file.state for file in files)
    reverted_count = sum(file.reason == REVERTED for file in files)
    return {
        **_progress(task, Tally(counts, sum(map(_share_done, files)), reverted_count=reverted_count)),
        "files": [_file_meta(file) for file in files],
        "stored_count": sum(file.stored_count for file in files),
        "skipped_count": sum(file.skipped_count for file in files),
    }


def _progress(task: TaskRow, tally: Tally) -> dict[str, Any]:
    """A file that was cancelled, or removed meanwhile, is not done."""
    done = sum(tally.counts.get(state, 0) for state in DONE_STATES)
    return {
        "current": done,
        "total": tally.total,
        "progress": 100 if tally.total == 0 else int(100 * tally.share_done / tally.total),
        "message": _message(task, tally, done),
        "dataset": task.dataset,
    }


def _message(task: TaskRow, tally: Tally, done: int) -> str:
    message, cancelled = f"{done} of {tally.total} file(s) done", tally.counts.get("cancelled", 0)
    if task.cancelled_at is not None:
        return f"cancelled: {message}" + (f", {tally.reverted_count} reverted" if tally.reverted_count else "")
    return message + (f", {cancelled} removed meanwhile" if cancelled else "")


def _share_done(file: TaskFileRow) -> float:
    if file.state in DONE_STATES:
        return 1.0
    if file.state == "parsing" and file.units_total:
        return PARSED_SHARE * file.units_done / file.units_total
    if file.state == "embedding" and file.chunk_count:
        return PARSED_SHARE + (1 - PARSED_SHARE) * file.stored_count / file.chunk_count
    return PARSED_SHARE if file.state in ("parsed", "embedding") else 0.0


def _file_id(file: TaskFileRow) -> str:
    return f"{file.task_id}-{file.position}"


def _pair(file: TaskFileRow) -> list[Any]:
    return [file.state in ("processed", "skipped"), _details(file)]


def _file_meta(file: TaskFileRow) -> dict[str, Any]:
    return {
        "index": file.position,
        "task_id": _file_id(file),
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
    return {
        **_counts(task, Counter(file.state for file in files)),
        "files": [file.filename for file in files],
        "stored_count": sum(file.stored_count for file in files),
        "skipped_count": sum(file.skipped_count for file in files),
        "details": [_pair(file) for file in files],
    }


def _counts(task: TaskRow, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "message": _summary(counts),
        "namespace": task.namespace,
        "project": task.project,
        "dataset": task.dataset,
        "strategy": task.strategy,
        "database": task.database,
        "total_files": sum(counts.values()),
        **{f"{state}_files": counts.get(state, 0) for state in ("processed", "skipped", "failed", "cancelled")},
    }


def _summary(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return "The dataset has no files to process"
    parts = [f"{counts[state]} {state}" for state in sorted(FINAL_STATES) if counts.get(state)]
    return f"{total} file(s): {', '.join(parts)}"


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
