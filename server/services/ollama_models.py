"""The models that Ollama keeps: what `provider=ollama` means."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from rag.errors import NotFoundError, RagError, UpstreamError
from rag.model_download import Progress
from server.schemas.model_cache import CachedModelEntry, DiskUsage, DownloadCheck, ModelDeleted
from server.services.sizes import human_size

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from server.sse import EventSource

TIMEOUT = httpx.Timeout(10.0, connect=2.0)
PULL_TIMEOUT = httpx.Timeout(600.0, connect=2.0)
"""Ollama is silent while it verifies what it fetched."""
BAD_ANSWERS = (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError)


class OllamaModels:
    """Ollama's own API behind the routes of the model cache.

    Args:
        disks: of the model cache and of the data directory; Ollama may keep its models on another.
    """

    def __init__(self, url: str, client: httpx.AsyncClient, disks: Callable[[], tuple[DiskUsage, DiskUsage]]) -> None:
        self._url = url
        self._client = client
        self._disks = disks

    async def list(self) -> list[CachedModelEntry]:
        answer = await self._asked("GET", "/api/tags")
        try:
            return [_entry(model) for model in answer.json().get("models") or []]
        except BAD_ANSWERS as error:
            raise UpstreamError(f"what answers at {self._url} is not Ollama; set OLLAMA_HOST") from error

    async def delete(self, name: str) -> ModelDeleted:
        sizes = {model.id: model.size_bytes for model in await self.list()}
        full_name = name if name in sizes or ":" in name else f"{name}:latest"
        answer = await self._asked("DELETE", "/api/delete", {"model": full_name})
        if answer.status_code == httpx.codes.NOT_FOUND:
            known = ", ".join(sizes) or "none"
            raise NotFoundError(f"Ollama has no model '{name}'. Available: {known}", code="ModelNotFound")
        self._require_success(answer)
        return ModelDeleted(model_name=full_name, revisions_deleted=1, size_freed=sizes.get(full_name, 0), path="")

    async def validate(self, name: str) -> DownloadCheck:
        """What a pull would do; how much it needs is known only when it has begun."""
        try:
            known = {model.id for model in await self.list()}
        except UpstreamError as error:
            return self._check(error.message, can_download=False)
        if not known.isdisjoint((name, f"{name}:latest")):
            return self._check(f"Ollama has '{name}'; a pull fetches what changed since", can_download=True)
        message = f"Ollama would pull '{name}' from its registry; it tells the size, and whether it fits, as it begins"
        return self._check(message, can_download=True)

    def _check(self, message: str, *, can_download: bool) -> DownloadCheck:
        cache, system = self._disks()
        return DownloadCheck(
            can_download=can_download,
            warning=False,
            message=message,
            available_bytes=cache.free_bytes,
            required_bytes=0,
            cache_info=cache,
            system_info=system,
        )

    async def download(self, name: str) -> "EventSource":
        return Pull(self._pulled(name))

    async def _pulled(self, name: str) -> "AsyncGenerator[dict[str, Any], None]":
        """Ollama's progress, as the events of a download. When this is closed, Ollama stops."""
        reader = _PullReader(name)
        yield reader.opening()
        try:
            request = {"model": name, "stream": True}
            async with self._client.stream(
                "POST", f"{self._url}/api/pull", json=request, timeout=PULL_TIMEOUT
            ) as answer:
                if not answer.is_success:
                    await answer.aread()
                    self._require_success(answer)
                async for line in answer.aiter_lines():
                    for event in reader.read(json.loads(line)) if line.strip() else ():
                        yield event
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamError(f"Ollama does not answer at {self._url} ({type(error).__name__})") from error
        except BAD_ANSWERS as error:
            raise UpstreamError(f"what answers at {self._url} is not Ollama; set OLLAMA_HOST") from error
        if not reader.is_complete:
            raise UpstreamError(f"Ollama ended the download of '{name}' before it was complete")

    async def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            answer = await self._client.request(method, f"{self._url}{path}", json=body, timeout=TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamError(
                f"Ollama does not answer at {self._url} ({type(error).__name__}): start it, or set OLLAMA_HOST"
            ) from error
        if method == "GET":
            self._require_success(answer)
        return answer

    def _require_success(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            raise UpstreamError(f"Ollama refused with status {answer.status_code}: {_reason(answer)}")


class Pull:
    """A pull as texts; a failure on the way is an event."""

    def __init__(self, events: "AsyncGenerator[dict[str, Any], None]") -> None:
        self._events = events

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    yield json.dumps(event)
        except RagError as error:
            yield json.dumps({"event": "error", "message": error.message})

    async def aclose(self) -> None:
        await self._events.aclose()


class _PullReader:
    """Turns Ollama's records, one layer after another, into events; a layer is a file."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._layers: dict[str, Progress] = {}
        self._events: list[dict[str, Any]] = []
        self._ended: set[str] = set()
        self.is_complete = False

    def opening(self) -> dict[str, Any]:
        return {
            "event": "init",
            "model_id": self._name,
            "quantization": None,
            "selected_file": self._name,
            "total_size": 0,
            "is_gguf": True,
            "file_count": 0,
        }

    def read(self, record: dict[str, Any]) -> list[dict[str, Any]]:
        if record.get("error"):
            raise UpstreamError(f"Ollama cannot pull '{self._name}': {record['error']}")
        if record.get("status") == "success":
            self.is_complete = True
            return [{"event": "complete", "model_name": self._name}, {"event": "done", "local_dir": ""}]
        digest = record.get("digest")
        if not digest or digest in self._ended:
            return []
        return self._layer(str(digest), int(record.get("total") or 0), int(record.get("completed") or 0))

    def _layer(self, digest: str, total: int, done: int) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        progress = self._layers.get(digest)
        if progress is None:
            progress = self._layers[digest] = Progress(self._events.append, digest, total)
            events.append({"event": "start", "file": digest, "total": total, "downloaded": done})
        progress.add(done - progress.downloaded)
        is_whole = bool(total) and done >= total
        if is_whole:
            self._ended.add(digest)
            progress.tell()
            self._events.append({"event": "end", "file": digest, "downloaded": done, "total": total})
        told, self._events[:] = [*events, *self._events], []
        return told


def _entry(model: dict[str, Any]) -> CachedModelEntry:
    name, size = str(model["name"]), int(model.get("size") or 0)
    modified_at = _time(str(model.get("modified_at") or ""))
    return CachedModelEntry(
        id=name,
        model_id=name,
        name=name,
        provider="ollama",
        created=int(modified_at.timestamp()),
        owned_by="ollama",
        size_bytes=size,
        size=size,
        size_human=human_size(size),
        last_modified=modified_at,
        revisions=[str(model.get("digest") or "")[:12]],
        path="",
    )


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except BAD_ANSWERS:
        return answer.reason_phrase
