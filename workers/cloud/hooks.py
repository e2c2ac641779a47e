"""Tells whoever waits for the end of a job. The job has ended by then: that nobody listens does not undo its work."""

from collections.abc import Mapping
from typing import Any

import orjson

from config.outside import post
from rag.errors import NotFoundError, RagError, UpstreamError
from rag.parsing.hooks import EVENTS
from state.cloud.blobs import CloudFiles
from state.cloud.jobs import CloudJob
from workers.cloud.parse import JSON, MARKDOWN, TEXT
from workers.cloud.registry import Done
from workers.runtime import Runtime

WORDS = {"completed": "SUCCESS", "partial": "PARTIAL_SUCCESS", "failed": "ERROR", "cancelled": "CANCELLED"}


def tell(runtime: Runtime, job: CloudJob) -> Done:
    """Send to each that was not told yet.

    Raises:
        UpstreamError: one of them cannot be reached now; those that were told are remembered.
    """
    try:
        ended = runtime.cloud_jobs.get(job.request["kind"], job.request["job_id"])
    except NotFoundError:
        return Done()  # deleted since: there is nothing to tell of
    told: list[int] = list(job.progress.get("told") or [])
    refused: list[str] = list(job.progress.get("refused") or [])
    silent: list[str] = []
    for place, hook in enumerate(ended.request["hooks"]):
        if place in told or (hook["events"] and EVENTS.get(ended.state) not in hook["events"]):
            continue
        try:
            post(hook["url"], _body(runtime, ended, hook), runtime.settings, headers=hook["headers"])
        except UpstreamError as problem:
            silent.append(problem.message)
            continue
        except RagError as problem:
            refused.append(problem.message)
        told.append(place)
        runtime.cloud_jobs.report(job, told=told, refused=refused)
    if silent:
        raise UpstreamError("; ".join(silent))
    return Done(None, "failed", "; ".join(refused)) if refused else Done()


def _body(runtime: Runtime, ended: CloudJob, hook: Mapping[str, Any]) -> bytes:
    error = ended.error if ended.state in ("failed", "cancelled") else None
    data: dict[str, Any] = {"job_id": ended.id, "status": WORDS[ended.state], "error": error}
    if hook["form"] == "result":
        return orjson.dumps(data | (_result(runtime, ended) if ended.state in ("completed", "partial") else {}))
    event = EVENTS[ended.state]
    data["user_metadata"] = (ended.request.get("configuration") or {}).get("user_metadata") or {}
    shown = orjson.dumps(data).decode() if hook["form"] == "string" else data
    return orjson.dumps({"event_id": f"{ended.id}:{event}", "event_type": event, "data": shown})


def _result(runtime: Runtime, ended: CloudJob) -> dict[str, Any]:
    """Raises NotFoundError where it was removed since."""
    folder = CloudFiles.of(runtime.settings, ended.project_id).root / "jobs" / ended.id
    try:
        return {
            "txt": (folder / TEXT).read_text("utf-8"),
            "md": (folder / MARKDOWN).read_text("utf-8"),
            "json": orjson.loads((folder / JSON).read_bytes())["pages"],
        }
    except FileNotFoundError as problem:
        raise NotFoundError(f"the result of parse job {ended.id!r} is gone; nothing was sent") from problem
