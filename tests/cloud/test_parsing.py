"""Parsing jobs: uploads of the first generation, and /api/v2/parse."""

import io
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.conftest import CloudWorld
from tests.fixtures.make_files import pdf_file


@pytest.fixture
def paper(tmp_path: Path) -> bytes:
    return pdf_file(tmp_path / "paper.pdf", ["The first page.", "The second page.", "The third page."]).read_bytes()


def parsed(cloud: CloudWorld, data: bytes, name: str = "paper.pdf", **fields: Any) -> str:
    """The id of a job that has ended."""
    answer = cloud.http.post("/api/parsing/upload", files={"file": (name, io.BytesIO(data))}, data=fields)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "PENDING"
    cloud.settle()
    return str(answer.json()["id"])


@pytest.mark.parametrize("prefix", ["/api/parsing", "/api/v1/parsing"])
def test_an_upload_gives_text_markdown_and_pages_under_both_prefixes(
    cloud: CloudWorld, paper: bytes, prefix: str
) -> None:
    job_id = parsed(cloud, paper)
    job = cloud.http.get(f"{prefix}/job/{job_id}").json()
    assert (job["id"], job["status"]) == (job_id, "SUCCESS")
    result = f"{prefix}/job/{job_id}/result"
    whole = "The first page.\n---\nThe second page.\n---\nThe third page."
    assert cloud.http.get(f"{result}/text").json()["text"] == whole
    assert cloud.http.get(f"{result}/markdown").json()["markdown"] == whole
    assert cloud.http.get(f"{result}/raw/text").text == whole
    assert cloud.http.get(f"{result}/raw/markdown").text == whole
    pages = cloud.http.get(f"{result}/json").json()
    assert [(each["page"], each["text"]) for each in pages["pages"]] == [
        (1, "The first page."),
        (2, "The second page."),
        (3, "The third page."),
    ]
    assert pages["job_metadata"]["job_pages"] == 3
    assert cloud.http.get(f"{result}/raw/json").json() == pages


def test_an_address_in_place_of_a_file_is_refused(cloud: CloudWorld) -> None:
    answer = cloud.http.post("/api/parsing/upload", files={"input_url": (None, "http://169.254.169.254/")})
    assert answer.status_code == 400
    assert "input_url" in answer.json()["detail"]


def test_a_parameter_of_another_type_is_refused_and_nothing_is_stored(cloud: CloudWorld, paper: bytes) -> None:
    answer = cloud.http.post("/api/parsing/upload", files={"file": ("a.pdf", paper)}, data={"fast_mode": "often"})
    assert answer.status_code == 422
    assert "fast_mode" in answer.json()["detail"]
    assert cloud.http.get("/api/v1/beta/files").json()["items"] == []


def test_a_file_that_cannot_be_read_ends_as_an_error_that_says_why(cloud: CloudWorld) -> None:
    job_id = parsed(cloud, b"%PDF-1.4 nothing that follows", "broken.pdf")
    job = cloud.http.get(f"/api/parsing/job/{job_id}").json()
    assert job["status"] == "ERROR"
    assert "broken.pdf" in job["error_message"]
    assert cloud.http.get(f"/api/parsing/job/{job_id}/result/text").status_code == 404


def test_details_mask_secrets(cloud: CloudWorld, paper: bytes) -> None:
    job_id = parsed(cloud, paper, gpt4o_api_key="sk-very-secret", page_prefix="<")
    details = cloud.http.get(f"/api/v1/parsing/job/{job_id}/details")
    assert details.json()["parameters"] == {"gpt4o_api_key": "***", "page_prefix": "<"}
    assert "sk-very-secret" not in details.text
    assert details.json()["job_metadata"]["ignored_parameters"] == ["gpt4o_api_key"]


def test_v2_parses_a_file_by_its_id_with_pages_from_one(cloud: CloudWorld, paper: bytes) -> None:
    file_id = cloud.upload("paper.pdf", paper)  # type: ignore[arg-type]
    made = cloud.http.post("/api/v2/parse", json={"file_id": file_id, "page_ranges": {"target_pages": "2-3"}})
    assert made.status_code == 200, made.text
    assert made.json()["status"] == "PENDING"
    cloud.settle()
    query = {"expand": ["markdown", "text", "items", "metadata"]}
    got = cloud.http.get(f"/api/v2/parse/{made.json()['id']}", params=query).json()
    assert got["job"]["status"] == "COMPLETED"
    assert [(each["page_number"], each["markdown"]) for each in got["markdown"]["pages"]] == [
        (2, "The second page."),
        (3, "The third page."),
    ]
    assert got["items"]["pages"][0]["items"] == [
        {"type": "text", "value": "The second page.", "md": "The second page."}
    ]
    listed = cloud.http.get("/api/v2/parse", params={"status": "COMPLETED"}).json()
    assert [each["id"] for each in listed["items"]] == [made.json()["id"]]


def test_v2_upload_takes_its_configuration_from_the_form(cloud: CloudWorld, paper: bytes) -> None:
    answer = cloud.http.post(
        "/api/v2/parse/upload",
        files={"file": ("paper.pdf", paper)},
        data={"configuration": '{"tier": "fast", "page_ranges": {"max_pages": 1}}'},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["tier"] == "fast"
    cloud.settle()
    got = cloud.http.get(f"/api/v2/parse/{answer.json()['id']}", params={"expand": "text_full"}).json()
    assert got["text_full"] == "The first page."


def test_a_waiting_job_can_be_cancelled_once(cloud: CloudWorld, paper: bytes) -> None:
    file_id = cloud.upload("paper.pdf", paper)  # type: ignore[arg-type]
    job_id = cloud.http.post("/api/v2/parse", json={"file_id": file_id}).json()["id"]
    assert cloud.http.post(f"/api/v2/parse/{job_id}/cancel").json()["status"] == "CANCELLED"
    again = cloud.http.post(f"/api/v2/parse/{job_id}/cancel")
    assert again.status_code == 409
    assert again.headers["x-should-retry"] == "false"


def test_jobs_of_another_project_are_not_found(cloud: CloudWorld, paper: bytes) -> None:
    job_id = parsed(cloud, paper)
    other = {"project_id": "11111111-1111-4111-8111-111111111111"}
    for path in (f"/api/parsing/job/{job_id}", f"/api/parsing/job/{job_id}/result/json", f"/api/v2/parse/{job_id}"):
        assert cloud.http.get(path, params=other).status_code == 404


@pytest.mark.parametrize("prefix", ["/api/parsing", "/api/v1/parsing"])
def test_every_ending_that_is_listed_has_a_parser(cloud: CloudWorld, prefix: str) -> None:
    endings = cloud.http.get(f"{prefix}/supported_file_extensions").json()
    assert {".pdf", ".docx", ".xlsx", ".md", ".zip"} <= set(endings)
    assert all(each.startswith(".") for each in endings)
