"""Which addresses a project may send the server to: those of model servers, never those of its own parts."""

import ipaddress
import socket
import threading
from concurrent.futures import Future
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from config.settings import Settings
from rag.errors import InvalidInputError, UpstreamError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200", "168.63.129.16"})
"""Services of clouds that hand out credentials and are not link-local: AWS by IPv6, Alibaba, Azure."""
LOOKUP_TIMEOUT_S = 10.0
MAX_LOOKUPS = 64
"""At once, in one process."""
_lookups = threading.BoundedSemaphore(MAX_LOOKUPS)
_DEFAULT_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}


def check_url(url: str, *, settings: Settings) -> None:
    """Refuse an address that a project must not send the server to.

    Loopback and private networks are allowed, because model servers live there, unless LF_BLOCK_PRIVATE_URLS is set.
    A name is judged by all addresses it has at this moment. Whether it keeps them is not watched.

    Raises:
        InvalidInputError: another scheme than http and https, a user name in the address, or a forbidden address.
        UpstreamError: the name has no address.
    """
    if not url.isascii() or not url.isprintable() or any(character in url for character in " \\"):
        raise InvalidInputError(f"base_url {url!r} holds characters that no address has; write it in plain ASCII")
    parts, port = _parsed(url)
    if parts.scheme not in ("http", "https"):
        raise InvalidInputError(f"base_url {url!r} is not an address of http or https; write http://host:port")
    if "@" in parts.netloc:
        raise InvalidInputError("base_url holds a user name or password; leave it out and set api_key")
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise InvalidInputError(f"base_url {url!r} names no host; write http://host:port")
    addresses = resolved(host)
    if not addresses and not getproxies():  # a proxy may know names that this machine does not
        raise UpstreamError(f"the host of base_url {url!r} is not known to this machine; check the name")
    for address in addresses:
        _check_address(address, host, port, url, settings)


def _parsed(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")  # Ollama takes a bare host:port
        return parts, parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise InvalidInputError(f"base_url {url!r} is not an address; write http://host:port") from error


def resolved(host: str) -> set[Address]:
    """As the connection itself would: `getaddrinfo` reads decimal, octal and shortened forms too.

    Raises:
        UpstreamError: the name servers do not answer within LOOKUP_TIMEOUT_S. The system's own call knows no limit: it
            goes on in a thread of its own, of which there are at most MAX_LOOKUPS.
    """
    try:
        return {_plain(host)}
    except ValueError:
        pass
    silent = UpstreamError(f"the name servers do not answer for the host {host[:200]!r}; try again later")
    if not _lookups.acquire(timeout=LOOKUP_TIMEOUT_S):
        raise silent
    answer: Future[set[Address]] = Future()
    threading.Thread(target=_look_up, args=(host, answer), name="name-lookup", daemon=True).start()
    try:
        return answer.result(LOOKUP_TIMEOUT_S)
    except TimeoutError as error:
        raise silent from error


def _look_up(host: str, answer: "Future[set[Address]]") -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        answer.set_result({_plain(str(entry[4][0])) for entry in found})
    except (OSError, UnicodeError):
        answer.set_result(set())
    finally:
        _lookups.release()


def _plain(text: str) -> Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def blocked_address(address: Address) -> bool:
    """One that serves nobody, or that hands out a cloud's credentials."""
    return address.is_link_local or address.is_multicast or address.is_unspecified or str(address) in _METADATA


def is_own_part(address: Address, port: int, settings: Settings) -> bool:
    return _place(address, port) in _places(settings.redis_url, settings.broker_url, settings.chroma_url)


def _check_address(address: Address, host: str, port: int, url: str, settings: Settings) -> None:
    if blocked_address(address):
        raise InvalidInputError(f"base_url {url!r} leads to an address that is never a model server; set another")
    if is_own_part(address, port, settings):
        raise InvalidInputError(f"base_url {url!r} is the address of a part of this server; set that of a model server")
    if not settings.block_private_urls or address.is_global:
        return
    own = _places(settings.ollama_host, settings.universal_url, settings.lemonade_url)
    allowed = {name.lower() for name in settings.allowed_hosts}
    if host not in allowed and _place(address, port) not in own:
        raise InvalidInputError(
            f"base_url {url!r} leads into a private network, which LF_BLOCK_PRIVATE_URLS forbids; "
            "the operator can add the host to LF_ALLOWED_HOSTS"
        )


def _places(*urls: str | None) -> set[tuple[str, int]]:
    """(address, port) of each, under every address it has."""
    found = set()
    for url in urls:
        if url and "://" in url:
            parts, port = _parsed(url)
            found |= {_place(address, port) for address in resolved(parts.hostname or "")}
    return found


def _place(address: Address, port: int) -> tuple[str, int]:
    # Every address of loopback reaches what listens on one of them or on all.
    return "loopback" if address.is_loopback else str(address), port
