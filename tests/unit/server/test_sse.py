"""The stream ends, and what makes it is closed, when nobody reads."""

from collections.abc import AsyncIterator

import anyio
import pytest
from starlette.types import Message

from server.sse import EventStream


class Events:
    def __init__(self) -> None:
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            yield "{}"

    async def aclose(self) -> None:
        self.is_closed = True


def test_client_that_stops_reading_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sse.SEND_TIMEOUT_S", 0.05)
    events = Events()

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    async def scenario() -> None:
        with anyio.fail_after(5):
            await EventStream(events)({"type": "http", "method": "POST"}, receive, send)

    anyio.run(scenario)
    assert events.is_closed
