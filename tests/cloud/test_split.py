"""Split jobs over HTTP, on PDFs whose pages are known."""

import json
import random
from typing import Any

import pytest

from state.cloud.ids import DEFAULT_PROJECT_ID
from tests.cloud.conftest import CLIENT_HEADERS, CloudWorld
from tests.fixtures.fake_ollama import FakeOllama
from tests.fixtures.make_files import pdf_file
from tests.unit.splitting.documents import CATEGORIES, RECIPE, make

BETA, NEWER = "/api/v1/beta/split/jobs", "/api/v1/split/jobs"
OTHER_PROJECT = "11111111-2222-4333-8444-555555555555"
WANTED = [{"name": each.name, "description": each.description} for each in CATEGORIES]


def pages_of(*kinds: str) -> list[str]:
    chance = random.Random(5)
    return [page for kind in kinds for page in ([RECIPE] if kind == "recipe" else make(kind, chance).pages)]


def pdf_of(cloud: CloudWorld, pages: list[str]) -> bytes:
    return pdf_file(cloud.settings.data_dir / "made.pdf", pages).read_bytes()


def start(cloud: CloudWorld, body: dict[str, Any], url: str = BETA, status: int = 201) -> dict[str, Any]:
    answer = cloud.http.post(url, json=body, headers=CLIENT_HEADERS)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def split(cloud: CloudWorld, file_id: str, policy: Any = None) -> dict[str, Any]:
    strategy = {} if policy is None else {"splitting_strategy": {"allow_uncategorized": policy}}
    body = {
        "document_input": {"type": "file_id", "value": file_id},
        "configuration": {"categories": WANTED, **strategy},
    }
    made = start(cloud, body)
    assert (made["status"], made["result"]) == ("pending", None)
    cloud.settle()
    found: dict[str, Any] = cloud.http.get(f"{BETA}/{made['id']}").json()
    return found


def test_a_bundle_is_split_into_its_documents(cloud: CloudWorld) -> None:
    pages = pages_of("invoice", "medical record", "annual_report")
    job = split(cloud, cloud.upload("bundle.pdf", pdf_of(cloud, pages)))
    assert (job["status"], job["error_message"]) == ("completed", None)
    segments = job["result"]["segments"]
    assert [each["category"] for each in segments] == ["invoice", "medical record", "annual_report"]
    assert [number for each in segments for number in each["pages"]] == list(range(1, len(pages) + 1))
    assert {each["confidence_category"] for each in segments} <= {"high", "medium"}
    assert [each["name"] for each in job["categories"]] == [each.name for each in CATEGORIES]
    assert job["id"].startswith("spl-")


@pytest.mark.parametrize("policy", ["include", "omit", "forbid", None, True, False], ids=str)
def test_a_page_that_fits_no_category_is_treated_as_asked(cloud: CloudWorld, policy: Any) -> None:
    file_id = cloud.upload("bundle.pdf", pdf_of(cloud, [*pages_of("medical record"), RECIPE]))
    segments = split(cloud, file_id, policy)["result"]["segments"]
    found = [(each["category"], each["pages"]) for each in segments]
    if policy in ("include", True):
        assert found == [("medical record", [1]), ("uncategorized", [2])]
    elif policy == "omit":
        assert found == [("medical record", [1])]
    else:
        assert sorted(page for _, pages in found for page in pages) == [1, 2]
        assert {name for name, _ in found} <= {each.name for each in CATEGORIES}


