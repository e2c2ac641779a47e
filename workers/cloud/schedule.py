"""Syncs that nobody has to ask for: when an interval is over, and when a directory was changed."""

import time
from collections.abc import Mapping
from typing import Any

import structlog

from state.cloud.collections import KINDS, LEAST_INTERVAL_S, SYNC, Collections, collection_of
from state.cloud.objects import CloudObject, CloudObjects
from workers.cloud.directories import DIRECTORY_FILE
from workers.runtime import Runtime

DAY_S = 86_400.0

log = structlog.get_logger(__name__)


def start_due_syncs(runtime: Runtime) -> int:
    """Make the jobs that are due now; returns how many. Two sweeps at once make one job."""
    collections = Collections(runtime.database)
    due = [each for kind in KINDS for each in collections.all(kind) if _is_due(collections.objects, each)]
    made = sum(collections.request_sync(collection_of(each), scheduled=True)[1] for each in due)
    if made:
        runtime.queue.send_jobs("ask", made)
        log.info("sync.scheduled", jobs=made)
    return made


def _is_due(objects: CloudObjects, found: CloudObject) -> bool:
    sync: Mapping[str, Any] = found.body.get(SYNC) or {}
    last = float(sync.get("at") or found.created_at)
    interval = found.body.get("sync_interval")
    frequency = found.body.get("sync_frequency")
    if frequency == "daily":
        interval = DAY_S
    if interval:
        ended = float(found.body.get("last_synced_at") or 0)  # what takes longer than the interval gets a rest
        return bool(time.time() - max(last, ended) >= max(interval, LEAST_INTERVAL_S))
    return (
        frequency == "on_source_change" and objects.changed_at(DIRECTORY_FILE, found.body["source_directory_id"]) > last
    )
