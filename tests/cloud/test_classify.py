"""Classify jobs over HTTP, in both generations."""

import json
import random
from typing import Any

import pytest

from state.cloud.ids import DEFAULT_PROJECT_ID
from tests.cloud.conftest import CLIENT_HEADERS, CloudWorld
from tests.fixtures.fake_ollama import FakeOllama
from tests.fixtures.make_files import pdf_file
from tests.unit.splitting.documents import CATEGORIES, RECIPE, make

FIRST, SECOND = "/api/v1/classifier/jobs", "/api/v2/classify"
OTHER_PROJECT = "11111111-2222-4333-8444-555555555555"
RULES = [{"type": each.name, "description": each.description} for each in CATEGORIES]


def text_of(kind: str) -> str:
    return "\n".join(make(kind, random.Random(3)).pages)


def start(cloud: CloudWorld, url: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = cloud.http.post(url, json=body, headers=CLIENT_HEADERS)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def get(cloud: CloudWorld, url: str, expected: int = 200, **query: Any) -> dict[str, Any]:
    answer = cloud.http.get(url, params=query)
    assert answer.status_code == expected, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_each_file_of_a_job_gets_its_type_and_a_reason(cloud: CloudWorld) -> None:
    texts = {"invoice": text_of("invoice"), "letter": text_of("letter"), None: RECIPE}
    ids = {cloud.upload(f"{kind}.txt", text): kind for kind, text in texts.items()}
    job = start(cloud, FIRST, {"file_ids": list(ids), "rules": RULES, "mode": "FAST"})
    assert job["status"] == "PENDING"
    cloud.settle()
    assert get(cloud, f"{FIRST}/{job['id']}")["status"] == "SUCCESS"
    results = get(cloud, f"{FIRST}/{job['id']}/results")
    assert {each["file_id"]: each["result"]["type"] for each in results["items"]} == ids
    for each in results["items"]:
        assert 0 <= each["result"]["confidence"] <= 1
        assert len(each["result"]["reasoning"]) > 20
        assert each["classify_job_id"] == job["id"]
    assert results["total_size"] == 3
    assert [each["id"] for each in get(cloud, FIRST)["items"]] == [job["id"]]


def test_a_file_that_cannot_be_read_leaves_the_others_their_results(cloud: CloudWorld) -> None:
    good, bad = cloud.upload("a.txt", text_of("invoice")), cloud.upload("b.pdf", b"%PDF-1.4\nnothing")
    job = start(cloud, FIRST, {"file_ids": [good, bad], "rules": RULES})
    cloud.settle()
    assert get(cloud, f"{FIRST}/{job['id']}")["status"] == "PARTIAL_SUCCESS"
    first, second = get(cloud, f"{FIRST}/{job['id']}/results")["items"]
    assert first["result"]["type"] == "invoice"
    assert second["result"] is None
    assert second["error_message"]
    alone = start(cloud, FIRST, {"file_ids": [bad], "rules": RULES})
    cloud.settle()
    failed = get(cloud, f"{FIRST}/{alone['id']}")
    assert failed["status"] == "ERROR"
    assert failed["error_message"]


@pytest.mark.parametrize(
    ("parsing", "kind"),
    [({"target_pages": [1]}, "medical record"), ({"max_pages": 1}, "invoice"), ({"target_pages": [0, 7]}, "invoice")],
    ids=["the second page", "one page at most", "a page that there is not"],
)
def test_pages_are_counted_from_0_in_the_first_generation(
    cloud: CloudWorld, parsing: dict[str, Any], kind: str
) -> None:
    pages = [make("invoice", random.Random(3)).pages[0], make("medical record", random.Random(3)).pages[0]]
    file_id = cloud.upload("two.pdf", pdf_file(cloud.settings.data_dir / "two.pdf", pages).read_bytes())
    job = start(cloud, FIRST, {"file_ids": [file_id], "rules": RULES, "parsing_configuration": parsing})
    cloud.settle()
    assert get(cloud, f"{FIRST}/{job['id']}/results")["items"][0]["result"]["type"] == kind


def test_pages_are_counted_from_1_in_the_second_generation(cloud: CloudWorld) -> None:
    pages = [make("invoice", random.Random(3)).pages[0], make("medical record", random.Random(3)).pages[0]]
    file_id = cloud.upload("two.pdf", pdf_file(cloud.settings.data_dir / "two.pdf", pages).read_bytes())
    configuration = {"rules": RULES, "parsing_configuration": {"target_pages": "2-2, 9"}}
    job = start(cloud, SECOND, {"file_input": file_id, "configuration": configuration})
    assert (job["status"], job["document_input_type"], job["file_input"]) == ("PENDING", "file_id", file_id)
    assert job["configuration"]["parsing_configuration"] == {"target_pages": "2-2, 9"}
    cloud.settle()
    found = get(cloud, f"{SECOND}/{job['id']}")
    assert (found["status"], found["result"]["type"]) == ("COMPLETED", "medical record")


def test_a_saved_configuration_can_be_named_and_listed_by(cloud: CloudWorld) -> None:
    parameters = {"product_type": "classify_v2", "rules": RULES}
    saved = start(cloud, "/api/v1/beta/configurations", {"name": "kinds", "parameters": parameters})
    file_id = cloud.upload("a.txt", text_of("letter"))
    job = start(cloud, SECOND, {"file_id": file_id, "configuration_id": saved["id"]})
    start(cloud, SECOND, {"file_input": file_id, "configuration": {"rules": RULES}})
    assert [each["id"] for each in get(cloud, SECOND, configuration_id=saved["id"])["items"]] == [job["id"]]
    assert len(get(cloud, SECOND, status="PENDING")["items"]) == 2
    assert get(cloud, SECOND, status="COMPLETED")["items"] == []
    cloud.settle()
    assert get(cloud, SECOND, job_ids=[job["id"]])["items"][0]["result"]["type"] == "letter"


def test_a_model_that_writes_decides(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "Vorgang 4711, keine Beanstandung")
    answer = {"reasoning": "It is about a case.", "type": "letter", "confidence": 0.7}
    with FakeOllama() as ollama:
        cloud.use_model(DEFAULT_PROJECT_ID, provider="ollama", model="writer", base_url=ollama.url)
        ollama.behave(script=[{"answer": json.dumps(answer)}])
        job = start(cloud, SECOND, {"file_input": file_id, "configuration": {"rules": RULES}})
        cloud.settle()
        assert get(cloud, f"{SECOND}/{job['id']}")["result"] == answer
        assert "keine Beanstandung" in json.dumps(ollama.state.requests)


def test_jobs_of_another_project_are_not_found(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "text")
    first = start(cloud, FIRST, {"file_ids": [file_id], "rules": RULES})
    second = start(cloud, SECOND, {"file_input": file_id, "configuration": {"rules": RULES}})
    for url in (f"{FIRST}/{first['id']}", f"{FIRST}/{first['id']}/results", f"{SECOND}/{second['id']}"):
        get(cloud, url, 404, project_id=OTHER_PROJECT)
    get(cloud, f"{SECOND}/{first['id']}", 404)
    get(cloud, f"{FIRST}/unknown", 404)


@pytest.mark.parametrize(
    ("url", "change", "status"),
    [
        (FIRST, {"mode": "MULTIMODAL"}, 422),
        (FIRST, {"rules": []}, 422),
        (FIRST, {"rules": [RULES[0], RULES[0]]}, 422),
        (FIRST, {"file_ids": []}, 422),
        (FIRST, {"file_ids": ["unknown"]}, 404),
        (FIRST, {"parsing_configuration": {"target_pages": [-1]}}, 422),
        (SECOND, {"file_input": "unknown"}, 404),
        (SECOND, {"file_input": None}, 422),
        (SECOND, {"configuration": None}, 422),
        (SECOND, {"configuration": {"rules": RULES, "mode": "MULTIMODAL"}}, 422),
        (SECOND, {"configuration": {"rules": RULES, "parsing_configuration": {"target_pages": "0"}}}, 422),
        (SECOND, {"configuration": {"rules": RULES, "parsing_configuration": {"target_pages": "3-1"}}}, 422),
        (SECOND, {"configuration": {"rules": RULES, "parsing_configuration": {"target_pages": "x"}}}, 422),
        (SECOND, {"configuration": None, "configuration_id": "cfg-unknown"}, 422),
    ],
    ids=lambda value: str(value)[-50:],
)
def test_what_cannot_be_classified_by_is_refused(
    cloud: CloudWorld, url: str, change: dict[str, Any], status: int
) -> None:
    file_id = cloud.upload("a.txt", "text")
    body = {"file_ids": [file_id], "rules": RULES} if url == FIRST else {
        "file_input": file_id, "configuration": {"rules": RULES}
    }  # fmt: skip
    start(cloud, url, {**body, **change}, status)
    assert get(cloud, url)["items"] == []


def test_what_has_no_effect_is_named_in_the_job(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", text_of("invoice"))
    rules, parsing = {"rules": RULES}, {"parsing_configuration": {"lang": "de", "max_pages": 3}}
    second = {"file_input": file_id, "configuration": {**rules, **parsing, "tier": "x"}, "transaction_id": "t-1"}
    made = start(cloud, SECOND, second)
    assert made["ignored_parameters"] == ["lang", "tier", "transaction_id"]
    assert get(cloud, f"{SECOND}/{made['id']}")["ignored_parameters"] == ["lang", "tier", "transaction_id"]
    first = start(cloud, FIRST, {"file_ids": [file_id], **rules, **parsing, "webhook_configurations": [{"a": 1}]})
    assert get(cloud, f"{FIRST}/{first['id']}")["ignored_parameters"] == ["lang", "webhook_configurations"]
    plain = start(cloud, SECOND, {"file_input": file_id, "configuration": {**rules, "mode": "FAST"}})
    assert plain["ignored_parameters"] == []
