import pytest
from starlette.testclient import TestClient

from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok


def test_request_id_is_made_when_none_is_given(client: TestClient) -> None:
    first, second = (client.get("/").headers["x-request-id"] for _ in range(2))
    assert first != second


def test_request_id_is_taken_over(client: TestClient) -> None:
    assert client.get("/", headers={"X-Request-ID": "trace-1"}).headers["x-request-id"] == "trace-1"


@pytest.mark.parametrize("given", ["a b", "x" * 101, "<script>"])
def test_odd_request_id_is_replaced(client: TestClient, given: str) -> None:
    assert client.get("/", headers={"X-Request-ID": given}).headers["x-request-id"] != given


def test_cors_lets_a_page_read_every_header(client: TestClient) -> None:
    response = client.get("/", headers={"Origin": "http://ui.example"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-expose-headers"] == "*"


def test_cors_preflight_is_answered_without_a_key(make_client: MakeClient) -> None:
    client = make_client(api_key="right-key")
    response = client.options(
        "/v1/projects/org",
        headers={
            "Origin": "http://ui.example",
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization,x-session-id",
        },
    )
    assert response.status_code == 200
    assert "authorization" in response.headers["access-control-allow-headers"]


def test_cors_can_be_narrowed(make_client: MakeClient) -> None:
    client = make_client(cors_origins=["http://ours"])
    assert "access-control-allow-origin" not in client.get("/", headers={"Origin": "http://theirs"}).headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "right-key"},
        {"Authorization": "Basic right-key"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"Authorization": "Bearer "},
    ],
    ids=["none", "wrong", "no scheme", "basic", "bytes", "empty"],
)
def test_without_the_key_nothing_is_answered(make_client: MakeClient, headers: dict[str, str]) -> None:
    client = make_client(api_key="right-key")
    for path in ("/v1/projects/org", "/", "/info", "/nowhere", "/healthy", "/docsx", "/openapi.json/x"):
        response = client.get(path, headers=headers)
        assert_error(response, 401, "API key", code="Unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["right-key", "schlüssel"])
def test_with_the_key_all_is_answered(make_client: MakeClient, key: str) -> None:
    client = make_client(api_key=key)
    header = {"Authorization": b"bearer " + key.encode()}
    assert_ok(client.get("/v1/projects/org", headers=header))  # type: ignore[arg-type]


def test_key_in_the_query_string_does_not_count(make_client: MakeClient) -> None:
    client = make_client(api_key="right-key")
    assert_error(client.get("/v1/projects/org?api_key=right-key"), 401)


@pytest.mark.parametrize("path", ["/health", "/health/liveness"])
def test_health_needs_no_key(make_client: MakeClient, path: str) -> None:
    assert_ok(make_client(api_key="right-key").get(path))
