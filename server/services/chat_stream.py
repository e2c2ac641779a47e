"""A streamed answer whose beginning is fetched before the headers are sent, and which always gets closed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

import orjson

from rag.errors import RagError
from rag.llms.base import Delta
from server.services.chat_wire import ChunkWriter, Event, Opening, ServerCalls, error_event

Item = TypeVar("Item")
DONE = "[DONE]"


class Ahead(Generic[Item]):
    """Iterates a generator whose first item was asked for beforehand."""

    def __init__(self, source: AsyncGenerator[Item, None]) -> None:
        self._source = source
        self._first: asyncio.Task[Item] | None = asyncio.create_task(_next(source))

    async def wait(self, timeout_s: float) -> None:
        """Wait for the first item, at most so long; raises what the source raises in this time."""
        assert self._first is not None
        try:
            await asyncio.wait({self._first}, timeout=timeout_s)
            if self._first.done():
                self._first.result()
        except BaseException:
            await self.aclose()
            raise

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        if self._first is None:
            return await anext(self._source)
        # The task stays in reach of `aclose` while it is awaited: a cancelled wait must not lose it.
        item = await self._first
        self._first = None
        return item

    async def aclose(self) -> None:
        """Stop the source, wherever it is; may be called at any time and twice."""
        first, self._first = self._first, None
        if first is not None:
            first.cancel()
            await asyncio.wait({first})
            with suppress(asyncio.CancelledError, Exception):  # whoever waited for it has seen it, or has left
                first.result()
        await self._source.aclose()


async def _next(source: AsyncGenerator[Item, None]) -> Item:
    return await anext(source)


class ChatStream:
    """The events of one answer as JSON texts, `[DONE]` at the end; a failure on the way is an event, too."""

    def __init__(self, answer: Ahead[Opening | Delta | ServerCalls], writer: ChunkWriter) -> None:
        self._answer = answer
        self._writer = writer

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            async for item in self._answer:
                for event in self._events(item):
                    yield orjson.dumps(event).decode()
        except RagError as error:
            yield orjson.dumps(error_event(error.message, error.code)).decode()
        yield DONE

    def _events(self, item: Opening | Delta | ServerCalls) -> Iterator[Event]:
        match item:
            case Opening():
                return self._writer.open(item)
            case ServerCalls():
                return self._writer.show(item)
            case _:
                return self._writer.write(item)

    async def aclose(self) -> None:
        await self._answer.aclose()
