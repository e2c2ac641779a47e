"""The one table: exception class → HTTP status, and the one body that every failure leaves in.

Body: `{"detail": text or list, "error": CODE, "message": text}`. Clients of OpenAI's API read the sentence in
`error.message` and nowhere else: they get `error` as `{"message", "type", "code", "param"}`.
"""

import errno
import http
import re
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from rag.errors import (
    AccessDeniedError,
    AuthenticationError,
    BadRequestError,
    CancelledTaskError,
    ConflictError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    OverloadedError,
    RagError,
    SlowPatternError,
    StorageFullError,
    UpstreamError,
)
from server.problems import told

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5
MAX_PROBLEMS = 20
MAX_TEXT_CHARS = 500
MAX_MESSAGE_CHARS = 4_000
CRASH_MESSAGE = "The server failed to handle this request. The log has the reason under the request id."
DISK_FULL_MESSAGE = "the disk is full; free space and try again"


STATUS: dict[type[RagError], int] = {
    RagError: 500,
    InvalidInputError: 422,
    BadRequestError: 400,
    LimitExceededError: 413,
    AuthenticationError: 401,
    AccessDeniedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    CancelledTaskError: 409,
    OverloadedError: 429,
    StorageFullError: 507,
    UpstreamError: 503,
}
STATUS_BY_CODE = {"PreconditionFailed": 412, "BadGateway": 502}
"""Where HTTP has an own status: `If-Match` names an older version; what an upstream gave cannot be used."""
OPENAI_PATHS = ("/v1/chat/completions", "/v1/embeddings", "/v1/models")
OPENAI_HEADERS = (b"x-stainless-", b"openai-")
"""What the headers begin with that OpenAI's own clients send with every request."""
OLDER_CLIENT_HEADER = b"x-fern-language"
OPENAI_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
WITH_400 = re.compile(r"/api/v1/(pipelines|extraction|files|data-sources)(/.*)?", re.DOTALL)
"""Operations of the LlamaCloud API whose published reference knows 400 and not 422 for a malformed request."""
HTTP_CODES = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed", 413: "LimitExceeded", 422: "ValidationError"}


def status_of(error: RagError) -> int:
    if error.code in STATUS_BY_CODE:
        return STATUS_BY_CODE[error.code]
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