def test_older_and_newer_bodies_start_the_same_job(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.pdf", pdf_of(cloud, pages_of("invoice")))
    source = {"document_input": {"type": "file_id", "value": file_id}}
    older = start(cloud, {**source, "categories": WANTED, "splitting_strategy": {"allow_uncategorized": True}})
    newer = start(cloud, {"file_input": file_id, "configuration": {"categories": WANTED}}, NEWER)
    assert older["splitting_strategy"]["allow_uncategorized"] == "include"
    assert newer["document_input"] == source["document_input"] == older["document_input"]
    assert newer["document_input_type"] == "file_id"
    cloud.settle()
    for url in (BETA, NEWER):
        assert cloud.http.get(f"{url}/{newer['id']}").json()["status"] == "completed"


def test_a_saved_configuration_can_be_named(cloud: CloudWorld) -> None:
    parameters = {"product_type": "split_v1", "categories": WANTED}
    saved = cloud.http.post("/api/v1/beta/configurations", json={"name": "kinds", "parameters": parameters}).json()
    file_id = cloud.upload("a.pdf", pdf_of(cloud, pages_of("invoice")))
    body = {"document_input": {"type": "file_id", "value": file_id}, "configuration_id": saved["id"]}
    made = start(cloud, body)
    assert made["configuration_id"] == saved["id"]
    assert [each["name"] for each in made["categories"]] == [each.name for each in CATEGORIES]
    start(cloud, {**body, "configuration_id": "cfg-unknown"}, status=422)


def test_jobs_are_listed_by_state_id_and_page(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "an invoice with the total due")
    source = {"document_input": {"type": "file_id", "value": file_id}, "configuration": {"categories": WANTED}}
    ids = [start(cloud, source)["id"] for _ in range(3)]
    first = cloud.http.get(BETA, params={"page_size": 2}).json()
    rest = cloud.http.get(BETA, params={"page_size": 2, "page_token": first["next_page_token"]}).json()
    assert [each["id"] for page in (first, rest) for each in page["items"]] == ids
    assert (first["total_size"], rest["next_page_token"]) == (3, None)
    assert cloud.http.get(BETA, params={"status": "completed"}).json()["items"] == []
    chosen = cloud.http.get(BETA, params={"job_ids": [ids[2], ids[0]], "status": "pending"}).json()
    assert [each["id"] for each in chosen["items"]] == [ids[0], ids[2]]
    assert cloud.http.get(BETA, params={"project_id": OTHER_PROJECT}).json()["items"] == []
    assert cloud.http.get(BETA, params={"status": "nonsense"}).status_code == 422


def test_a_file_without_pages_is_one_page(cloud: CloudWorld) -> None:
    segments = split(cloud, cloud.upload("a.txt", "Invoice No. 7\nTotal due 10 EUR"))["result"]["segments"]
    assert [(each["category"], each["pages"]) for each in segments] == [("invoice", [1])]


def test_a_file_that_cannot_be_read_fails_the_job_with_a_reason(cloud: CloudWorld) -> None:
    job = split(cloud, cloud.upload("broken.pdf", b"%PDF-1.4\nnothing"))
    assert (job["status"], job["result"]) == ("failed", None)
    assert job["error_message"]


def test_jobs_and_files_of_another_project_are_not_found(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "text")
    body = {"document_input": {"type": "file_id", "value": file_id}, "configuration": {"categories": WANTED}}
    made = start(cloud, body)
    query = {"project_id": OTHER_PROJECT}
    assert cloud.http.get(f"{BETA}/{made['id']}", params=query).status_code == 404
    assert cloud.http.post(BETA, params=query, json=body).status_code == 404
    assert cloud.http.get(f"{BETA}/spl-unknown").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"configuration": None},
        {"configuration": {"categories": []}},
        {"configuration": {"categories": [{"name": f"c{number}"} for number in range(51)]}},
        {"configuration": {"categories": [{"name": ""}]}},
        {"configuration": {"categories": [{"name": "x" * 201}]}},
        {"configuration": {"categories": [{"name": "x", "description": "y" * 2_001}]}},
        {"configuration": {"categories": [{"name": "x"}, {"name": "x"}]}},
        {"configuration": {"categories": WANTED, "splitting_strategy": {"allow_uncategorized": "maybe"}}},
        {"document_input": {"type": "url", "value": "http://x"}},
        {"document_input": None},
    ],
    ids=lambda change: str(change)[:60],
)
def test_what_cannot_be_split_by_is_refused(cloud: CloudWorld, change: dict[str, Any]) -> None:
    file_id = cloud.upload("a.txt", "text")
    body = {"document_input": {"type": "file_id", "value": file_id}, "configuration": {"categories": WANTED}}
    start(cloud, {**body, **change}, status=422)
    assert cloud.http.get(BETA).json()["items"] == []


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page is in doubt."""
    monkeypatch.setattr("rag.splitting.split.SURE", 2.0)


@pytest.mark.usefixtures("doubtful")
def test_a_model_that_writes_says_what_is_doubtful(cloud: CloudWorld) -> None:
    pages = ["Vorgang 4711\nkeine Beanstandung", *pages_of("medical record")]
    file_id = cloud.upload("bundle.pdf", pdf_of(cloud, pages))
    entry = {"page": 1, "category": "letter", "confidence": "high", "begins_document": True}
    with FakeOllama() as ollama:
        cloud.use_model(DEFAULT_PROJECT_ID, provider="ollama", model="writer", base_url=ollama.url)
        ollama.behave(script=[{"answer": json.dumps({"pages": [entry]})}])
        job = split(cloud, file_id)
        asked = json.dumps(ollama.state.requests)
    assert (job["status"], job["error_message"]) == ("completed", None)
    assert [(each["category"], each["pages"]) for each in job["result"]["segments"]] == [
        ("letter", [1]),
        ("medical record", [2]),
    ]
    assert "keine Beanstandung" in asked
    kept = cloud.settings.projects_dir / "llamacloud" / DEFAULT_PROJECT_ID
    assert not list(kept.rglob("*.npz")), "what the steps hand on does not stay"


@pytest.mark.usefixtures("doubtful")
def test_a_model_that_is_away_fails_the_job_and_says_so(cloud: CloudWorld) -> None:
    cloud.use_model(DEFAULT_PROJECT_ID, provider="ollama", model="writer", base_url="http://127.0.0.1:9")
    job = split(cloud, cloud.upload("a.txt", "Vorgang 4711"))
    assert (job["status"], job["result"]) == ("failed", None)
    assert "127.0.0.1:9" in job["error_message"]


def test_jobs_are_listed_under_both_paths(cloud: CloudWorld) -> None:
    made = start(cloud, {"file_input": cloud.upload("a.txt", "text"), "configuration": {"categories": WANTED}}, NEWER)
    for url in (BETA, NEWER):
        assert [each["id"] for each in cloud.http.get(url).json()["items"]] == [made["id"]]


@pytest.mark.usefixtures("doubtful")
def test_a_worker_that_dies_at_the_very_end_costs_no_more_than_a_second_try(cloud: CloudWorld) -> None:
    file_id = cloud.upload("bundle.pdf", pdf_of(cloud, ["Vorgang 4711\nkeine Beanstandung"]))
    entry = {"page": 1, "category": "letter", "confidence": "high", "begins_document": True}
    cloud.crash(cloud.cloud_jobs, "finish", when="before")
    with FakeOllama() as ollama:
        cloud.use_model(DEFAULT_PROJECT_ID, provider="ollama", model="writer", base_url=ollama.url)
        ollama.behave(script=[{"answer": json.dumps({"pages": [entry]})}])
        job = split(cloud, file_id)
    assert (job["status"], job["error_message"]) == ("completed", None)
    assert [each["category"] for each in job["result"]["segments"]] == ["letter"]
    assert not list(cloud.settings.projects_dir.rglob("*.npz"))


def test_only_the_pages_that_are_asked_for_are_split(cloud: CloudWorld) -> None:
    pages = [*pages_of("medical record"), *pages_of("medical record"), *pages_of("medical record")]
    file_id = cloud.upload("bundle.pdf", pdf_of(cloud, pages))
    body = {"file_input": file_id, "configuration": {"categories": WANTED, "target_pages": "3,1"}}
    made = start(cloud, body, NEWER)
    cloud.settle()
    job = cloud.http.get(f"{NEWER}/{made['id']}").json()
    assert (job["status"], job["target_pages"], job["ignored_parameters"]) == ("completed", "3,1", [])
    assert [each["pages"] for each in job["result"]["segments"]] == [[1], [3]]
    none = start(cloud, {**body, "configuration": {"categories": WANTED, "target_pages": "9"}}, NEWER)
    cloud.settle()
    assert "names no page" in cloud.http.get(f"{NEWER}/{none['id']}").json()["error_message"]
    start(cloud, {**body, "configuration": {"categories": WANTED, "target_pages": "0"}}, NEWER, status=422)


def test_what_has_no_effect_is_named_in_the_job(cloud: CloudWorld) -> None:
    strategy = {"allow_uncategorized": "omit", "custom_instructions": "by year", "future": {"a": 1}}
    configuration = {"categories": WANTED, "splitting_strategy": strategy, "parse_tier": "fast", "version": None}
    body = {"file_input": cloud.upload("a.txt", "text"), "configuration": configuration, "transaction_id": "t-1"}
    made = start(cloud, {**body, "webhook_configurations": [], "project_id": None}, NEWER)
    expected = ["custom_instructions", "future", "parse_tier", "transaction_id"]
    assert made["ignored_parameters"] == expected
    assert cloud.http.get(f"{BETA}/{made['id']}").json()["ignored_parameters"] == expected
