"""A stand-in for a LlamaFarm server: a real HTTP server on a loopback port that answers as it is told."""

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Seen:
    """A request; `path` as it was sent, `query` as pairs."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """A body of bytes is sent as it is, a list as server-sent events, anything else as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Answer = Any | Reply | Callable[[Seen], Any]


class FakeApi:
    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Answers in order; the last one stays."""
        self._answers[method, path] = list(answers)

    def requests(self, method: str, path: str) -> list[Seen]:
        return [each for each in self.seen if (each.method, each.path) == (method, path)]

    def answer(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        answers = self._answers.get((seen.method, seen.path))
        if answers is None:
            return Reply({"detail": "Not Found"}, 404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(seen)
        return answer if isinstance(answer, Reply) else Reply(answer)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = api.answer(Seen(self.command, parts.path, parse_qsl(parts.query), headers, body))
                content, kind = _encoded(reply.body)
                with contextlib.suppress(ConnectionError):  # the client has left
                    self._send(reply, content, kind)

            def _send(self, reply: Reply, content: bytes, kind: str) -> None:
                self.send_response(reply.status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names that the base class calls

            def log_message(self, *_: Any) -> None:
                """Silent."""

        return Handler


def _encoded(body: Any) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, Events):
        return body.encoded(), "text/event-stream"
    return json.dumps(body).encode(), "application/json"


@dataclass
class Events:
    """Server-sent events; `is_whole` ends them with `[DONE]`."""

    events: list[Any]
    is_whole: bool = True

    def encoded(self) -> bytes:
        lines = [f"data: {json.dumps(event)}\n\n" for event in self.events]
        return "".join([": ping\n\n", *lines, "data: [DONE]\n\n" if self.is_whole else ""]).encode()


def deltas(*pieces: str, sources: list[dict[str, Any]] | None = None) -> Events:
    """An answer as the chat endpoint streams it."""
    opening: list[Any] = [{"type": "sources", "sources": sources}] if sources is not None else []
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return Events([*opening, *chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}])
