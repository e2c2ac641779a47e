"""Parsing jobs: uploads of the first generation, and /api/v2/parse."""

import io
from pathlib import Path
from typing import Any

import openpyxl
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


@pytest.mark.parametrize("place", ["v1/parsing", "parsing"])
@pytest.mark.parametrize("kind", ["xlsx", "raw/xlsx"])
def test_the_tables_of_a_file_are_a_workbook(cloud: CloudWorld, place: str, kind: str) -> None:
    text = "# Prices\n\n| Name | Price |\n|---|---|\n| Ann | 1.50 |\n\nWords."
    job_id = parsed(cloud, text.encode(), "prices.md")
    answer = cloud.http.get(f"/api/{place}/job/{job_id}/result/{kind}")
    assert answer.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets
    assert list(sheet.values) == [("Name", "Price"), ("Ann", 1.5)]


def test_a_file_without_tables_has_no_workbook(cloud: CloudWorld) -> None:
    job_id = parsed(cloud, b"Words.", "words.txt")
    answer = cloud.http.get(f"/api/parsing/job/{job_id}/result/xlsx")
    assert answer.status_code == 404
    assert "no table in 'words.txt'" in answer.json()["detail"]


def test_an_address_in_place_of_a_file_is_refused(cloud: CloudWorld) -> None:
    answer = cloud.http.post("/api/parsing/upload", files={"input_url": (None, "http://169.254.169.254/")})
    assert answer.status_code == 400
    assert "input_url" in answer.json()["detail"]


def test_a_parameter_of_another_type_is_refused_and_nothing_is_stored(cloud: CloudWorld, paper: bytes) -> None:
    answer = cloud.http.post("/api/parsing/upload", files={"file": ("a.pdf", paper)}, data={"fast_mode": "often"})
    assert answer.status_code == 422
    assert "fast_mode" in answer.json()["detail"]
    assert cloud.http.get("/api/v1/beta/files").json()["items"] == []


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("max_pages", "9" * 30, f"max_pages = '{'9' * 30}': expected a number from 0"),
        ("custom_metadata", "{", "custom_metadata = '{': expected JSON"),
    ],
)
def test_a_field_of_a_form_is_named_with_what_was_given(
    cloud: CloudWorld, paper: bytes, field: str, value: str, says: str
) -> None:
    answer = cloud.http.post("/api/parsing/upload", files={"file": ("a.pdf", paper)}, data={field: value})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(says)


def test_a_file_that_is_deleted_meanwhile_is_called_by_its_name(cloud: CloudWorld, paper: bytes) -> None:
    file_id = cloud.upload("paper.pdf", paper)
    jobs = [
        cloud.http.post("/api/v2/parse", json={"file_id": file_id}).json()["id"],
        cloud.http.post("/api/v1/beta/sheets/jobs", json={"file_id": file_id}).json()["id"],
    ]
    body = {"item_ids": [file_id], "job_config": {"parameters": {"fast_mode": True}}}
    batch = cloud.http.post("/api/v1/beta/batch-processing", json=body).json()["id"]
    assert cloud.http.delete(f"/api/v1/beta/files/{file_id}").status_code == 204
    cloud.settle()
    says = "'paper.pdf' is not stored any more: it was deleted; upload it again"
    assert cloud.http.get(f"/api/v2/parse/{jobs[0]}").json()["job"]["error_message"] == says
    assert cloud.http.get(f"/api/v1/beta/sheets/jobs/{jobs[1]}").json()["errors"] == [says]
    found = cloud.http.get(f"/api/v1/beta/batch-processing/{batch}").json()["job"]
    assert found["error_message"] == f"no item succeeded: {says}"


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
def test_the_endings_of_what_is_read_are_listed(cloud: CloudWorld, prefix: str) -> None:
    endings = cloud.http.get(f"{prefix}/supported_file_extensions").json()
    assert {".pdf", ".docx", ".xlsx", ".md", ".zip"} <= set(endings)
    assert all(each.startswith(".") for each in endings)


def made(cloud: CloudWorld, data: bytes, name: str = "paper.pdf", **body: Any) -> str:
    file_id = cloud.upload(name, data)  # type: ignore[arg-type]
    answer = cloud.http.post("/api/v2/parse", json={"file_id": file_id, **body})
    assert answer.status_code == 200, answer.text
    cloud.settle()
    return str(answer.json()["id"])


