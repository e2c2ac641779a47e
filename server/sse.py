"""Server-sent events: one JSON text per event, in frames of exactly `data: <json>` and a blank line."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import anyio
import structlog
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

HEARTBEAT_S = 5.0
"""Clients and proxies that hear nothing for long take the server for dead; a comment tells them nothing else."""
CLOSE_TIMEOUT_S = 5.0
SEND_TIMEOUT_S = 60.0
"""A client that reads nothing for this long holds its session and the model for nobody: the connection is cut."""
NEWLINE = "\n"

log = structlog.get_logger(__name__)


class EventSource(Protocol):
    """Events in order. `aclose` stops what makes them and may be called at any time."""

    def __aiter__(self) -> AsyncIterator[str]: ...

    async def aclose(self) -> None: ...


class EventStream(EventSourceResponse):
    """Sends an event source, and closes it however the response ends: also when it never begins."""

    def __init__(self, events: EventSource, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            _frames(events),
            headers={**(headers or {}), "Cache-Control": "no-cache"},
            ping=HEARTBEAT_S,
            ping_message_factory=_heartbeat,
            sep=NEWLINE,
            send_timeout=SEND_TIMEOUT_S,
        )
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.warning("stream.abandoned", send_timeout_s=SEND_TIMEOUT_S)
        finally:
            with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
                await self._events.aclose()


async def _frames(events: EventSource) -> AsyncIterator[ServerSentEvent]:
    async for event in events:
        yield ServerSentEvent(event, sep=NEWLINE)


def _heartbeat() -> ServerSentEvent:
    return ServerSentEvent(comment="ping", sep=NEWLINE)
