"""Is a part ready? Each check is asked again until it answers: None for not yet, else a remark, mostly empty."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

ReadyCheck = Callable[[], str | None]

REDIS_TIMEOUT_S = 0.5
HTTP_TIMEOUT_S = 2.0
WARM_TIMEOUT_S = 30.0


def redis_check(port: int, password: str) -> ReadyCheck:
    """Ready when PING is answered: a server that still loads its file answers with an error."""

    def check() -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=REDIS_TIMEOUT_S) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
                answer = b"".join(iter(lambda: connection.recv(1024), b""))
        except OSError:
            return None
        return "" if b"+PONG" in answer else None

    return check


def http_check(url: str) -> ReadyCheck:
    def check() -> str | None:
        return None if _get(url) is None else ""

    return check


def file_check(path: Path) -> ReadyCheck:
    """Ready when the part has touched the file; it is removed before each start."""

    def check() -> str | None:
        return "" if path.exists() else None

    return check


def api_check(base_url: str, *, warm_timeout_s: float = WARM_TIMEOUT_S) -> ReadyCheck:
    """Ready when `/health` says healthy: the model is loaded and a worker listens.

    An API that answers but stays unhealthy is not held back longer than `warm_timeout_s`: it is what can say why.
    """
    alive_since: float | None = None

    def check() -> str | None:
        nonlocal alive_since
        if _get(f"{base_url}/health/liveness") is None:
            alive_since = None  # not yet, or not any more: the same check watches every restart
            return None
        alive_since = alive_since or time.monotonic()
        summary = _unhealthy_summary(_get(f"{base_url}/health"))
        if summary == "":
            return ""
        return summary if time.monotonic() - alive_since > warm_timeout_s else None

    return check


def _unhealthy_summary(body: bytes | None) -> str:
    """Empty when healthy."""
    if body is None:
        return "answers, but not to /health"
    try:
        health = json.loads(body)
        status, summary = str(health["status"]), str(health.get("summary") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "answers, but /health is not readable"
    return "" if status.lower() == "healthy" else f"answers, but is {status}: {summary}"


def _get(url: str) -> bytes | None:
    """The body of a 2xx answer, else None."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=HTTP_TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if 200 <= answer.status < 300 else None