def about(cloud: CloudWorld, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.http.get(f"/api/parsing/job/{job_id}/result/text").json()["job_metadata"]
    return found


def test_v2_says_of_every_option_whether_it_had_an_effect(cloud: CloudWorld, paper: bytes) -> None:
    wishes = {
        "tier": "agentic",
        "agentic_options": {"custom_prompt": "Only names."},
        "output_options": {"markdown": {"annotate_links": True, "inline_images": True, "tables": {}}},
        "processing_control": {
            "timeouts": {"base_in_seconds": 500, "extra_time_per_page_in_seconds": 2},
            "job_failure_conditions": {"allowed_page_failure_ratio": 0.5, "fail_on_buggy_font": True},
        },
        "input_options": {"html": {"make_all_elements_visible": True}, "pdf": {}},
        "sparkle": {"level": {"of": [1]}},
        "disable_cache": False,
    }
    found = about(cloud, made(cloud, paper, **wishes))
    assert found["honoured_parameters"] == [
        "annotate_links",
        "job_timeout_extra_time_per_page_in_seconds",
        "job_timeout_in_seconds",
        "page_error_tolerance",
        "tier",
    ]
    assert found["ignored_parameters"] == [
        "agentic_options.custom_prompt",
        "input_options.html.make_all_elements_visible",
        "output_options.markdown.inline_images",
        "processing_control.job_failure_conditions.fail_on_buggy_font",
        "sparkle.level.of",
    ]


def test_v2_reads_hidden_sheets_and_keeps_to_its_time_when_asked(cloud: CloudWorld, paper: bytes) -> None:
    book = openpyxl.Workbook()
    secret = book.create_sheet("Secret")
    secret.append(["unseen"])
    secret.sheet_state = "hidden"
    target = io.BytesIO()
    book.save(target)
    options = {"input_options": {"spreadsheet": {"include_hidden_sheets": True}}}
    job_id = made(cloud, target.getvalue(), "book.xlsx", **options)
    assert "unseen" in cloud.http.get(f"/api/parsing/job/{job_id}/result/text").json()["text"]
    job_id = made(cloud, paper, processing_control={"timeouts": {"base_in_seconds": 0.000001}})
    assert "longer" in cloud.http.get(f"/api/parsing/job/{job_id}").json()["error_message"]


def test_what_a_request_says_counts_for_more_than_its_saved_configuration(cloud: CloudWorld, paper: bytes) -> None:
    parameters = {"product_type": "parse_v2", "tier": "fast", "page_ranges": {"max_pages": 1, "target_pages": "2-3"}}
    saved = cloud.http.post("/api/v1/beta/configurations", json={"name": "mine", "parameters": parameters}).json()["id"]
    job_id = made(cloud, paper, configuration_id=saved, page_ranges={"max_pages": 2}, user_metadata={"case": "7"})
    got = cloud.http.get(f"/api/v2/parse/{job_id}", params={"expand": "text_full"}).json()
    assert got["text_full"] == "The second page.\n---\nThe third page."
    assert (got["job"]["tier"], got["job"]["user_metadata"]) == ("fast", {"case": "7"})


@pytest.mark.parametrize(
    "body",
    [{"page_ranges": 7}, {"output_options": {"markdown": "yes"}}, {"disable_cache": "often"}, {"crop_box": {"top": 3}}],
    ids=str,
)
def test_v2_refuses_options_of_another_type(cloud: CloudWorld, paper: bytes, body: dict[str, Any]) -> None:
    file_id = cloud.upload("paper.pdf", paper)  # type: ignore[arg-type]
    answer = cloud.http.post("/api/v2/parse", json={"file_id": file_id, **body})
    assert answer.status_code == 422


def test_v2_says_which_range_of_pages_or_tier_is_wrong(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.md", "# A")

    def told(**body: Any) -> str:
        answer = cloud.http.post("/api/v2/parse", json={"file_id": file_id, **body})
        assert answer.status_code == 422
        return str(answer.json()["message"])

    assert "'5-1' ends before it begins" in told(page_ranges={"target_pages": "5-1"})
    assert "expected one of fast, cost_effective, agentic, agentic_plus" in told(tier="quick")


def test_pages_that_a_text_does_not_have_are_an_error_as_in_a_pdf(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.md", "# A\n\nwords")
    made = cloud.http.post("/api/v2/parse", json={"file_id": file_id, "page_ranges": {"target_pages": "99"}}).json()
    cloud.settle()
    job = cloud.http.get(f"/api/v2/parse/{made['id']}").json()["job"]
    assert (job["status"], job["error_message"]) == ("FAILED", "'a.md' has 1 page, and none of those asked for")


@pytest.mark.parametrize(("box", "is_good"), [("0.1,0,0.2,1", True), ("", True), ("1,2", False), ("0,0,0,3", False)])
def test_a_bounding_box_is_four_shares_of_a_page(cloud: CloudWorld, box: str, is_good: bool) -> None:
    answer = cloud.http.post("/api/v1/parsing/upload", files={"file": ("a.md", b"# A")}, data={"bounding_box": box})
    assert (answer.status_code == 200) is is_good
    assert is_good or "bounding_box" in answer.json()["message"]


def test_options_that_are_nested_without_end_do_no_harm(cloud: CloudWorld, paper: bytes) -> None:
    deep: dict[str, Any] = {}
    for _ in range(150):
        deep = {"more": deep}
    assert len(about(cloud, made(cloud, paper, strange=deep))["ignored_parameters"]) == 1
