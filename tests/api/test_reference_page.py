"""`/docs`: the page of the API's reference, offline and behind a key."""

import re

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok

ADDRESS = re.compile(r"""(?:src|href)="([^"]*)"|url: '([^']*)'""")


def page_of(client: TestClient) -> str:
    response = client.get("/docs")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["content-security-policy"].startswith("default-src 'self'")
    return response.text


def test_all_that_the_page_loads_comes_from_this_server(client: TestClient) -> None:
    text = page_of(client)
    assert "://" not in text
    paths = ["".join(found) for found in ADDRESS.findall(text)]
    assert len(paths) >= 4
    for path in paths:
        if not path.startswith("data:"):
            assert client.get(path).status_code == 200, path
    script = client.get("/docs/assets/swagger-ui-bundle.js")
    assert "javascript" in script.headers["content-type"]
    assert "SwaggerUIBundle" in script.text


@pytest.mark.parametrize("path", ["/docs/assets/none.js", "/docs/assets/../core.py", "/docs/x", "/redoc"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert_error(client.get(path), 404)


def test_reference_is_open_without_the_key_and_takes_it(make_client: MakeClient) -> None:
    client = make_client(api_key="right-key")
    page_of(client)
    assert client.get("/docs/assets/swagger-ui.css").status_code == 200
    assert "right-key" not in client.get("/openapi.json").text
    assert_error(client.get("/v1/projects/org"), 401)


def test_the_document_takes_a_key_and_needs_none(client: TestClient) -> None:
    document = assert_ok(client.get("/openapi.json"))
    assert document["components"]["securitySchemes"]["LF_API_KEY"]["scheme"] == "bearer"
    assert document["security"] == [{"LF_API_KEY": []}, {}]
