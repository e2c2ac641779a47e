"""Fetches what a client names by an address, and goes nowhere that the client could not reach by itself.

A name is resolved once, every address it has is judged, and the connection goes to that very address: what a name
server says a moment later changes nothing. Proxies of the environment are not used.
"""

import ipaddress
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import certifi
import httpcore

from config.settings import Settings
from config.urls import Address, blocked_address, is_own_part, resolved
from rag.errors import BadRequestError, InvalidInputError, LimitExceededError, NotFoundError, UpstreamError

MAX_REDIRECTS = 5
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 300.0
POST_TIMEOUT_S = 60.0
WRITE_BYTES = 16_384
CHECK_INTERVAL_S = 1.0
TIMEOUTS = {"connect": CONNECT_TIMEOUT_S, "read": READ_TIMEOUT_S, "write": READ_TIMEOUT_S, "pool": CONNECT_TIMEOUT_S}
"""Of one step each; the whole has a limit besides."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
OWN_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "expect"})
TUNNELS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""Addresses of IPv6 that hold one of IPv4, where a gateway takes them."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_TOKEN = re.compile(r"[\x20-\x7e\t]{0,4000}")


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    Args:
        url: after redirects.
        headers: names in small letters.
    """

    url: str
    headers: Mapping[str, str]
    size: int


def fetch(
    url: str,
    write: Callable[[bytes], None],
    settings: Settings,
    *,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    follows_redirects: bool = True,
    check: Callable[[], None] = lambda: None,
) -> Fetched:
    """GET `url` and give its body to `write`, block by block.

    Args:
        check: asked about every second of waiting for the body; what it raises ends the work.

    Raises:
        InvalidInputError: the address or a header cannot be used, or leads into a private network.
        BadRequestError: the other server does not give the file; NotFoundError: it says that there is none.
        LimitExceededError: the body is larger than `max_bytes`.
        UpstreamError: the other server cannot be reached, or takes longer than five minutes.
    """
    ends_at = time.monotonic() + TOTAL_TIMEOUT_S
    sent = _headers(headers or {})
    with httpcore.ConnectionPool(
        ssl_context=ssl.create_default_context(cafile=certifi.where()),
        network_backend=_Guard(settings, ends_at, check),
    ) as pool:
        for _ in range(MAX_REDIRECTS + 1):
            check_form(url)
            with _asked(pool, url, sent, ends_at) as response:
                target = _target(response, url) if follows_redirects else None
                if target is None:
                    return _received(response, url, write, max_bytes)
            if _origin(target) != _origin(url):
                sent = []  # they may hold what is only for the first server
            url = target
    raise BadRequestError(f"{url[:200]!r}: more than {MAX_REDIRECTS} redirects")


def post(url: str, body: bytes, settings: Settings, *, headers: Mapping[str, str] | None = None) -> None:
    """POST a JSON body to an address of the outside; what is answered is not read, and redirects are not followed.

    Raises:
        InvalidInputError: as `fetch`.
        BadRequestError: the other server does not take it.
        UpstreamError: it cannot be reached, fails, or takes longer than a minute.
    """
    check_form(url)
    ends_at = time.monotonic() + POST_TIMEOUT_S
    sent = [(b"Content-Type", b"application/json"), *_headers(headers or {})]
    with httpcore.ConnectionPool(
        ssl_context=ssl.create_default_context(cafile=certifi.where()), network_backend=_Guard(settings, ends_at)
    ) as pool:
        try:
            with pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": TIMEOUTS}) as response:
                status = response.status
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise UpstreamError(f"{url[:200]!r} cannot be reached: {type(error).__name__}") from error
    if status >= 500:
        raise UpstreamError(f"{url[:200]!r} answers {status}")
    if status >= 300:
        raise BadRequestError(f"{url[:200]!r} answers {status}")


class _Guard(httpcore.NetworkBackend):
    """Connects to addresses of the outside only, and lets nothing last beyond `ends_at`."""

    def __init__(self, settings: Settings, ends_at: float, check: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._ends_at = ends_at
        self._check = check
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        error: Exception = httpcore.ConnectError("the name has no address")
        for address in allowed_addresses(host, port, self._settings):
            try:
                limit = _time_left(self._ends_at, timeout, httpcore.ConnectTimeout)
                stream = self._plain.connect_tcp(str(address), port, limit, local_address, socket_options)
                return _TimedStream(stream, self._ends_at, self._check)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                error = problem
        raise error


class _TimedStream(httpcore.NetworkStream):
    """A server that sends one byte now and then, headers as well as body, gets no more time than any other."""

    def __init__(self, stream: httpcore.NetworkStream, ends_at: float, check: Callable[[], None]) -> None:
        self._stream = stream
        self._ends_at = ends_at
        self._check = check
        self._checked_at = time.monotonic()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        until = time.monotonic() + _time_left(self._ends_at, timeout, httpcore.ReadTimeout)
        while True:
            if time.monotonic() - self._checked_at >= CHECK_INTERVAL_S:
                self._check()
                self._checked_at = time.monotonic()
            limit = _time_left(until, CHECK_INTERVAL_S, httpcore.ReadTimeout)
            with suppress(httpcore.ReadTimeout):  # only this wait is over; `until` ends the read
                return self._stream.read(max_bytes, limit)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_BYTES):  # the limit is one of each piece that is sent
            limit = _time_left(self._ends_at, timeout, httpcore.WriteTimeout)
            self._stream.write(buffer[start : start + WRITE_BYTES], limit)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        limit = _time_left(self._ends_at, timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, limit), self._ends_at, self._check)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _time_left(ends_at: float, timeout: float | None, error: type[httpcore.TimeoutException]) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise error("the time is over")
    return left if timeout is None else min(timeout, left)


