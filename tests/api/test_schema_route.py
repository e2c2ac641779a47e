"""The JSON schema of llamafarm.yaml, as editors fetch it."""

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from config.schema import json_schema
from tests.api.conftest import PROJECT

URL = "/v1/schema/llamafarm.json"


def test_the_schema_is_published_and_a_project_passes_it(client: TestClient) -> None:
    response = client.get(URL)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/schema+json"
    assert response.json() == json_schema()
    Draft202012Validator(response.json()).validate(PROJECT)


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_client_that_has_it_gets_304_without_a_body(client: TestClient, form: str) -> None:
    etag = client.get(URL).headers["etag"]
    response = client.get(URL, headers={"If-None-Match": form.format(etag)})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)


def test_another_etag_gets_the_schema(client: TestClient) -> None:
    assert client.get(URL, headers={"If-None-Match": '"other"'}).status_code == 200
