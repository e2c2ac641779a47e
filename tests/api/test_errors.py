import pytest
from starlette.testclient import TestClient

from rag.errors import StorageFullError, UpstreamError
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error

DEEP = b'{"name": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"
HUGE = b'{"name": 9223372036854775808}'


def test_unknown_route_names_what_was_asked(client: TestClient) -> None:
    assert_error(client.get("/nowhere"), 404, "Not Found: GET /nowhere")


def test_wrong_method_is_405_with_allow(client: TestClient) -> None:
    response = client.patch("/v1/projects/org")
    assert_error(response, 405, "PATCH /v1/projects/org")
    assert response.headers["allow"]


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"name": NaN}', b'{"name": Infinity}', b'{"name": "\\ud800"}', b'{"name": "\xff"}', DEEP, HUGE],
    ids=["cut", "nan", "infinity", "surrogate", "utf8", "deep", "huge"],
)
def test_json_that_is_not_json_is_422(client: TestClient, body: bytes) -> None:
    response = client.post("/v1/projects/org", content=body, headers={"Content-Type": "application/json"})
    assert_error(response, 422, "JSON decode error")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_json_under_another_type_is_422(client: TestClient, content_type: str) -> None:
    response = client.post("/v1/projects/org", content=b'{"name": "bot"}', headers={"Content-Type": content_type})
    assert_error(response, 422)


@pytest.mark.parametrize("body", [[], "text", 3, None, True], ids=repr)
def test_json_of_another_kind_is_422(client: TestClient, body: object) -> None:
    assert_error(client.post("/v1/projects/org", json=body), 422)


def test_validation_error_lists_where_and_what(client: TestClient) -> None:
    body = assert_error(client.post("/v1/projects/org", json={"name": 3}), 422, "string")
    assert body["detail"][0]["loc"] == ["body", "name"]
    assert body["detail"][0]["input"] == 3
    assert body["message"].startswith("body.name: ")


def test_validation_error_does_not_send_a_large_body_back(client: TestClient) -> None:
    response = client.post("/v1/projects/org", json={"name": ["x" * 1000] * 1000})
    assert_error(response, 422)
    assert len(response.content) < 2000


def test_many_problems_are_counted_not_listed(client: TestClient, project: str) -> None:
    response = client.post(f"{project}/rag/query", json={"query": "", "top_k": 0, "score_threshold": 7})
    body = assert_error(response, 422)
    assert len(body["detail"]) == 3


@pytest.mark.parametrize("path", ["/v1/projects/org", "/nowhere", "/health"])
@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "multipart/form-data"])
def test_body_over_the_limit_is_413(make_client: MakeClient, path: str, content_type: str) -> None:
    client = make_client(max_body_bytes=1000)
    response = client.post(path, content=b"x" * 1001, headers={"Content-Type": content_type})
    assert_error(response, 413, "LF_MAX_BODY_BYTES", code="LimitExceeded")


def test_body_over_the_limit_without_a_length_is_413(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=1000)
    response = client.post(
        "/v1/projects/org", content=iter([b"x" * 600] * 2), headers={"Content-Type": "application/json"}
    )
    assert_error(response, 413)
    response = client.post("/v1/projects/org", content=iter([b"x" * 600] * 2), headers={"Content-Type": "text/x"})
    assert_error(response, 413)


def test_crash_is_500_without_its_reason_and_with_request_id(make_client: MakeClient) -> None:
    client = make_client(raise_crashes=False)
    client.app.state.services.engine.dispatcher.workers_alive = None
    response = client.get("/health", headers={"X-Request-ID": "r1", "Origin": "http://ui"})
    body = assert_error(response, 500, code="InternalServerError")
    assert "NoneType" not in body["message"]
    assert response.headers["x-request-id"] == "r1"
    assert response.headers["access-control-allow-origin"] == "*"


def test_upstream_failure_is_503_with_retry_after(client: TestClient, project: str) -> None:
    client.app.state.services.engine.dispatcher.failure = UpstreamError("the broker does not answer")
    response = client.post(f"{project}/datasets/docs/actions", json={"action_type": "process"})
    assert_error(response, 503, "the broker does not answer", code="UpstreamUnavailable")
    assert int(response.headers["retry-after"]) > 0


def test_full_disk_is_507(client: TestClient, project: str) -> None:
    client.app.state.services.engine.dispatcher.failure = StorageFullError("the disk is full")
    response = client.post(f"{project}/datasets/docs/actions", json={"action_type": "process"})
    assert_error(response, 507, "disk is full")


def test_full_disk_reported_by_the_system_is_507(client: TestClient, project: str) -> None:
    client.app.state.services.engine.dispatcher.failure = OSError(28, "No space left on device", "/secret/path")
    response = client.post(f"{project}/datasets/docs/actions", json={"action_type": "process"})
    body = assert_error(response, 507, "disk is full")
    assert "/secret" not in str(body)
