"""Extraction, second generation: jobs, configurations, pages and rows, lists, cancelling and deleting."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.cloud.ids import DEFAULT_PROJECT_ID
from tests.cloud.conftest import CloudWorld
from tests.fixtures.fake_ollama import FakeOllama
from tests.fixtures.make_files import pdf_file, xlsx_file

PATH = "/api/v2/extract"
SCHEMA = {
    "type": "object",
    "properties": {"item": {"type": "string"}, "price": {"type": "number"}},
    "required": ["item", "price"],
}
LIST = "| Item | Price |\n|---|---|\n| Anvil | 12.50 |\n| Rope | 3.25 |\n| Total | |\n"


@pytest.fixture(scope="module")
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


@pytest.fixture
def writing(cloud: CloudWorld, ollama: FakeOllama) -> CloudWorld:
    cloud.use_model(DEFAULT_PROJECT_ID, provider="ollama", model="writer", base_url=ollama.url)
    ollama.state.requests.clear()
    says(ollama, {"item": "Anvil", "price": 12.5})
    return cloud


def says(ollama: FakeOllama, *answers: Any) -> None:
    ollama.behave(script=[{"answer": json.dumps(each)} for each in answers])


def start(cloud: CloudWorld, file_id: str, **configuration: Any) -> dict[str, Any]:
    body = {"file_input": file_id, "configuration": {"data_schema": SCHEMA, **configuration}}
    answer = cloud.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def finished(cloud: CloudWorld, job: dict[str, Any], *expand: str) -> dict[str, Any]:
    cloud.settle()
    answer = cloud.http.get(f"{PATH}/{job['id']}", params={"expand": list(expand)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_job_reads_a_file(writing: CloudWorld) -> None:
    file_id = writing.upload("list.md", LIST)
    job = start(writing, file_id, tier="agentic")
    assert (job["status"], job["file_input"], job["extract_result"]) == ("PENDING", file_id, None)
    done = finished(writing, job)
    assert (done["status"], done["extract_result"]) == ("COMPLETED", {"item": "Anvil", "price": 12.5})
    assert done["extract_metadata"] is None
    about = finished(writing, job, "extract_metadata")["extract_metadata"]
    (citation,) = about["field_metadata"]["document_metadata"]["price"]["citation"]
    assert citation["matching_text"] == "12.50"
    assert about["ignored_options"] == ["tier"]


def test_a_table_is_read_row_by_row_and_rows_that_lack_something_are_named(
    writing: CloudWorld, ollama: FakeOllama
) -> None:
    rows = [{"item": "Anvil", "price": 12.5}, {"item": "Rope", "price": 3.25}, {"item": "Total", "price": None}]
    says(ollama, {"rows": rows})
    job = start(writing, writing.upload("list.md", LIST), extraction_target="per_table_row", cite_sources=True)
    done = finished(writing, job)
    assert done["extract_result"] == rows[:2]
    about = done["extract_metadata"]
    assert [row["item"]["citation"][0]["matching_text"] for row in about["field_metadata"]["row_metadata"]] == [
        "Anvil",
        "Rope",
    ]
    assert about["warnings"] == ["row 3 is left out: the document does not say what the schema requires: price"]


def test_a_document_is_read_page_by_page(writing: CloudWorld, ollama: FakeOllama, tmp_path: Path) -> None:
    says(ollama, {"item": "Anvil", "price": 12.5}, {"item": None, "price": None}, {"item": "Rope", "price": 3.25})
    pdf = pdf_file(tmp_path / "a.pdf", ["Anvil costs 12.50", "Nothing to see here", "Rope costs 3.25"]).read_bytes()
    job = start(writing, writing.upload("pages.pdf", pdf), extraction_target="per_page")
    done = finished(writing, job, "extract_metadata")
    assert done["extract_result"] == [{"item": "Anvil", "price": 12.5}, {"item": "Rope", "price": 3.25}]
    pages = done["extract_metadata"]["field_metadata"]["page_metadata"]
    assert [each["page_number"] for each in pages] == [1, 3]
    assert pages[1]["price"]["citation"][0]["page"] == 3


def test_only_the_pages_that_are_asked_for_are_read(writing: CloudWorld, ollama: FakeOllama, tmp_path: Path) -> None:
    pdf = pdf_file(tmp_path / "a.pdf", ["Anvil costs 12.50", "Secret page", "Rope costs 3.25"]).read_bytes()
    done = finished(writing, start(writing, writing.upload("pages.pdf", pdf), target_pages="1,3"))
    assert done["metadata"]["usage"]["num_pages_extracted"] == 2
    texts = [each["body"]["messages"][1]["content"] for each in ollama.requests("/api/chat")]
    assert all("Secret" not in text for text in texts)
    missing = finished(writing, start(writing, writing.upload("pages.pdf", pdf), target_pages="9"))
    assert (missing["status"], missing["error_message"]) == (
        "FAILED",
        "none of the pages that are asked for exist: the file has 3",
    )


def test_only_the_sheets_that_are_asked_for_are_read(writing: CloudWorld, ollama: FakeOllama, tmp_path: Path) -> None:
    sheets = {"Prices": [["Item", "Price"], ["Anvil", 12.5]], "Notes": [["Note"], ["Secret"]]}
    book = xlsx_file(tmp_path / "book.xlsx", sheets).read_bytes()
    done = finished(writing, start(writing, writing.upload("book.xlsx", book), sheet_names=["Prices"]))
    assert done["extract_result"] == {"item": "Anvil", "price": 12.5}
    assert "Secret" not in ollama.requests("/api/chat")[0]["body"]["messages"][1]["content"]
    unknown = finished(writing, start(writing, writing.upload("book.xlsx", book), sheet_names=["Costs"]))
    assert unknown["error_message"] == "the file has no sheet 'Costs'; its sheets: Prices, Notes"


def test_a_long_document_is_read_in_parts_and_joined(writing: CloudWorld, ollama: FakeOllama) -> None:
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "names": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["title"],
    }
    text = "A list of names\n\n" + "".join(f"Person number {n} is called Name{n:04d}.\n\n" for n in range(1200))
    says(
        ollama,
        {"title": "A list of names", "names": ["Name0001", "Name0002"]},
        {"title": None, "names": ["Name0600", "Name0001"]},
        {"title": None, "names": ["Name1199"]},
        {"title": None, "names": []},
    )
    body = {"file_input": writing.upload("long.txt", text), "configuration": {"data_schema": schema}}
    done = finished(writing, writing.http.post(PATH, json=body).json())
    assert done["status"] == "COMPLETED", done
    assert done["extract_result"]["title"] == "A list of names"
    parts = [json.loads(each["body"]["messages"][1]["content"]) for each in ollama.requests("/api/chat")]
    asked = [each["text"] for each in parts if "answer" not in each]
    assert "".join(asked).split() == text.split()
    assert len(asked) > 2
    found = done["extract_result"]["names"]
    assert found[:2] == ["Name0001", "Name0002"]
    assert len(found) == len(set(found))


def test_a_saved_configuration_is_used_and_what_stands_beside_it_wins(writing: CloudWorld) -> None:
    parameters = {"product_type": "extract_v2", "data_schema": SCHEMA, "max_pages": 3}
    saved = writing.http.post("/api/v1/beta/configurations", json={"name": "prices", "parameters": parameters}).json()
    body = {
        "file_input": writing.upload("list.md", LIST),
        "configuration_id": saved["id"],
        "configuration": {"max_pages": 1},
    }
    job = writing.http.post(PATH, json=body).json()
    assert (job["configuration"]["max_pages"], job["configuration_id"]) == (1, saved["id"])
    assert finished(writing, job)["extract_result"] == {"item": "Anvil", "price": 12.5}
    listed = writing.http.get(PATH, params={"configuration_id": saved["id"]}).json()
    assert [each["id"] for each in listed["items"]] == [job["id"]]
    assert writing.http.get(PATH, params={"configuration_id": "cfg-other"}).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "file_input is missing"),
        ({"file_input": "no-such-file", "configuration": {"data_schema": SCHEMA}}, "neither a file nor a parse job"),
        ({"file_input": "FILE"}, "give a configuration"),
        ({"file_input": "FILE", "configuration": {}}, "data_schema is missing"),
        ({"file_input": "FILE", "configuration": {"data_shema": {}}}, "it has 'data_shema'"),
        ({"file_input": "FILE", "configuration": {"data_schema": {"type": "array"}}}, "must describe an object"),
        ({"file_input": "FILE", "configuration": {"data_schema": SCHEMA, "target_pages": "0"}}, "page range"),
        ({"file_input": "FILE", "configuration": {"data_schema": SCHEMA, "max_pages": "all"}}, "max_pages"),
        ({"file_input": "FILE", "configuration": {"data_schema": SCHEMA, "sheet_names": [1]}}, "sheet_names"),
        ({"file_input": "FILE", "configuration": {"data_schema": SCHEMA, "evidence": "some"}}, "evidence"),
        ({"file_input": "FILE", "configuration_id": "cfg-none"}, "cfg-none"),
    ],
)
def test_a_bad_job_is_refused_with_a_reason(cloud: CloudWorld, body: dict[str, Any], reason: str) -> None:
    if body.get("file_input") == "FILE":
        body = {**body, "file_input": cloud.upload("list.md", LIST)}
    answer = cloud.http.post(PATH, json=body)
    assert answer.status_code == 422
    assert reason in answer.json()["message"]


def test_a_job_of_another_project_is_not_found(writing: CloudWorld) -> None:
    job = start(writing, writing.upload("list.md", LIST))
    path = f"{PATH}/{job['id']}"
    for answer in (
        writing.http.get(path, params={"project_id": "other"}),
        writing.http.delete(path, params={"project_id": "other"}),
        writing.http.post(f"{path}/cancel", params={"project_id": "other"}),
    ):
        assert answer.status_code == 404
    assert writing.http.get(PATH, params={"project_id": "other"}).json()["items"] == []


def test_a_job_that_waits_is_cancelled_once(writing: CloudWorld) -> None:
    job = start(writing, writing.upload("list.md", LIST))
    assert writing.http.post(f"{PATH}/{job['id']}/cancel").json()["status"] == "CANCELLED"
    assert finished(writing, job)["status"] == "CANCELLED"
    again = writing.http.post(f"{PATH}/{job['id']}/cancel")
    assert (again.status_code, again.headers["x-should-retry"]) == (409, "false")


def test_a_deleted_job_is_gone_with_its_result(writing: CloudWorld) -> None:
    job = start(writing, writing.upload("list.md", LIST))
    writing.settle()
    assert writing.http.delete(f"{PATH}/{job['id']}").status_code == 200
    assert writing.http.get(f"{PATH}/{job['id']}").status_code == 404
    assert writing.http.delete(f"{PATH}/{job['id']}").status_code == 404


def test_jobs_are_listed_page_by_page_and_by_state(writing: CloudWorld) -> None:
    file_id = writing.upload("list.md", LIST)
    ids = [start(writing, file_id)["id"] for _ in range(3)]
    first = writing.http.get(PATH, params={"page_size": 2}).json()
    token = first["next_page_token"]
    second = writing.http.get(PATH, params={"page_size": 2, "page_token": token}).json()
    assert [each["id"] for each in (*first["items"], *second["items"])] == ids
    assert (first["total_size"], second["next_page_token"]) == (3, None)
    assert writing.http.get(PATH, params={"page_token": token, "status": "FAILED"}).status_code == 422
    assert writing.http.get(PATH, params={"status": "COMPLETED"}).json()["items"] == []
    writing.settle()
    assert len(writing.http.get(PATH, params={"status": "COMPLETED", "file_input": file_id}).json()["items"]) == 3
    assert len(writing.http.get(PATH, params={"job_ids": ids[:2]}).json()["items"]) == 2


def test_a_server_that_is_away_is_tried_again(writing: CloudWorld, ollama: FakeOllama) -> None:
    ollama.behave(busy_503=True)
    job = start(writing, writing.upload("list.md", LIST))
    writing.drain()
    assert writing.http.get(f"{PATH}/{job['id']}").json()["status"] == "PENDING"
    says(ollama, {"item": "Rope", "price": 3.25})
    done = finished(writing, job)
    assert (done["status"], done["extract_result"]) == ("COMPLETED", {"item": "Rope", "price": 3.25})


def test_a_schema_comes_back_as_a_configuration_that_can_be_saved(writing: CloudWorld, ollama: FakeOllama) -> None:
    says(ollama, {"fields": [{"name": "item", "type": "string"}]})
    made = writing.http.post(f"{PATH}/schema/generate", json={"prompt": "price lists", "name": "prices"}).json()
    assert made["parameters"]["product_type"] == "extract_v2"
    saved = writing.http.post("/api/v1/beta/configurations", json=made)
    assert saved.status_code == 200, saved.text
    checked = writing.http.post(f"{PATH}/schema/validation", json={"data_schema": made["parameters"]["data_schema"]})
    assert checked.json()["data_schema"] == made["parameters"]["data_schema"]
    assert writing.http.post(f"{PATH}/schema/validation", json={"data_schema": {"type": 1}}).status_code == 422


def test_a_job_that_is_begun_again_goes_on_where_it_stood(writing: CloudWorld, ollama: FakeOllama) -> None:
    schema = {"type": "object", "properties": {"names": {"type": "array", "items": {"type": "string"}}}}
    text = "".join(f"Person number {n} is called Name{n:04d}.\n\n" for n in range(900))
    first, later = json.dumps({"names": ["Name0001"]}), json.dumps({"names": []})
    ollama.behave(script=[{"answer": first}, {"die_mid_stream": 0}, {"answer": later}])
    body = {"file_input": writing.upload("long.txt", text), "configuration": {"data_schema": schema}}
    done = finished(writing, writing.http.post(PATH, json=body).json())
    assert (done["status"], done["extract_result"]) == ("COMPLETED", {"names": ["Name0001"]})
    asked = [each["body"]["messages"][1]["content"] for each in ollama.requests("/api/chat")]
    assert len(asked) > 2
    assert asked.count(asked[0]) == 1, "what was answered is not asked again"
    assert asked.count(asked[1]) == 2, "what broke is"
    assert not list((writing.settings.projects_dir / "llamacloud").rglob("answers/*"))


def test_what_is_sent_and_has_no_effect_is_named(writing: CloudWorld) -> None:
    configuration = {
        "data_schema": SCHEMA,
        "parse_tier": "fast",
        "no_such_option": "x",
        "target_pages": "1",
        "max_pages": 1,
    }
    body = {"file_input": writing.upload("list.md", LIST), "configuration": configuration, "transaction_id": "t-1"}
    answer = writing.http.post(PATH, json={**body, "webhook_configurations": [{"webhook_url": "http://x"}]})
    about = finished(writing, answer.json(), "extract_metadata")["extract_metadata"]
    expected = ["no_such_option", "parse_tier", "transaction_id", "webhook_configurations"]
    assert about["ignored_options"] == expected
