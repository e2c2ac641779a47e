"""Where a project may send the server, and where not."""

import socket
import threading
import time
from typing import Any

import pytest

from config.settings import Settings
from config.urls import check_url
from rag.errors import InvalidInputError, UpstreamError

NAMES = {"evil.example": "169.254.169.254", "lan.example": "192.168.1.5", "world.example": "93.184.216.34"}


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, *arguments: Any, **options: Any) -> Any:
        if host.endswith(".nowhere"):
            raise socket.gaierror
        return real(NAMES.get(host, host), *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("config.urls.getproxies", dict)


def settings(**values: Any) -> Settings:
    own = {"redis_url": "redis://127.0.0.1:6380/0", "chroma_url": "http://127.0.0.1:8001"}
    return Settings(_env_file=None, **{**own, **values})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434",
        "localhost:11434",
        "http://[::1]:8080/v1",
        "http://lan.example:8000/v1",
        "https://world.example/v1",
    ],
)
def test_model_servers_may_be_anywhere(url: str) -> None:
    check_url(url, settings=settings())


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://evil.example/",
        "http://2852039166/",
        "http://0xA9FEA9FE/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://224.0.0.1/",
        "http://0.0.0.0:8000",
        "http://[::]:8000",
    ],
)
def test_addresses_that_are_never_a_model_server_are_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="never a model server"):
        check_url(url, settings=settings())


@pytest.mark.parametrize("url", ["http://127.0.0.1:6380", "http://localhost:8001/api", "http://127.9.9.9:6380"])
def test_parts_of_the_server_itself_are_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="a part of this server"):
        check_url(url, settings=settings())


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "gopher://a/", "http://u:pw@world.example", "http:///v1", "http://a b/"),
        *("http://a:99999/", "http://a\\@b/", "http://h\u00f6st.example/"),
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="base_url") as caught:
        check_url(url, settings=settings())
    assert "pw" not in str(caught.value).replace("/passwd", "")


def test_a_name_that_is_not_known_is_an_upstream_error() -> None:
    with pytest.raises(UpstreamError, match="check the name"):
        check_url("http://llm.nowhere/", settings=settings())


def test_private_networks_can_be_closed_but_for_named_hosts_and_the_operators_own() -> None:
    closed = settings(block_private_urls=True, allowed_hosts=["lan.example"], ollama_host="http://10.0.0.7:11434")
    for url in ("https://world.example/v1", "http://lan.example/v1", "http://10.0.0.7:11434"):
        check_url(url, settings=closed)
    for url in ("http://192.168.1.5/v1", "http://127.0.0.1:9999", "http://10.0.0.7:22", "http://[::ffff:10.0.0.8]/"):
        with pytest.raises(InvalidInputError, match="LF_ALLOWED_HOSTS"):
            check_url(url, settings=closed)


def test_name_servers_that_are_silent_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr("config.urls.LOOKUP_TIMEOUT_S", 0.05)
    monkeypatch.setattr("config.urls._lookups", threading.BoundedSemaphore(2))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go.wait(10) and [])
    begun = time.monotonic()
    for host in ("one.example", "two.example", "three.example"):  # the third one has to wait for a place
        with pytest.raises(UpstreamError, match=host):
            check_url(f"http://{host}/", settings=settings())
    assert time.monotonic() - begun < 2
    waiting = [each for each in threading.enumerate() if each.name == "name-lookup"]
    assert len(waiting) == 2
    go.set()
    for each in waiting:
        each.join(10)
