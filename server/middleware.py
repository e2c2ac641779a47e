"""What surrounds every request, outermost first: request id, log line and crash answer; API key; body limits.

Pure ASGI, so that streams pass through untouched.
"""

import hmac
import re
import time
import uuid
from collections.abc import Callable

import orjson
import structlog
from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.errors import AuthenticationError
from server.errors import crash_response, error_response, status_of, validation_response

log = structlog.get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
UPLOAD_PATH = re.compile(r"/v1/projects/[^/]+/[^/]+/datasets/[^/]+/data(/bulk)?/?")
"""The routes that stream their body to disk and enforce `max_upload_bytes` themselves."""
CHECKED_ON_THE_LOOP_BYTES = 256_000
"""A larger body is checked in a thread: it takes longer than other requests should wait."""


class RequestLog:
    """Binds the request id, answers crashes and writes one summary line per request."""

    def __init__(self, app: ASGIApp, *, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self.app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._logged(scope, receive, send, request_id)

    async def _logged(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started_at = time.perf_counter()
        status = 0

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            log.exception("request.crashed", exc_info=error)
            if status:
                raise  # an answer is under way: cutting the connection is the only honest end
            await crash_response()(scope, receive, tagged)
        finally:
            duration_ms = round((time.perf_counter() - started_at) * 1000, 1)
            log.info("request.done", method=scope["method"], path=scope["path"], status=status, duration_ms=duration_ms)


class ApiKey:
    """Asks for `Authorization: Bearer <key>` everywhere but at the health checks and for CORS preflights."""

    def __init__(self, app: ASGIApp, *, key: str) -> None:
        self.app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_open(scope) or self._is_right(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        message = "this server needs an API key: send it as 'Authorization: Bearer <key>'"
        error = AuthenticationError(message)
        await error_response(status_of(error), error.code, error.message)(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return scope["method"] == "OPTIONS" or path == "/health" or path.startswith("/health/")

    def _is_right(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # latin-1 is how header bytes were decoded: this gives the bytes back, so that any key can be compared
        is_equal = hmac.compare_digest(given.strip().encode("latin-1"), self._key)
        return is_equal and scheme.lower() == "bearer"


class BodyGuard:
    """Bounds the body of every request but uploads, and refuses JSON that is not JSON.

    NaN, infinity, lone surrogates, bad UTF-8 and nesting beyond 1,024 levels stop here: behind it every JSON
    value can be stored and sent back.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self.app = app
        self._max_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_upload(scope):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _declared_length(headers) > self._max_bytes:
            await self._too_large()(scope, receive, send)
        elif _is_json(headers):
            await self._checked(scope, receive, send)
        else:
            await self.app(scope, self._counted(receive), send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts: list[bytes] = []
        size = 0
        is_complete = False
        while not is_complete:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_bytes:
                await self._too_large()(scope, receive, send)
                return
            is_complete = not message.get("more_body", False)
        body = b"".join(parts)
        is_small = len(body) <= CHECKED_ON_THE_LOOP_BYTES
        problem = _json_problem(body) if is_small else await to_thread.run_sync(_json_problem, body)
        if problem is not None:
            await problem(scope, receive, send)
            return
        await self.app(scope, _replayed(body, receive), send)

    def _counted(self, receive: Receive) -> Receive:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_bytes:
                raise HTTPException(413, self._limit_message())
            return message

        return counted

    def _too_large(self) -> Response:
        return error_response(413, "LimitExceeded", self._limit_message())

    def _limit_message(self) -> str:
        return f"the request body is larger than {self._max_bytes} bytes (LF_MAX_BODY_BYTES)"


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and UPLOAD_PATH.fullmatch(scope["path"]) is not None


def _declared_length(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length[:20]) if length.isdecimal() else 0  # 20 digits are beyond any limit already


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _json_problem(body: bytes) -> Response | None:
    if not body:
        return None
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return validation_response(
            [
                {
                    "type": "json_invalid",
                    "loc": ("body", error.pos),
                    "msg": f"JSON decode error: {error.msg}",
                    "input": None,
                }
            ]
        )
    return None


def _replayed(body: bytes, receive: Receive) -> Receive:
    is_sent = False

    async def replayed() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
