"""What every operation of the API has in common: the document itself, and the ways to get it wrong."""

import json
from itertools import product
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.mcp.asgi import call
from server.mcp.requests import CallRequest
from tests.api.document import METHODS, Documented, document, operations
from tests.fixtures.answers import ERROR_KEYS, assert_error, assert_error_shape

OPERATIONS = operations()
WITH_NAMES = [each for each in OPERATIONS if each.path_parameters]
WITH_BODY = [
    each for each in OPERATIONS if "application/json" in each.operation.get("requestBody", {}).get("content", {})
]
TRICKS = {
    "dots": "..",
    "encoded-dots": "%2e%2e",
    "encoded-slashes": "..%2f..%2f..%2fetc%2fpasswd",
    "twice-encoded": "%252e%252e%252f",
    "backslashes": "..%5c..%5cetc",
    "absolute": "%2Fetc%2Fpasswd",
    "nul": "a%00b",
    "newline": "a%0d%0ab",
    "long": "x" * 300,
    "long-unicode": "%C3%BC" * 140,
    "unicode": "%E5%90%8D%E5%89%8D",
    "bad-utf8": "%ff%fe",
    "hidden": ".git",
    "blank": "%20",
    "quote": "%27%3B--",
}
MODELS = "/v1/models/"
BOT = "/v1/projects/org/bot"
FREE = {"session_id"}
"""Names that clients make up: they may be anything, and an unknown one is no error."""


def named(each: Documented) -> str:
    return each.id


def test_operation_ids_are_unique() -> None:
    ids = [each.id for each in OPERATIONS]
    assert sorted(set(ids)) == sorted(ids)
    assert "None" not in ids


@pytest.mark.parametrize("each", OPERATIONS, ids=named)
def test_operation_has_a_tag_and_says_what_it_does(each: Documented) -> None:
    assert each.operation.get("tags")
    assert len(each.operation.get("description", "")) > 20


@pytest.mark.parametrize("each", WITH_NAMES, ids=named)
def test_operation_with_names_documents_what_is_not_found(each: Documented) -> None:
    assert {"404", "422"} <= set(each.operation["responses"])


@pytest.mark.parametrize("each", OPERATIONS, ids=named)
def test_documented_errors_have_the_one_shape(each: Documented) -> None:
    for status, response in each.operation["responses"].items():
        if int(status) < 400:
            continue
        schema = response["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorBody"}, f"{each.id} {status}"


@pytest.mark.parametrize("path", [path for path in document()["paths"] if "{" in path or path.startswith("/v1")])
@pytest.mark.usefixtures("project")
def test_other_methods_are_405_and_name_the_right_ones(client: TestClient, path: str) -> None:
    serving = [each for each in OPERATIONS if each.path == path]
    url = serving[0].url()
    for method in METHODS:
        if method in ("options", "head") or method.upper() in {each.method for each in serving}:
            continue
        response = client.request(method.upper(), url)
        if response.status_code != 405 and ("{" in path or path.startswith(MODELS)):
            assert_error_shape(
                response
            )  # another route took the last part for a name: it knows none such, or misses its body
            assert response.status_code in (400, 404, 422)
            continue
        assert_error(response, 405)
        assert response.headers["allow"]


@pytest.mark.parametrize("path", ["/v1/projects/org", BOT, f"{BOT}/datasets", f"{BOT}/tasks", "/v1/examples"])
@pytest.mark.usefixtures("project")
def test_a_slash_at_the_end_is_no_redirect(client: TestClient, path: str) -> None:
    plain, slashed = (client.get(each, follow_redirects=False) for each in (path, f"{path}/"))
    assert (plain.status_code, slashed.status_code) == (200, 200)
    assert slashed.json() == plain.json()


@pytest.mark.parametrize("each", WITH_BODY, ids=named)
@pytest.mark.usefixtures("project")
def test_a_body_that_is_no_object_is_refused(client: TestClient, each: Documented) -> None:
    for body in (b"{", b"[1]", b'"text"', b"null", b"\xff", b'{"a": NaN}'):
        response = client.request(each.method, each.url(), content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (400, 404, 422), (body, response.text)
        assert_error_shape(response)


@pytest.mark.parametrize("each", WITH_NAMES, ids=named)
@pytest.mark.usefixtures("project")
def test_path_tricks_are_refused_and_touch_nothing(client: TestClient, tmp_path: Path, each: Documented) -> None:
    (tmp_path / "data" / "precious").mkdir()
    (tmp_path / "data" / "precious" / "llamafarm.yaml").write_text("kept")
    before = tree(tmp_path)
    for name, (what, trick) in product(each.path_parameters, TRICKS.items()):
        status, body = raw_request(client, each.method, each.url(**{name: trick}))
        assert status < 500, (what, body)
        if status >= 400:
            assert set(json.loads(body)) == ERROR_KEYS, (what, body)
        else:
            assert name in FREE or each.method == "GET", (what, body)
        assert tree(tmp_path) == before, what


def raw_request(client: TestClient, method: str, path: str) -> tuple[int, bytes]:
    """The path as it stands: clients like httpx take the dots out before they send it."""
    headers = {"content-type": "application/json", "host": "127.0.0.1:8000"}
    wanted = CallRequest(method, path, "", headers, b"{}" if method in ("POST", "PUT", "PATCH") else b"")
    assert client.portal is not None
    answer = client.portal.call(call, client.app, wanted, None)
    return answer.status, answer.body


def tree(folder: Path) -> dict[str, bytes]:
    """Every file with its content, but for the state that a refused request may count in."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "state" not in path.parts
    }
