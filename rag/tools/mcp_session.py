"""One open MCP session. It lives in a task of its own: what the package opens must be closed by the task that did."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self, cast

import anyio
from mcp.client import Client, Transport
from mcp.client._transport import ReadStream, TransportStreams
from mcp.shared.message import SessionMessage

IDLE_S = 30 * 60
"""A session that nobody used for so long is closed: a project that was changed or deleted leaves no process behind."""


class McpSession:
    """Opens at once and stays open until it breaks, is idle for `idle_s`, or is closed.

    Args:
        transport: not yet entered.
        open_timeout_s: for starting and greeting.
    """

    def __init__(self, transport: Transport, *, open_timeout_s: float, idle_s: float | None = None) -> None:
        self.is_over = False
        self.failed_at: float | None = None
        self._client = Client(_watched(transport, self._note_end))
        self._open_timeout_s = open_timeout_s
        self._idle_s = IDLE_S if idle_s is None else idle_s
        self._use_count = 0
        self._used_at = time.monotonic()
        self._ended = asyncio.Event()
        self._opened: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live())

    async def opened(self) -> Exception | None:
        """Wait until it is open; what it failed with otherwise. Whoever waits may leave without stopping it."""
        return await asyncio.shield(self._opened)

    @contextmanager
    def in_use(self) -> Iterator[Client]:
        self._use_count += 1
        try:
            yield self._client
        finally:
            self._use_count -= 1
            self._used_at = time.monotonic()

    def retire(self) -> None:
        """End it without waiting: the next use opens another one."""
        self._note_end()

    async def aclose(self) -> None:
        self._note_end()
        await asyncio.shield(self._task)

    async def _live(self) -> None:
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._open_timeout_s) as scope:
                async with self._client:
                    scope.deadline = float("inf")
                    self._used_at = time.monotonic()
                    self._opened.set_result(None)
                    await self._until_the_end()
            if not self._opened.done():
                self._fail(TimeoutError(f"it was not ready within {self._open_timeout_s:g} s"))
        except Exception as error:  # noqa: BLE001  # the outermost of this task: whoever waits is told
            self._fail(error)
        finally:
            self._note_end()
            if not self._opened.done():  # the loop is closing
                self._opened.cancel()

    async def _until_the_end(self) -> None:
        while not self._ended.is_set():
            left_s = self._idle_s if self._use_count else self._used_at + self._idle_s - time.monotonic()
            if left_s <= 0:
                self._note_end()
                return
            with anyio.move_on_after(left_s):
                await self._ended.wait()

    def _fail(self, error: Exception) -> None:
        if not self._opened.done():
            self.failed_at = time.monotonic()
            self._opened.set_result(error)

    def _note_end(self) -> None:
        self.is_over = True
        self._ended.set()


@asynccontextmanager
async def _watched(transport: Transport, note_end: Callable[[], None]) -> AsyncGenerator[TransportStreams, None]:
    """The transport, with a word when the other side has gone: the package tells only who asks next."""
    async with transport as (read, write):
        yield cast("ReadStream[SessionMessage | Exception]", _Watched(read, note_end)), write


class _Watched:
    def __init__(self, stream: Any, note_end: Callable[[], None]) -> None:
        self._stream = stream
        self._note_end = note_end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        ended: bool | None = await self._stream.__aexit__(*error)
        return ended

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except (StopAsyncIteration, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._note_end()
            raise
