"""U+0000 in whatever a client may name: PostgreSQL keeps none in a text. It is refused, or not found, on both."""

from typing import Any

import pytest

from state.cloud.ids import DEFAULT_PROJECT_ID
from tests.cloud.conftest import CloudWorld
from tests.fixtures.answers import assert_error_shape

pytestmark = pytest.mark.state("sqlite", "postgresql")

NUL = "a%00b"
PATHS = [
    "/api/v1/beta/files/{}/content",
    "/api/v1/files/{}",
    "/api/v1/beta/directories/{}",
    "/api/v1/beta/directories/{}/files",
    "/api/v1/pipelines/{}",
    "/api/v1/pipelines/{}/status",
    "/api/v1/pipelines/{}/files",
    "/api/v1/data-sources/{}",
    "/api/v1/extraction/jobs/{}",
    "/api/v1/extraction/extraction-agents/{}",
    "/api/v1/beta/configurations/{}",
    "/api/v1/beta/sheets/jobs/{}",
    "/api/v1/beta/split/jobs/{}",
    "/api/v1/beta/batch-processing/{}",
    "/api/v1/beta/agent-data/{}",
    "/api/v1/parsing/job/{}",
    "/api/v2/parse/{}",
    "/api/v2/extract/{}",
]


@pytest.mark.parametrize("path", PATHS)
def test_an_id_with_nul_is_not_found(cloud: CloudWorld, path: str) -> None:
    answer = cloud.http.get(path.format(NUL))
    assert_error_shape(answer)
    assert answer.status_code in (400, 404, 422), answer.text


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v1/beta/files", {"external_file_id": "a\x00"}),
        ("/api/v1/beta/files", {"file_name": "a\x00"}),
        ("/api/v1/pipelines", {"pipeline_name": "a\x00"}),
        ("/api/v1/data-sources", {"data_source_name": "a\x00"}),
        ("/api/v1/beta/directories", {"name": "a\x00"}),
        ("/api/v1/beta/batch-processing", {"directory_id": "a\x00"}),
        ("/api/v2/extract", {"file_input": "a\x00", "configuration_id": "b\x00"}),
        ("/api/v2/parse", {"job_ids": ["a\x00"]}),
        ("/api/v1/extraction/jobs", {"extraction_agent_id": "a\x00"}),
        ("/api/v1/beta/files", {"project_id": "a\x00"}),
    ],
)
def test_a_filter_with_nul_finds_nothing(cloud: CloudWorld, path: str, query: dict[str, Any]) -> None:
    cloud.upload("a.txt", "moon")
    answer = cloud.http.get(path, params=query)
    assert answer.status_code in (200, 400, 404, 422), answer.text
    found = answer.json()
    if answer.status_code == 200:
        assert (found if isinstance(found, list) else found["items"]) == []


def test_names_with_nul_are_refused_or_come_back(cloud: CloudWorld) -> None:
    name = "a\x00b"
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/api/v1/beta/directories", {"name": name}),
        ("/api/v1/pipelines", {"name": name}),
        ("/api/v1/beta/configurations", {"name": name, "parameters": {"product_type": "parse_v2", "tier": "fast"}}),
        ("/api/v1/data-sources", {"name": name, "source_type": "S3", "component": {"bucket": name}}),
    ]
    for path, body in bodies:
        answer = cloud.http.post(path, json=body)
        assert answer.status_code in (400, 422), (path, answer.text)


def test_metadata_with_nul_is_kept_and_searched(cloud: CloudWorld) -> None:
    place = {"deployment_name": "agent", "collection": "c"}
    for value in ("a\x00b", "ab"):
        made = cloud.http.post("/api/v1/beta/agent-data", json={**place, "data": {"k\x00": value, "k": value}})
        assert made.status_code == 200, made.text
        assert made.json()["data"] == {"k\x00": value, "k": value}
    for field in ("k", "k\x00"):
        body = {**place, "filter": {field: {"eq": "a\x00b"}}}
        found = cloud.http.post("/api/v1/beta/agent-data/:search", json=body)
        assert found.status_code == 200, found.text
        assert [each["data"]["k"] for each in found.json()["items"]] == ["a\x00b"]


def test_a_list_is_whole_whatever_the_bodies_of_its_objects_hold(cloud: CloudWorld) -> None:
    """PostgreSQL reads a whole JSON text to look into it, and stops at an escaped NUL."""
    schema = {"type": "object", "properties": {"x": {"type": "string", "description": "not \x00"}}}
    saved = {"name": "n", "parameters": {"product_type": "extract_v2", "data_schema": schema}}
    made = cloud.http.post("/api/v1/beta/configurations", json=saved)
    assert made.status_code == 200, made.text
    listed = cloud.http.get("/api/v1/beta/configurations", params={"product_type": ["extract_v2"]})
    assert [each["id"] for each in listed.json()["items"]] == [made.json()["id"]], listed.text


def test_an_uploaded_name_with_nul_comes_back_without(cloud: CloudWorld) -> None:
    answer = cloud.http.post("/api/v1/beta/files", files={"file": ("a\x00b.txt", b"moon")}, data={"purpose": "u\x00"})
    assert answer.status_code in (200, 400, 422), answer.text
    if answer.status_code == 200:
        assert "\x00" not in answer.json()["name"]


def test_a_run_whose_schema_speaks_of_nul_is_found_among_those_of_the_screen(cloud: CloudWorld) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "description": "not \x00"}}}
    body = {"name": "n", "project_id": DEFAULT_PROJECT_ID, "data_schema": schema}
    agent = cloud.http.post("/api/v1/extraction/extraction-agents", json=body)
    assert agent.status_code == 201, agent.text
    job = {"extraction_agent_id": agent.json()["id"], "file_id": cloud.upload("a.txt", "moon")}
    made = cloud.http.post("/api/v1/extraction/jobs", json=job, params={"from_ui": True})
    assert made.status_code == 200, made.text
    query = {"extraction_agent_id": agent.json()["id"]}
    found = cloud.http.get("/api/v1/extraction/runs/latest-from-ui", params=query)
    assert found.status_code == 200, found.text
    assert found.json()["job_id"] == made.json()["id"]
