"""Work on a whole database in the worker: rebuilding it, moving it to another store. No embedder is asked.

A process that dies loses the lease, and another one begins again: what was copied is not copied twice.
"""

import time
from typing import Any

from config.loader import ProjectStore
from rag.errors import CancelledTaskError
from state.task_rows import ClaimedFile
from state.upkeep_tasks import UpkeepTasks
from workers.migration import Duplication, Migration
from workers.runtime import Runtime
from workers.stage_frame import require_wanted

REPORT_INTERVAL_S = 0.5


def run_upkeep(runtime: Runtime, claimed: ClaimedFile) -> None:
    work: dict[str, Any] = claimed.details["work"]
    started, progress = time.monotonic(), Progress(runtime, claimed)
    if work["action"] == "rebuild":
        result = _rebuild(runtime, claimed, progress)
    elif "new_name" in work:
        result = Duplication(runtime, claimed, progress.at).run()
    else:
        result = Migration(runtime, claimed, progress.at).run()
    result |= {"action": work["action"], "duration_seconds": round(time.monotonic() - started, 3)}
    if not UpkeepTasks(runtime.database).finish(claimed.id, claimed.owner, result):
        raise CancelledTaskError("Task cancelled")


class Progress:
    """Writes the number of chunks done now and then, and finds out each time that the task was cancelled."""

    def __init__(self, runtime: Runtime, claimed: ClaimedFile) -> None:
        self._runtime, self._claimed = runtime, claimed
        self._last = time.monotonic() - REPORT_INTERVAL_S

    def at(self, done: int) -> None:
        """Raises CancelledTaskError."""
        require_wanted(self._runtime, self._claimed)
        if time.monotonic() - self._last < REPORT_INTERVAL_S:
            return
        self._last = time.monotonic()
        self._runtime.tasks.report(self._claimed.id, self._claimed.owner, stored_count=done)


def _rebuild(runtime: Runtime, claimed: ClaimedFile, progress: Progress) -> dict[str, Any]:
    config = ProjectStore(runtime.settings).load(claimed.namespace, claimed.project)
    database = config.database(claimed.database)
    store = runtime.assembly.store_to_delete_from(claimed.namespace, claimed.project, database)
    return {"database": database.name, "type": database.type, "chunks": store.upkeep.rebuild(progress.at)}
