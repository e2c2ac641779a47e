"""What the model cache routes do, whoever keeps the models."""

from collections.abc import AsyncIterator
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


class ModelCacheService:
    def __init__(self, hub: HubModels, ollama: OllamaModels) -> None:
        self._hub = hub
        self._sources: dict[str, ModelSource] = {"universal": hub, "ollama": ollama}
        self._downloads: set[Counted] = set()

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
        return Counted(await source.download(name), self._downloads)

    async def validate(self, name: str) -> DownloadCheck:
        return await self._hub.validate(name)

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
    """Events that count as a download from the first to the last."""

    def __init__(self, events: "EventSource", active: "set[Counted]") -> None:
        self._events = events
        self._active = active

    async def __aiter__(self) -> AsyncIterator[str]:
        self._active.add(self)
        try:
            async for event in self._events:
                yield event
        finally:
            self._active.discard(self)

    async def aclose(self) -> None:
        await self._events.aclose()
        self._active.discard(self)
