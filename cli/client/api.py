"""The HTTP of the command line: one client per command, every failure a CliError that says what the server said."""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from cli.client.error_text import error_text
from cli.errors import ApiError, NotReachableError, UsageError

TIMEOUT_S = 60.0
STREAM_TIMEOUT_S = 600.0
CONNECT_TIMEOUT_S = 5.0

_USER_INFO = re.compile(r"^(\w+://)?[^/?#]*@")


def segment(name: str) -> str:
    """A name as one part of a path, whatever it holds."""
    return quote(name, safe="")


class Api:
    """Paths are given from the root of the server. Threads may share it."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float | None = None) -> None:
        full = _checked(url)
        self.url = without_secret(full)
        self.api_key = api_key
        self.timeout_s = timeout_s or TIMEOUT_S
        self.stream_timeout_s = timeout_s or STREAM_TIMEOUT_S
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        is_encrypted = self.url.startswith("https://")
        self._http = httpx.Client(
            base_url=full,  # a name and a password in it are sent as basic authentication
            headers=headers,
            verify=is_encrypted,  # reading the certificates takes longer than most commands
            trust_env=not _is_loopback(self.url),  # a proxy of the environment is for servers elsewhere
            follow_redirects=True,
            event_hooks={"request": [] if is_encrypted else [_stay_unencrypted]},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        return self.send("GET", path, params=known(params))

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        return self.send("POST", path, json=body, params=known(params))

    def put(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        return self.send("PUT", path, json=body, headers=headers)

    def delete(self, path: str, **params: Any) -> Any:
        return self.send("DELETE", path, params=known(params))

    def send(self, method: str, path: str, *, timeout_s: float | None = None, **content: Any) -> Any:
        """The JSON of the answer.

        Raises:
            NotReachableError: nobody listens there.
            ApiError: the server refused, broke off, or speaks another language.
        """
        return json_of(self.answer(method, path, timeout_s=timeout_s, **content))

    def answer(self, method: str, path: str, *, timeout_s: float | None = None, **content: Any) -> httpx.Response:
        """As `send`, for who needs the headers too."""
        with self._failures(method, path):
            response = self._http.request(method, path, timeout=self._timeout(timeout_s or self.timeout_s), **content)
        if not response.is_success:
            raise refusal(response, method, path)
        return response

    @contextmanager
    def stream(self, method: str, path: str, **content: Any) -> Iterator[httpx.Response]:
        """An answer that is read piece by piece; leaving closes the connection, which stops the server's work."""
        with (
            self._failures(method, path),
            self._http.stream(method, path, timeout=self._timeout(self.stream_timeout_s), **content) as response,
        ):
            if not response.is_success:
                response.read()
                raise refusal(response, method, path)
            yield response

    @contextmanager
    def events(self, method: str, path: str, **content: Any) -> Iterator[Iterator[dict[str, Any]]]:
        """The server-sent events of an answer, up to `[DONE]` or its end; what is no JSON object is passed over."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache", **(content.pop("headers", None) or {})}
        with self.stream(method, path, headers=headers, **content) as response:
            yield self.read_events(response)

    @staticmethod
    def read_events(response: httpx.Response) -> Iterator[dict[str, Any]]:
        """As `events`, of an answer that was opened with `stream`."""
        return _events(response)

    def _timeout(self, timeout_s: float) -> httpx.Timeout:
        return httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))

    @contextmanager
    def _failures(self, method: str, path: str) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotReachableError(
                f"no server answers at {self.url}: start one with `lf server start`, "
                "or give the address of another with --server-url"
            ) from error
        except httpx.TimeoutException as error:
            raise ApiError(
                f"{method} {path}: {self.url} did not answer in time; --timeout lets it take longer"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ApiError(f"{method} {path}: the connection to {self.url} broke ({_reason(error)})") from error


def without_secret(url: str) -> str:
    """An address as it may be shown: without `name:password@`."""
    return _USER_INFO.sub(r"\1", url)


def known(params: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that were not given; flags as the server reads them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in params.items()
        if value is not None
    }


def refusal(response: httpx.Response, method: str, path: str) -> ApiError:
    body = _body(response)
    text = error_text(body, response.text) or f"{response.status_code} {response.reason_phrase}"
    if response.status_code == 401:
        text += " (give the key with --api-key or LF_API_KEY)"
    if response.status_code in (405, 501) or (response.status_code == 404 and text == "Not Found"):
        text = f"this server has no {method} {path} ({response.status_code} {text})"
    return ApiError(text, response.status_code, body)


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text[:2000] or None


def json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise ApiError(
            f"{response.request.url.copy_with(userinfo=b'')} answered with something that is no JSON: "
            "is it a LlamaFarm server?",
            response.status_code,
        ) from error


def _events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        try:
            event = json.loads(data)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _checked(url: str) -> str:
    """Raises UsageError for what is no address; a bare host and port is one."""
    full = (url if "://" in url else f"http://{url}").rstrip("/")
    try:
        parts = urlsplit(full)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in full
        httpx.URL(full)
    except (ValueError, httpx.InvalidURL):
        is_good = False
    if not is_good:
        shown = url.rpartition("@")[2]  # a password may hold what makes it no address
        raise UsageError(f"--server-url {shown!r} is no address; it looks like http://127.0.0.1:8000")
    return full


def _stay_unencrypted(request: httpx.Request) -> None:
    """A redirect to HTTPS: this client has no certificates to check it with."""
    if request.url.scheme == "https":
        raise UsageError(f"the server has moved to https://{request.url.netloc.decode()}: give that as --server-url")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
