"""The extract product of an index: fields that a model reads become metadata that searches filter by."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from state.cloud.ids import DEFAULT_PROJECT_ID, new_id
from tests.cloud.conftest import CloudWorld
from tests.cloud.makers import make_directory, make_file, objects_of, put_into
from tests.cloud.test_indexes import INDEXES, built, get_index
from tests.cloud.test_sync import members_of, synced
from tests.fixtures.fake_ollama import FakeOllama

SCHEMA = {"type": "object", "properties": {"item": {"type": "string"}, "price": {"type": "number"}}}


@pytest.fixture(scope="module")
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


def make_configuration(cloud: CloudWorld, **parameters: Any) -> str:
    found = objects_of(cloud).insert(
        "configuration",
        new_id("configuration"),
        project_id=DEFAULT_PROJECT_ID,
        name="prices",
        body={"product_type": "extract_v2", "parameters": {"product_type": "extract_v2", **parameters}},
    )
    return found.id


def product(configuration_id: str) -> list[dict[str, str]]:
    return [{"product_type": "extract", "product_config_id": configuration_id}]


def test_fields_become_metadata_and_what_users_say_goes_before(cloud: CloudWorld, ollama: FakeOllama) -> None:
    cloud.use_model(DEFAULT_PROJECT_ID, provider="ollama", model="writer", base_url=ollama.url)
    ollama.behave(script=[{"answer": json.dumps({"item": "Anvil", "price": 12.5})}])
    directory = make_directory(cloud)
    put_into(cloud, directory, make_file(cloud, "anvil.txt", "Anvil, 12.50 each."), price=1)
    index = built(cloud, directory, products=product(make_configuration(cloud, data_schema=SCHEMA)))
    told = index["metadata"]["extraction"]
    assert (told["files_completed"], told["files_pending"], told["files_failed"]) == (1, 0, 0), told
    assert members_of(cloud, index["id"]) == {"anvil.txt": {"item": "Anvil", "price": 1}}
    asked = len(ollama.state.requests)
    synced(cloud, index["id"])
    assert len(ollama.state.requests) == asked
    assert members_of(cloud, index["id"]) == {"anvil.txt": {"item": "Anvil", "price": 1}}
    answer = cloud.http.post(
        "/api/v1/retrieval/retrieve",
        json={
            "index_id": index["id"],
            "query": "anvil",
            "custom_filters": {"item": {"operator": "eq", "value": "Anvil"}},
        },
    )
    assert [each["content"] for each in answer.json()["results"]] == ["Anvil, 12.50 each."]


def test_without_a_model_that_writes_the_index_says_what_is_missing(cloud: CloudWorld) -> None:
    directory = make_directory(cloud)
    put_into(cloud, directory, make_file(cloud, "anvil.txt", "Anvil, 12.50 each."))
    index = built(cloud, directory, products=product(make_configuration(cloud, data_schema=SCHEMA)))
    told = index["metadata"]["extraction"]
    assert told["files_failed"] == 1
    assert "llamafarm.yaml" in told["errors"][0]["message"]
    assert index["metadata"]["files_completed"] == 1
    assert cloud.http.delete(f"{INDEXES}/{index['id']}").status_code == 204
    cloud.settle()


def test_a_product_without_a_schema_is_refused(cloud: CloudWorld) -> None:
    body = {"source_directory_id": make_directory(cloud), "products": product(make_configuration(cloud))}
    answer = cloud.http.post(INDEXES, json=body)
    assert answer.status_code == 422
    assert "data_schema" in answer.json()["detail"]


def test_a_configuration_of_another_product_is_refused(cloud: CloudWorld) -> None:
    wrong = [{"product_type": "parse", "product_config_id": make_configuration(cloud, data_schema=SCHEMA)}]
    answer = cloud.http.post(INDEXES, json={"source_directory_id": make_directory(cloud), "products": wrong})
    assert answer.status_code == 422


def test_an_index_without_the_product_says_nothing_of_it(cloud: CloudWorld) -> None:
    index = built(cloud, make_directory(cloud))
    assert get_index(cloud, index["id"])["metadata"]["extraction"] is None


def test_a_parse_product_says_how_files_are_read_and_what_has_no_effect(cloud: CloudWorld) -> None:
    parameters = {
        "product_type": "parse_v2",
        "tier": "fast",
        "processing_options": {"ocr_parameters": {"languages": ["fr"]}},
    }
    found = objects_of(cloud).insert(
        "configuration",
        new_id("configuration"),
        project_id=DEFAULT_PROJECT_ID,
        name="french",
        body={"product_type": "parse_v2", "parameters": parameters},
    )
    index = built(cloud, make_directory(cloud), products=[{"product_type": "parse", "product_config_id": found.id}])
    assert index["metadata"]["ignored_parameters"] == ["parse: tier"]
    config = cloud.projects.load("llamacloud", DEFAULT_PROJECT_ID)
    dataset = config.dataset(index["id"].replace("-", "_"))
    assert config.strategy(dataset.data_processing_strategy).parsers[0].config["ocr_languages"] == "fra"