def allowed_addresses(host: str, port: int, settings: Settings) -> list[Address]:
    """All addresses of `host`, if the server may go to each of them.

    Raises:
        InvalidInputError: one of them is of a private network, or of a part of this server.
        UpstreamError: it has none.
    """
    found = sorted(resolved(host), key=str)
    if not found:
        raise UpstreamError(f"the host {host[:200]!r} is not known to this machine; check the name")
    is_trusted = host.lower().rstrip(".") in {name.lower() for name in settings.allowed_hosts}
    for address in found:
        if blocked_address(address) or is_own_part(address, port, settings):
            raise InvalidInputError(f"{host[:200]!r} leads to an address that nothing is fetched from; use another")
        is_outside = address.is_global and not any(address in each for each in TUNNELS)
        if not is_outside and not is_trusted:
            raise InvalidInputError(
                f"{host[:200]!r} leads into a private network; the operator can add the host to LF_ALLOWED_HOSTS"
            )
    return found


def check_outside(url: str, settings: Settings) -> None:
    """Refuse early what `fetch` would refuse; raises as it does."""
    check_form(url)
    parts = urlsplit(url)
    allowed_addresses(parts.hostname or "", parts.port or 443, settings)


def name_of(fetched: Fetched) -> str:
    """As the other server calls it, else the end of the address."""
    message = Message()
    message["Content-Disposition"] = fetched.headers.get("content-disposition", "")
    return message.get_filename() or unquote(urlsplit(fetched.url).path).rpartition("/")[2]


def check_form(url: str) -> None:
    if not url.isascii() or not url.isprintable() or any(character in url for character in " \\"):
        raise InvalidInputError(f"{url[:200]!r} holds characters that no address has; write it in plain ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInputError(f"{url[:200]!r} is not an address; write https://host/file") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InvalidInputError(f"{url[:200]!r} is not an address of http or https; write https://host/file")
    if "@" in parts.netloc:
        raise InvalidInputError("the address holds a user name or password; send request_headers instead")


def _headers(given: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    for name, value in given.items():
        if not _HEADER_NAME.fullmatch(name) or not _TOKEN.fullmatch(value) or name.lower() in OWN_HEADERS:
            raise InvalidInputError(f"request_headers: {name[:100]!r} cannot be sent")
    return [(name.encode(), value.encode()) for name, value in given.items()]


@contextmanager
def _asked(
    pool: httpcore.ConnectionPool, url: str, headers: list[tuple[bytes, bytes]], ends_at: float
) -> Iterator[httpcore.Response]:
    own = [
        (b"Host", urlsplit(url).netloc.encode()),
        (b"User-Agent", b"paddock"),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"identity"),
    ]
    taken = {name.lower() for name, _ in headers}
    sent = [*(each for each in own if each[0].lower() not in taken), *headers]
    try:
        with pool.stream("GET", url.partition("#")[0], headers=sent, extensions={"timeout": TIMEOUTS}) as response:
            yield response
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        if time.monotonic() >= ends_at:
            raise UpstreamError(
                f"{url[:200]!r} took longer than {TOTAL_TIMEOUT_S:.0f} s; nothing was stored"
            ) from error
        host = urlsplit(url).hostname
        raise UpstreamError(f"{host!r} cannot be read ({type(error).__name__}); try again later") from error


def _target(response: httpcore.Response, url: str) -> str | None:
    place = _plain(response.headers).get("location")
    return urljoin(url, place) if response.status in REDIRECTS and place else None


def _received(response: httpcore.Response, url: str, write: Callable[[bytes], None], max_bytes: int) -> Fetched:
    if response.status in (404, 410):
        raise NotFoundError(f"{url[:200]!r} answered {response.status}: there is no such file")
    if not 200 <= response.status < 300:
        raise BadRequestError(f"{url[:200]!r} answered {response.status}: nothing was fetched")
    headers = _plain(response.headers)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequestError(f"{url[:200]!r} sends its answer packed, which was not asked for")
    size = 0
    for block in response.iter_stream():
        size += len(block)
        if size > max_bytes:
            raise LimitExceededError(f"{url[:200]!r} is larger than {max_bytes} bytes (LF_MAX_UPLOAD_BYTES)")
        write(block)
    return Fetched(url, headers, size)


def _plain(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
