"""What the model cache routes do, whoever keeps the models."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Protocol

from rag.errors import BadRequestError, OverloadedError
from server.schemas.model_cache import (
    CachedModelEntry,
    DiskUsage,
    DownloadCheck,
    ModelDeleted,
    QuantizationList,
)
from server.services.hub_models import HubModels
from server.services.ollama_models import OllamaModels

if TYPE_CHECKING:
    from server.sse import EventSource

MAX_DOWNLOADS = 4
"""Of one process, at the same time."""


class ModelSource(Protocol):
    async def list(self) -> list[CachedModelEntry]: ...

    async def download(self, name: str) -> "EventSource": ...

    async def delete(self, name: str) -> ModelDeleted: ...

    async def validate(self, name: str) -> DownloadCheck: ...


class ModelCacheService:
    def __init__(self, hub: HubModels, ollama: OllamaModels) -> None:
        self._hub = hub
        self._sources: dict[str, ModelSource] = {"universal": hub, "ollama": ollama}
        self._downloads: set[object] = set()

    async def list(self, provider: str) -> list[CachedModelEntry]:
        return await self._source(provider).list()

    async def delete(self, provider: str, name: str) -> ModelDeleted:
        return await self._source(provider).delete(name)

    async def download(self, provider: str, name: str) -> "EventSource":
        """The events of a download; closing them stops it.

        Raises:
            BadRequestError: the provider keeps no models here, the name is none, or the disk is too small.
            OverloadedError: too many downloads are under way.
        """
        source = self._source(provider)
        if len(self._downloads) >= MAX_DOWNLOADS:
            raise OverloadedError(f"{MAX_DOWNLOADS} downloads are under way; try again when one has ended")
        slot = object()
        self._downloads.add(slot)  # before the wait: others ask meanwhile
        try:
            return Counted(await source.download(name), lambda: self._downloads.discard(slot))
        except BaseException:
            self._downloads.discard(slot)
            raise

    async def validate(self, provider: str, name: str) -> DownloadCheck:
        """
        Raises:
            BadRequestError: the provider keeps no models here, or the name is none.
        """
        return await self._source(provider).validate(name)

    async def quantizations(self, name: str) -> QuantizationList:
        return await self._hub.quantizations(name)

    def disks(self) -> tuple[DiskUsage, DiskUsage]:
        return self._hub.disks()

    def _source(self, provider: str) -> ModelSource:
        if provider not in self._sources:
            known = ", ".join(self._sources)
            raise BadRequestError(f"Provider '{provider}' keeps no models on this machine; choose one of: {known}")
        return self._sources[provider]


class Counted:
    """Events that count as a download until the last of them, or until they are closed."""

    def __init__(self, events: "EventSource", release: Callable[[], None]) -> None:
        self._events = events
        self._release = release

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            async for event in self._events:
                yield event
        finally:
            self._release()

    async def aclose(self) -> None:
        try:
            await self._events.aclose()
        finally:
            self._release()
