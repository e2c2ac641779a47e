"""The end of an ingest, as the index or the pipeline behind it sees it."""

from collections.abc import Sequence

from state.cloud.collections import Collections, collection_of
from state.tables import TaskFileRow, TaskRow
from workers.runtime import Runtime

REMOVED = "removed"
"""Reason of a file that was taken out while it waited."""


def ingest_ended(runtime: Runtime, task: TaskRow, rows: Sequence[TaskFileRow]) -> None:
    """Keep what became of its files: from now on the collection is in step, unless more is under way. Can run twice."""
    collections = Collections(runtime.database)
    found = collections.behind(task.project, task.dataset)
    if found is None or task.id in (found.body.get("recorded") or ()):
        return
    errors = {row.file_hash: row.error or "" for row in rows if row.state == "failed"}
    was_cancelled = any(row.state == "cancelled" and row.reason != REMOVED for row in rows)
    collections.record(collection_of(found), errors, task.id, was_cancelled=was_cancelled)
