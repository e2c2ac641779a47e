"""What surrounds every request, outermost first: request id, log line and crash answer; API key, or else the name
that the server is called by; body limits.

Pure ASGI, so that streams pass through untouched.
"""

import ipaddress
import json
import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress

import orjson
import structlog
from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.errors import AuthenticationError, RagError
from server.access import SIGNED_PATH, KeyRing, refusal
from server.errors import crash_response, error_response, status_of, validation_response

log = structlog.get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
UPLOAD_PATH = re.compile(
    r"POST:/v1/projects/[^/]+/[^/]+/(datasets/[^/]+/data(/bulk)?/?|rag/import)"
    r"|POST:/api/v1/(beta/)?files|POST:/api/v1/beta/directories/[^/]+/files/upload|PUT:/api/v1/signed/[^/]+"
    r"|POST:/api(/v1)?/parsing/upload|POST:/api/v2/parse/upload"
)
"""The routes that stream their body to disk and enforce `max_upload_bytes` themselves."""
OPEN_PATH = re.compile(r"/(health|docs)(/.*)?|/openapi\.json", re.DOTALL)
SIGNED_TOKEN = re.compile(r"(?<=/api/v1/signed/).*", re.DOTALL)
LONG_DIGITS = re.compile(rb"[0-9]{19}")
MAX_DIGITS = 20
NEEDS_KEY = "this server needs an API key: send it as 'Authorization: Bearer <key>'"
UNKNOWN_KEY = (
    "this API key is not known, or was revoked: `lf keys list` names those that are in use, `lf keys create` makes one"
)
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
                status = int(message["status"])  # some send an enum, which logs as a sentence
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
            path = SIGNED_TOKEN.sub("…", scope["path"])  # whoever reads the log must not be able to use the link
            log.info("request.done", method=scope["method"], path=path, status=status, duration_ms=duration_ms)


class ApiKey:
    """Once there are keys, asks for `Authorization: Bearer <key>` everywhere but at the health checks, at the reference
    of the API, which holds nothing of a project, at signed links and for CORS preflights.

    What the key is good for is left in `request.state.key_scope`.

    Args:
        is_page: whether a request is for a file of the web app, which holds nothing of a project.
    """

    def __init__(self, app: ASGIApp, *, is_page: Callable[[Scope], bool] = lambda _: False) -> None:
        self.app = app
        self._is_page = is_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_open(scope):
            await self.app(scope, receive, send)
            return
        try:
            problem = await self._problem(scope, _ring(scope))
        except RagError as error:  # the state does not answer: nobody knows which keys are good
            problem = error
        if problem is None:
            await self.app(scope, receive, send)
            return
        await error_response(status_of(problem), problem.code, problem.message)(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        is_open = OPEN_PATH.fullmatch(path) is not None or SIGNED_PATH.fullmatch(path) is not None
        return scope["method"] == "OPTIONS" or is_open or self._is_page(scope)

    async def _problem(self, scope: Scope, ring: KeyRing) -> RagError | None:
        if not await ring.is_asked_for():
            return None
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        # latin-1 is how header bytes were decoded: this gives the bytes back, so that any key can be compared
        found = await ring.scope_of(given.strip().encode("latin-1")) if scheme.lower() == "bearer" else None
        if found is None:
            return AuthenticationError(UNKNOWN_KEY if scheme.lower() == "bearer" and given.strip() else NEEDS_KEY)
        scope.setdefault("state", {})["key_scope"] = found
        return refusal(scope, found)


def _ring(scope: Scope) -> KeyRing:
    ring = scope["app"].state.keys
    assert isinstance(ring, KeyRing)
    return ring


async def _has_keys(scope: Scope) -> bool:
    with suppress(RagError):
        return await _ring(scope).is_asked_for()
    return False


class HostGuard:
    """Refuses requests that call a server on loopback by a foreign name, unless it asks for a key.

    A web page may have its own name resolve to 127.0.0.1 and then read the answers as its own. The browser tells that
    name in the Host header, which no script can change.

    Args:
        names: accepted besides localhost and the addresses of loopback; `*` is any.
    """

    def __init__(self, app: ASGIApp, *, names: Sequence[str]) -> None:
        self.app = app
        self._names = frozenset(name.lower().rstrip(".") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_known(Headers(scope=scope).get("host", "")) or await _has_keys(scope):
            await self.app(scope, receive, send)
            return
        message = (
            "this server is called by a name that is not its own: use 127.0.0.1 or localhost, or add the name to "
            "LF_ALLOWED_HOST_NAMES, or set LF_API_KEY, or make a key with `lf keys create`"
        )
        await error_response(421, "MisdirectedRequest", message)(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        name = _host_name(host)
        if name in ("", "localhost") or name.endswith(".localhost") or name in self._names or "*" in self._names:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


class BodyGuard:
    """Bounds the body of every request but uploads, and refuses JSON that is not JSON.

    NaN, infinity, lone surrogates, bad UTF-8, integers beyond 64 bits and nesting beyond 1,024 levels stop here:
    behind it every JSON value can be stored and sent back.
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


def _host_name(host: str) -> str:
    """Without the port, and without the brackets of an IPv6 address."""
    host = host.strip().lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.rstrip(".")


def _is_upload(scope: Scope) -> bool:
    return UPLOAD_PATH.fullmatch(f"{scope['method']}:{scope['path']}") is not None


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
    return _integer_problem(body) if LONG_DIGITS.search(body) else None


def _integer_problem(body: bytes) -> Response | None:
    """Neither databases nor other JSON libraries hold an integer beyond 64 bits."""
    try:
        json.loads(body, parse_int=_checked_integer)
    except RecursionError:
        return None  # as deep as allowed: whoever reads it next refuses it
    except ValueError as error:
        problem = {"type": "int_too_large", "loc": ("body",), "msg": f"JSON decode error: {error}", "input": None}
        return validation_response([problem])
    return None


def _checked_integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"the integer {digits[:30]}{'…' * (len(digits) > 30)} is beyond 64 bits")
    return int(digits)


def _replayed(body: bytes, receive: Receive) -> Receive:
    is_sent = False

    async def replayed() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
