"""A server on loopback without a key answers only to its own names: what keeps a rebound web page out."""

import pytest

from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok

FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "10.0.0.5:8000",
    "[::2]:80",
    "127.0.0.1@evil.example",
]
OWN = ["localhost", "LOCALHOST:8000", "localhost.:8000", "127.0.0.1:8000", "127.8.9.1", "[::1]:8000", "app.localhost"]


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/v1/projects/default", "/health", "/", "/mcp", "/docs"])
def test_foreign_name_is_refused_everywhere(make_client: MakeClient, host: str, path: str) -> None:
    client = make_client(allowed_host_names=[])
    response = client.get(path, headers={"Host": host})
    assert_error(response, 421, "LF_ALLOWED_HOST_NAMES", code="MisdirectedRequest")


@pytest.mark.parametrize("host", OWN)
def test_own_names_are_answered(make_client: MakeClient, host: str) -> None:
    client = make_client(allowed_host_names=[])
    assert_ok(client.get("/health/liveness", headers={"Host": host}))


@pytest.mark.parametrize("names", [["proxy.example"], ["PROXY.example."], ["other", "*"]])
def test_names_of_the_operator_are_answered(make_client: MakeClient, names: list[str]) -> None:
    client = make_client(allowed_host_names=names)
    assert_ok(client.get("/health/liveness", headers={"Host": "proxy.example:443"}))


def test_key_makes_the_name_irrelevant(make_client: MakeClient) -> None:
    client = make_client(allowed_host_names=[], api_key="k" * 20)
    assert_ok(client.get("/info", headers={"Host": "any.example", "Authorization": f"Bearer {'k' * 20}"}))


def test_server_of_a_network_is_called_by_any_name(make_client: MakeClient) -> None:
    client = make_client(allowed_host_names=[], host="0.0.0.0", allow_unauthenticated=True)
    assert_ok(client.get("/info", headers={"Host": "any.example"}))


def test_refusal_changes_nothing(make_client: MakeClient) -> None:
    client = make_client(allowed_host_names=[])
    refused = client.post("/v1/projects/org", json={"name": "x"}, headers={"Host": "evil.example"})
    assert_error(refused, 421)
    assert assert_ok(client.get("/v1/projects/org", headers={"Host": "localhost"}))["total"] == 0