class ErrorResponse(JSONResponse):
    """The one error body, in the form that the client of the request reads."""

    def __init__(self, content: dict[str, Any], status_code: int, headers: Mapping[str, str]) -> None:
        super().__init__(content, status_code, headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_openai_request(scope):
            self._tell({"error": self._openai_error()})
        elif self.status_code == 422 and isinstance(self._content["detail"], str) and _reads_lists_only(scope):
            problem = {"loc": ["body"], "msg": self._content["message"], "type": self._content["error"]}
            self._tell({"detail": [problem]})
        await super().__call__(scope, receive, send)

    def _tell(self, changes: dict[str, Any]) -> None:
        self.body = self.render({**self._content, **changes})
        self.headers["content-length"] = str(len(self.body))

    def _openai_error(self) -> dict[str, Any]:
        kind = "server_error" if self.status_code >= 500 else "invalid_request_error"
        return {
            "message": self._content["message"],
            "type": OPENAI_TYPES.get(self.status_code, kind),
            "code": self._content["error"],
            "param": None,
        }


def is_openai_request(scope: Scope) -> bool:
    """Whether it is sent to one of OpenAI's paths, or by one of OpenAI's clients to any path."""
    path: str = scope["path"]
    if path.startswith("/api/"):
        return False  # LlamaCloud's own clients send such headers too
    if any(path == each or path.startswith(f"{each}/") for each in OPENAI_PATHS):
        return True
    return any(name.startswith(OPENAI_HEADERS) for name, _ in scope["headers"])


def _reads_lists_only(scope: Scope) -> bool:
    """Whether an older client of LlamaCloud asks, which fails over the body of a 422 whose detail is no list."""
    return scope["path"].startswith("/api/") and any(name == OLDER_CLIENT_HEADER for name, _ in scope["headers"])


def error_response(
    status: int, code: str, message: str, *, detail: Any = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The one error body; `detail` is the message unless there is a list of problems."""
    message = _shortened(message, MAX_MESSAGE_CHARS)
    body = {"detail": message if detail is None else detail, "error": code, "message": message}
    extra = dict(headers or {})
    if status in (429, 503):
        extra.setdefault("Retry-After", str(RETRY_AFTER_S))
    if status == 401:
        extra.setdefault("WWW-Authenticate", "Bearer")
    if status == 409:
        extra.setdefault("X-Should-Retry", "false")  # LlamaCloud's clients would try again, for many seconds
    return ErrorResponse(_jsonable(body), status, extra)


def crash_response() -> JSONResponse:
    return error_response(500, "InternalServerError", CRASH_MESSAGE)


def install_error_handlers(app: FastAPI) -> None:
    """Crashes are not here: `server.middleware.RequestLog` answers them, inside CORS and under the request id."""
    app.add_exception_handler(RagError, _rag_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(OSError, _os_error)


def validation_response(problems: Sequence[Mapping[str, Any]], status: int = 422) -> JSONResponse:
    """422 with the list that clients join as `loc: msg`."""
    detail = [_problem(problem) for problem in problems[:MAX_PROBLEMS]]
    sentences = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in detail]
    left_out = len(problems) - len(detail)
    if left_out > 0:
        sentences.append(f"and {left_out} more")
    return error_response(status, "ValidationError", "; ".join(sentences), detail=detail)


async def _rag_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RagError)
    status = status_of(error)
    if status == 422 and WITH_400.fullmatch(request.url.path):
        status = 400
    if status == 500:
        log.error("request.failed", exc_info=error)
        return crash_response()
    wait_s = error.retry_after if isinstance(error, UpstreamError) else None
    headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
    if isinstance(error, SlowPatternError):
        headers["X-Should-Retry"] = "false"
    return error_response(status, error.code, error.message, headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = http.HTTPStatus(error.status_code).phrase
    code = HTTP_CODES.get(error.status_code, phrase.replace(" ", ""))
    message = str(error.detail)
    if message == phrase:  # the framework's own words: say what was asked for
        message = f"{phrase}: {request.method} {_shortened(request.url.path)}"
    return error_response(error.status_code, code, message, headers=error.headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    media_type = request.headers.get("content-type", "")
    if len(problems) == 1 and tuple(problems[0]["loc"]) == ("body",) and "json" not in media_type:
        sent = f"it was sent as '{_shortened(media_type)}'" if media_type else "it was sent without a type"
        problem = {
            **problems[0],
            "msg": f"the body is to be JSON and {sent}: add the header Content-Type: application/json",
        }
        return validation_response([problem], _malformed_status(request))
    return validation_response(told(problems, error.body), _malformed_status(request))


def _malformed_status(request: Request) -> int:
    return 400 if WITH_400.fullmatch(request.url.path) else 422


async def _os_error(_request: Request, error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return error_response(507, StorageFullError.code, DISK_FULL_MESSAGE)
    raise error


def _problem(problem: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "loc": [part if isinstance(part, int) else _shortened(part) for part in problem.get("loc", ())],
        "msg": _shortened(problem.get("msg", "invalid")),
        "type": str(problem.get("type", "value_error")),
        "input": _input(problem.get("input")),
    }


def _input(value: Any) -> Any:
    """The offending value, if it is small and plain; otherwise its kind and size, never a copy of a whole body."""
    if value is None or isinstance(value, bool | int | float):
        return _jsonable(value)
    if isinstance(value, str):
        return _shortened(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Sequence | Mapping):
        return f"{'object' if isinstance(value, Mapping) else 'list'} of {len(value)}"
    return type(value).__name__


def _shortened(value: object, max_chars: int = MAX_TEXT_CHARS) -> str:
    text = str(value)
    return text if len(text) <= max_chars else f"{text[:max_chars]}… ({len(text)} characters)"


def _jsonable(value: Any) -> Any:
    """What JSON can carry: no NaN or infinity, no lone surrogate, no integer beyond what other languages read."""
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    return value
