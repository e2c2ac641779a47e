"""Calls the app in-process: the same middleware, routes and answers as over a connection, without one."""

from dataclasses import dataclass

import anyio
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope

from server.mcp.requests import CallRequest

MAX_ANSWER_BYTES = 32_000_000
"""A larger answer is for programs: it is not held in memory for an agent."""
PASSED_ON = ("authorization", "host", "x-request-id", "user-agent", "origin")


@dataclass(frozen=True, slots=True)
class CallAnswer:
    status: int
    body: bytes
    is_cut: bool = False


async def call(app: ASGIApp, wanted: CallRequest, outer: Request | None) -> CallAnswer:
    """Send `wanted` through `app` as the client that sent `outer`; who gives up waiting cancels the call."""
    answer = _Collected()
    is_sent = False

    async def receive() -> Message:
        nonlocal is_sent
        if is_sent:
            await answer.is_complete.wait()
            return {"type": "http.disconnect"}
        is_sent = True
        return {"type": "http.request", "body": wanted.body, "more_body": False}

    async with anyio.create_task_group() as group:
        group.start_soon(_serve, app, _scope(wanted, outer), receive, answer)
        await answer.is_complete.wait()
        if answer.is_cut:
            group.cancel_scope.cancel()
    return CallAnswer(answer.status, bytes(answer.body), answer.is_cut)


class _Collected:
    def __init__(self) -> None:
        self.status = 500
        self.body = bytearray()
        self.is_cut = False
        self.is_complete = anyio.Event()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        if message["type"] != "http.response.body":
            return
        self.body += message.get("body", b"")
        self.is_cut = len(self.body) > MAX_ANSWER_BYTES
        if self.is_cut or not message.get("more_body", False):
            self.is_complete.set()


async def _serve(app: ASGIApp, scope: Scope, receive: Receive, answer: _Collected) -> None:
    await app(scope, receive, answer.send)
    answer.is_complete.set()


def _scope(wanted: CallRequest, outer: Request | None) -> Scope:
    passed_on = {} if outer is None else {key: outer.headers[key] for key in PASSED_ON if key in outer.headers}
    if outer is not None and (request_id := getattr(outer.state, "request_id", None)):
        passed_on["x-request-id"] = request_id
    headers = {"accept": "application/json", **passed_on, **wanted.headers, "content-length": str(len(wanted.body))}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": wanted.method,
        "scheme": "http" if outer is None else outer.url.scheme,
        "path": wanted.decoded_path,
        "raw_path": wanted.raw_path,
        "query_string": wanted.query.encode("ascii"),
        "root_path": "",
        "headers": [(key.lower().encode("ascii"), value.encode("utf-8")) for key, value in headers.items()],
        "client": None if outer is None else outer.scope.get("client"),
        "server": None if outer is None else outer.scope.get("server"),
    }
