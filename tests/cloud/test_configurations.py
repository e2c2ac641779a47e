"""Saved configurations."""

from typing import Any

import pytest

from rag.errors import InvalidInputError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.configurations import Configurations
from tests.cloud.conftest import CloudWorld

PATH = "/api/v1/beta/configurations"
RULES = [{"type": "invoice", "description": "a bill"}]
SPLIT = {"product_type": "split_v1", "categories": [{"name": "invoice"}]}


def make(cloud: CloudWorld, name: str = "c", parameters: dict[str, Any] = SPLIT, **query: str) -> dict[str, Any]:
    answer = cloud.http.post(PATH, json={"name": name, "parameters": parameters}, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_configuration_is_kept_as_it_was_sent(cloud: CloudWorld) -> None:
    found = make(cloud)
    assert found["id"].startswith("cfg-")
    assert found["parameters"] == SPLIT
    assert found["product_type"] == "split_v1"
    assert found["version"]
    assert cloud.http.get(f"{PATH}/{found['id']}").json() == found


@pytest.mark.parametrize(
    "body",
    [
        {"name": "c", "parameters": {"product_type": "other"}},
        {"name": "c", "parameters": {}},
        {"name": "", "parameters": SPLIT},
        {"name": "c\x00", "parameters": SPLIT},
        {"parameters": SPLIT},
        {"name": "c", "parameters": []},
    ],
)
def test_an_unknown_product_is_422(cloud: CloudWorld, body: dict[str, Any]) -> None:
    assert cloud.http.post(PATH, json=body).status_code == 422


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"product_type": "split_v1"}, "parameters.categories"),
        ({"product_type": "classify_v2", "rules": []}, "parameters.rules"),
        (
            {"product_type": "classify_v2", "rules": RULES, "parsing_configuration": {"target_pages": "x"}},
            "target_pages",
        ),
        ({**SPLIT, "target_pages": "0"}, "target_pages"),
        ({"product_type": "extract_v2", "data_schema": {"type": "array"}}, "must describe an object"),
        ({"product_type": "extract_v2", "extraction_target": "PER_WORD"}, "extraction_target = 'PER_WORD'"),
        ({"product_type": "parse_v2", "page_ranges": {"target_pages": "5-2"}}, "ends before it begins"),
        ({"product_type": "parse_v2", "page_ranges": {"max_pages": "x"}}, "max_pages = 'x': expected a number from 0"),
        ({"product_type": "parse_v2", "tier": "best"}, "tier = 'best': expected one of fast"),
        ({"product_type": "parse_v2", "webhook_url": "http://127.0.0.1/x"}, "127.0.0.1"),
        ({"product_type": "spreadsheet_v1", "tier": "best"}, "parameters.tier: expected 'agentic' or 'cost_effective'"),
        ({"product_type": "spreadsheet_v1", "extraction_range": "A0"}, "A0"),
    ],
)
def test_parameters_that_no_job_could_run_with_are_not_saved(
    cloud: CloudWorld, parameters: dict[str, Any], place: str
) -> None:
    answer = cloud.http.post(PATH, json={"name": "c", "parameters": parameters})
    assert answer.status_code == 422
    assert place in answer.json()["message"]
    found = make(cloud)
    assert cloud.http.put(f"{PATH}/{found['id']}", json={"parameters": parameters}).status_code == 422
    assert cloud.http.get(f"{PATH}/{found['id']}").json() == found


@pytest.mark.parametrize("where", ["", "team-b"])
def test_a_project_that_stands_in_the_body_gets_what_is_made(cloud: CloudWorld, where: str) -> None:
    body = {"name": "c", "parameters": SPLIT, "project_id": "team-b"}
    answer = cloud.http.post(PATH, json=body, params={"project_id": where} if where else {})
    assert answer.json()["project_id"] == "team-b"
    directory = cloud.http.post("/api/v1/beta/directories", json={"name": "d", "project_id": "team-b"})
    assert directory.json()["project_id"] == "team-b"
    assert cloud.http.post(PATH, json=body, params={"project_id": "team-c"}).status_code == 404
    assert cloud.http.post(PATH, json={**body, "project_id": "../x"}).status_code == 400


def test_new_parameters_are_a_new_version(cloud: CloudWorld) -> None:
    found = make(cloud)
    renamed = cloud.http.put(f"{PATH}/{found['id']}", json={"name": "other"}).json()
    assert (renamed["name"], renamed["version"], renamed["parameters"]) == ("other", found["version"], SPLIT)
    changed = cloud.http.put(f"{PATH}/{found['id']}", json={"parameters": {"product_type": "parse_v2"}}).json()
    assert changed["version"] > found["version"]
    assert (changed["name"], changed["product_type"]) == ("other", "parse_v2")


def test_a_list_is_filtered_by_name_product_and_version(cloud: CloudWorld) -> None:
    first, second = make(cloud, "same"), make(cloud, "same", {"product_type": "parse_v2"})
    third = make(cloud, "third", {"product_type": "extract_v2"})
    make(cloud, "elsewhere", project_id="p2")

    def ids(**query: Any) -> list[str]:
        return [each["id"] for each in cloud.http.get(PATH, params=query).json()["items"]]

    assert ids() == [first["id"], second["id"], third["id"]]
    assert ids(name="same", latest_only=True) == [second["id"]]
    assert ids(product_type=["split_v1", "extract_v2"]) == [first["id"], third["id"]]
    assert cloud.http.get(PATH, params={"product_type": "x"}).status_code == 422
    token = cloud.http.get(PATH, params={"page_size": 1}).json()["next_page_token"]
    assert ids(page_size=5, page_token=token) == [second["id"], third["id"]]
    assert cloud.http.get(PATH, params={"page_token": token, "name": "same"}).status_code == 422


def test_a_deleted_one_and_one_of_another_project_are_not_found(cloud: CloudWorld) -> None:
    found = make(cloud, project_id="p1")
    for method in ("GET", "DELETE"):
        assert cloud.http.request(method, f"{PATH}/{found['id']}", params={"project_id": "p2"}).status_code == 404
    assert cloud.http.delete(f"{PATH}/{found['id']}").status_code == 204
    assert cloud.http.get(f"{PATH}/{found['id']}").status_code == 404


def test_work_is_started_with_the_parameters_of_the_right_product_alone(cloud: CloudWorld) -> None:
    found = make(cloud, project_id="p1")
    engine: CloudEngine = cloud.http.app.state.cloud  # type: ignore[attr-defined]
    configurations = Configurations(engine)
    assert configurations.parameters(found["id"], "split_v1", None) == {"categories": [{"name": "invoice"}]}
    for product, visible, words in (("parse_v2", None, "is for split_v1"), ("split_v1", "p2", "does not exist")):
        with pytest.raises(InvalidInputError, match=words):
            configurations.parameters(found["id"], product, visible)
