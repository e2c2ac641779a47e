"""Calls of the app without a connection."""

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from server.mcp.asgi import call
from server.mcp.requests import CallRequest

WANTED = CallRequest("POST", "/v1/caf%C3%A9", "a=1&a=2", {"x-one": "1"}, b"body")


def test_the_request_arrives_as_over_a_connection() -> None:
    seen: dict[str, object] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(path=scope["path"], raw_path=scope["raw_path"], query=scope["query_string"], first=await receive())
        seen["headers"] = dict(scope["headers"])
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    answer = anyio.run(call, app, WANTED, None)
    assert (answer.status, answer.body, answer.is_cut) == (201, b"one two", False)
    assert seen["path"] == "/v1/café"
    assert seen["raw_path"] == b"/v1/caf%C3%A9"
    assert seen["query"] == b"a=1&a=2"
    assert seen["first"] == {"type": "http.request", "body": b"body", "more_body": False}
    assert seen["headers"] == {b"accept": b"application/json", b"x-one": b"1", b"content-length": b"4"}


def test_an_agent_that_leaves_stops_the_call() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async def leave() -> None:
        with anyio.move_on_after(0.05):
            await call(app, WANTED, None)

    anyio.run(leave)
    assert ended == ["cancelled"]


def test_an_endless_answer_is_cut_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.mcp.asgi.MAX_ANSWER_BYTES", 1_000)
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
            sent += 1
            await anyio.sleep(0)

    assert anyio.run(call, app, WANTED, None).is_cut
    assert sent < 100


def test_an_app_that_answers_nothing_is_a_failure() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    assert anyio.run(call, app, WANTED, None).status == 500
