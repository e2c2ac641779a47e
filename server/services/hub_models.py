"""The models of the local Hugging Face cache: what `provider=universal` means."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from anyio import to_thread

from rag.errors import BadRequestError, RagError, UpstreamError
from rag.model_cache import CachedModel, ModelCache
from rag.model_hub import DownloadPlan, Hub, quantizations, split_name
from server.schemas.model_cache import (
    CachedModelEntry,
    DiskUsage,
    DownloadCheck,
    ModelDeleted,
    QuantizationList,
    QuantizationOption,
)
from server.services.disk import LOW_SHARE, RESERVE_BYTES, disk_usage
from server.services.sizes import human_size

if TYPE_CHECKING:
    from server.sse import EventSource

STOP_TIMEOUT_S = 3.0
MAX_LINE_BYTES = 1_000_000

log = structlog.get_logger(__name__)


class HubModels:
    """Lists and deletes what is cached, and downloads more of it with `huggingface_hub`."""

    def __init__(self, cache: ModelCache, hub: Hub, *, system_path: Path) -> None:
        self.cache = cache
        self._hub = hub
        self._system_path = system_path

    async def list(self) -> list[CachedModelEntry]:
        return [_entry(model) for model in await to_thread.run_sync(self.cache.models)]

    async def delete(self, name: str) -> ModelDeleted:
        model_id, _ = split_name(name)
        deletion = await to_thread.run_sync(self.cache.delete, model_id)
        log.info("model.deleted", model=model_id, size_bytes=deletion.size_bytes)
        return ModelDeleted(
            model_name=model_id,
            revisions_deleted=deletion.revision_count,
            size_freed=deletion.size_bytes,
            path=str(deletion.path),
        )

    async def download(self, name: str) -> "EventSource":
        """The events of a download. What the hub refuses is an event, what this machine cannot take is raised.

        Raises:
            BadRequestError: no model has such a name, or the disk is too small.
        """
        model_id, _ = split_name(name)
        bundled = self.cache.bundled(model_id)
        if bundled is not None:
            local_dir = str(bundled.path)
            return Told([{"event": "complete", "model_name": model_id}, {"event": "done", "local_dir": local_dir}])
        try:
            plan = await to_thread.run_sync(self._hub.plan, name)
        except RagError as error:
            return Told([{"event": "error", "message": error.message}])
        check = await to_thread.run_sync(self._checked, plan)
        if not check.can_download:
            raise BadRequestError(check.message)
        request = {
            "model_id": plan.model_id,
            "files": [{"name": file.name, "size_bytes": file.size_bytes} for file in plan.files],
            "cache_dir": str(self.cache.folder),
            "endpoint": self._hub.endpoint,
            "token": self._hub.token,
        }
        return ChildDownload(request, _opening(plan, check))

    async def validate(self, name: str) -> DownloadCheck:
        model_id, _ = split_name(name)
        if self.cache.bundled(model_id) is not None:
            message = f"'{model_id}' is bundled: there is nothing to download"
            return self._check(can_download=True, warning=False, message=message, required_bytes=0)
        try:
            plan = await to_thread.run_sync(self._hub.plan, name)
        except UpstreamError as error:
            return self._check(can_download=False, warning=False, message=error.message, required_bytes=0)
        return await to_thread.run_sync(self._checked, plan)

    async def quantizations(self, name: str) -> QuantizationList:
        model_id, _ = split_name(name)
        found = quantizations(await to_thread.run_sync(self._hub.files, model_id))
        return QuantizationList(
            options=[
                QuantizationOption(
                    filename=each.files[0].name,
                    quantization=each.name,
                    size_bytes=each.size_bytes,
                    size_human=human_size(each.size_bytes),
                )
                for each in found
            ]
        )

    def _checked(self, plan: DownloadPlan) -> DownloadCheck:
        missing_bytes = self.cache.missing_bytes(plan)
        disk = disk_usage(self.cache.folder)
        left_bytes = disk.free_bytes - missing_bytes
        needs = f"'{plan.model_id}' needs {human_size(missing_bytes)}, {human_size(disk.free_bytes)} are free"
        if missing_bytes and left_bytes < RESERVE_BYTES:
            message = f"{needs}, of which {human_size(RESERVE_BYTES)} are kept: delete models, or move HF_HOME"
            return self._check(can_download=False, warning=False, message=message, required_bytes=missing_bytes)
        is_low = bool(missing_bytes) and left_bytes < disk.total_bytes * LOW_SHARE
        message = f"{needs}: little will be left" if is_low else needs
        return self._check(can_download=True, warning=is_low, message=message, required_bytes=missing_bytes)

    def _check(self, *, can_download: bool, warning: bool, message: str, required_bytes: int) -> DownloadCheck:
        cache, system = self.disks()
        return DownloadCheck(
            can_download=can_download,
            warning=warning,
            message=message,
            available_bytes=cache.free_bytes,
            required_bytes=required_bytes,
            cache_info=cache,
            system_info=system,
        )

    def disks(self) -> tuple[DiskUsage, DiskUsage]:
        """Of the model cache and of the data directory."""
        return disk_usage(self.cache.folder), disk_usage(self._system_path)


class Told:
    """Events that are known already."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = events

    async def __aiter__(self) -> AsyncIterator[str]:
        for event in self._events:
            yield json.dumps(event)

    async def aclose(self) -> None:
        """Nothing is under way."""


class ChildDownload:
    """The events of `rag.model_download`, which runs as a process and ends when nobody listens any more."""

    def __init__(self, request: dict[str, Any], opening: list[dict[str, Any]]) -> None:
        self._request = request
        self._opening = opening
        self._process: asyncio.subprocess.Process | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        for event in self._opening:
            yield json.dumps(event)
        pipe = asyncio.subprocess.PIPE
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "rag.model_download", stdin=pipe, stdout=pipe, limit=MAX_LINE_BYTES
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(self._request).encode())
        process.stdin.close()
        last = b""
        async for line in process.stdout:
            last = line
            yield line.decode().rstrip("\n")
        status = await process.wait()
        if b'"done"' not in last and b'"error"' not in last:
            yield json.dumps({"event": "error", "message": f"the download ended early, with status {status}"})

    async def aclose(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        log.info("model.download_stopped", model=self._request["model_id"])


def _opening(plan: DownloadPlan, check: DownloadCheck) -> list[dict[str, Any]]:
    init = {
        "event": "init",
        "model_id": plan.model_id,
        "quantization": plan.quantization,
        "selected_file": plan.files[0].name if plan.is_gguf else None,
        "total_size": plan.size_bytes,
        "is_gguf": plan.is_gguf,
        "file_count": len(plan.files),
    }
    return [{"event": "warning", "message": check.message}, init] if check.warning else [init]


def _entry(model: CachedModel) -> CachedModelEntry:
    return CachedModelEntry(
        id=model.model_id,
        model_id=model.model_id,
        name=model.model_id,
        provider="universal",
        created=int(model.modified_at_s),
        owned_by=model.model_id.partition("/")[0],
        size_bytes=model.size_bytes,
        size=model.size_bytes,
        size_human=human_size(model.size_bytes),
        last_modified=datetime.fromtimestamp(model.modified_at_s, UTC),
        revisions=[*model.revisions],
        path=str(model.path),
        bundled=model.is_bundled,
    )
