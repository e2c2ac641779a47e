"""What the stages do to a file, noted on its row, and the event that it gives when the file ends.

The event is written in the transaction that ends the file: a file that a killed worker had in hand and another one
finished has exactly one.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from state.events import NewEvent, Note, add_event, config_hash
from state.tables import TaskFileRow, TaskRow

FIRST_NOTE = "file_ingestion_start"
LAST_NOTE = "processing_complete"
LOGGED_STATES = frozenset({"processed", "failed"})
"""A file that is skipped as unchanged, or cancelled, was not processed: the task says so, the log does not."""


def log_end(session: Session, row: TaskFileRow, trace: Sequence[Note], now: float) -> None:
    """Write the event of a file that has just been given its last state."""
    task = session.get(TaskRow, row.task_id)
    if task is None or task.kind != "ingest" or row.state not in LOGGED_STATES:
        return
    place = {"dataset_name": task.dataset, "database": task.database, "strategy": task.strategy}
    notes = list(trace) or [_start(row, place, now)]
    counts = {"total_chunks": row.chunk_count, "stored_chunks": row.stored_count, "skipped_chunks": row.skipped_count}
    notes.append((LAST_NOTE, now, {"status": row.state, **counts}))
    event = NewEvent(
        namespace=task.namespace,
        project=task.project,
        event_type="rag_processing",
        started_at=notes[0][1],
        ended_at=now,
        notes=notes,
        error=row.error if row.state == "failed" else None,
        key=f"{task.id}:{row.id}",
        request_id=task.request_id,
        config_hash=config_hash(json.dumps(task.config, sort_keys=True).encode()),
        model=_embedder(notes),
        data={"filename": row.filename, "file_hash": row.file_hash, **place, **counts},
        metadata={"task_id": task.id},
    )
    add_event(session.connection(), event)


def _start(row: TaskFileRow, place: dict[str, Any], now: float) -> Note:
    """Of a file whose process died before it could note anything."""
    return FIRST_NOTE, now, {"filename": row.filename, "size_bytes": None, "content_type": None, **place}


def _embedder(notes: Sequence[Note]) -> str | None:
    found = [data.get("embedder") for name, _, data in notes if name == "embeddings_generated"]
    return str(found[-1]) if found and found[-1] else None
