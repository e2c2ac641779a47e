"""Spreadsheet jobs: regions of workbooks, and their Parquet files behind signed links."""

import datetime as dt
import io
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.styles import Font

from tests.cloud.conftest import CLIENT_HEADERS, CloudWorld
from tests.workers.world import LEASE_S
from workers.cloud import sheets
from workers.cloud.runner import run_next

JOBS = "/api/v1/beta/sheets/jobs"
DAY = dt.datetime(2026, 1, 5)  # noqa: DTZ001  # sheets know no zones


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


SALES = workbook(
    Sales=[["Sales report"], [], ["Region", "Units", "Price", "Day"], ["North", 3, 1.5, DAY], ["South", 4, 2.5, DAY]],
    Staff=[["Name", "Age"], ["Ann", 40], ["Bob", 35]],
)


def run(cloud: CloudWorld, name: str, content: bytes | str, **config: Any) -> dict[str, Any]:
    made = cloud.http.post(JOBS, json={"file_id": cloud.upload(name, content), "config": config})
    assert made.status_code == 200, made.text
    assert made.json()["status"] == "PENDING"
    cloud.settle()
    answer = cloud.http.get(f"{JOBS}/{made.json()['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def link(cloud: CloudWorld, job: dict[str, Any], number: int, kind: str, **query: Any) -> Any:
    region = job["regions"][number]["region_id"]
    return cloud.http.get(f"{JOBS}/{job['id']}/regions/{region}/result/{kind}", params=query)


def download(cloud: CloudWorld, job: dict[str, Any], number: int, kind: str | None = None) -> pa.Table:
    answer = link(cloud, job, number, kind or job["regions"][number]["region_type"])
    assert answer.status_code == 200, answer.text
    got = cloud.http.get(answer.json()["url"])
    assert got.status_code == 200, got.text
    assert got.headers["content-type"] == "application/vnd.apache.parquet"
    assert int(got.headers["content-length"]) == len(got.content)
    return pq.read_table(io.BytesIO(got.content))


def test_a_workbook_becomes_regions_with_typed_parquet_files(cloud: CloudWorld) -> None:
    job = run(cloud, "sales.xlsx", SALES)
    assert (job["status"], job["success"], job["errors"]) == ("SUCCESS", True, [])
    places = [(each["sheet_name"], each["region_type"], each["location"]) for each in job["regions"]]
    assert places == [("Sales", "extra", "A1:A1"), ("Sales", "table", "A3:D5"), ("Staff", "table", "A1:B3")]
    table = download(cloud, job, 1)
    assert table.to_pylist()[0] == {"Region": "North", "Units": 3, "Price": 1.5, "Day": DAY}
    assert [str(each) for each in table.schema.types] == ["string", "int64", "double", "timestamp[us]"]
    assert job["regions"][1]["title"] == "Sales report"
    assert [each["sheet_name"] for each in job["worksheet_metadata"]] == ["Sales", "Staff"]
    assert job["file"]["name"] == "sales.xlsx"


def test_cell_metadata_has_a_row_for_every_cell_of_any_region(cloud: CloudWorld) -> None:
    book = openpyxl.load_workbook(io.BytesIO(SALES))
    book["Sales"]["A3"].font = Font(bold=True)
    book["Sales"]["C4"].number_format = "0.0%"
    book["Sales"].row_dimensions[5].hidden = True
    job = run(cloud, "sales.xlsx", saved(book))
    cells = {each["coordinate"]: each for each in download(cloud, job, 1, "cell_metadata").to_pylist()}
    assert len(cells) == 12
    assert cells["A3"]["font_bold"]
    assert not cells["B3"]["font_bold"]
    assert cells["C4"]["is_percentage"]
    assert cells["D4"]["data_type"] == "date"
    assert cells["A5"]["is_hidden"]
    assert not cells["A4"]["is_hidden"]
    assert download(cloud, job, 0, "cell_metadata").num_rows == 1


def test_hidden_cells_are_left_out_when_asked(cloud: CloudWorld) -> None:
    book = openpyxl.load_workbook(io.BytesIO(SALES))
    book["Sales"].row_dimensions[4].hidden = True
    book["Sales"].column_dimensions["C"].hidden = True
    book["Staff"].sheet_state = "hidden"
    job = run(cloud, "sales.xlsx", saved(book), include_hidden_cells=False)
    assert {each["sheet_name"] for each in job["regions"]} == {"Sales"}
    assert job["regions"][1]["location"] == "A3:D5"
    assert download(cloud, job, 1).to_pylist() == [{"Region": "South", "Units": 4, "Day": DAY}]
    everything = run(cloud, "sales.xlsx", saved(book))
    assert {each["sheet_name"] for each in everything["regions"]} == {"Sales", "Staff"}
    assert download(cloud, everything, 1).num_rows == 2


def test_a_range_is_exactly_one_region(cloud: CloudWorld) -> None:
    job = run(cloud, "sales.xlsx", SALES, sheet_names=["Sales"], extraction_range="A3:B5")
    assert [each["location"] for each in job["regions"]] == ["A3:B5"]
    assert download(cloud, job, 0).to_pydict() == {"Region": ["North", "South"], "Units": [3, 4]}


@pytest.mark.parametrize("text", ["", "A0:B2", "1A", "A1:B", "XFE1:XFF2", "A1:B2:C3"])
def test_what_is_no_range_is_refused_at_once(cloud: CloudWorld, text: str) -> None:
    body = {"file_id": cloud.upload("sales.xlsx", SALES), "config": {"extraction_range": text}}
    answer = cloud.http.post(JOBS, json=body)
    assert answer.status_code == 422
    assert "A1 notation" in answer.json()["detail"]


def test_an_unknown_sheet_beside_a_good_one_is_a_partial_success(cloud: CloudWorld) -> None:
    job = run(cloud, "sales.xlsx", SALES, sheet_names=["Staff", "Nope"])
    assert (job["status"], job["success"]) == ("PARTIAL_SUCCESS", True)
    assert "no sheet 'Nope'" in job["errors"][0]
    assert len(job["regions"]) == 1
    only = run(cloud, "sales.xlsx", SALES, sheet_names=["Nope"])
    assert (only["status"], only["success"], only["regions"]) == ("ERROR", False, [])
    assert "Sales, Staff" in only["errors"][0]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("note.pdf", b"%PDF-1.4 nothing", "is not a spreadsheet"),
        ("bad.xlsx", b"PK\x03\x04 no archive", "damaged"),
        ("empty.xlsx", workbook(Empty=[]), "no filled cells"),
    ],
)
def test_what_has_no_cells_ends_with_an_error(cloud: CloudWorld, name: str, content: bytes, says: str) -> None:
    job = run(cloud, name, content)
    assert (job["status"], job["success"]) == ("ERROR", False)
    assert says in job["errors"][0]
    assert (job["regions"], job["worksheet_metadata"]) == ([], [])


def test_what_is_not_applied_is_said(cloud: CloudWorld) -> None:
    job = run(cloud, "sales.xlsx", SALES, specialization="financial-standard", use_experimental_processing=True)
    assert job["status"] == "SUCCESS"
    assert any("financial-standard" in each for each in job["errors"])
    assert any("use_experimental_processing" in each for each in job["errors"])
    assert job["config"]["specialization"] == "financial-standard"


def test_the_other_kind_of_data_and_an_unknown_region_are_not_found(cloud: CloudWorld) -> None:
    job = run(cloud, "sales.xlsx", SALES)
    assert link(cloud, job, 1, "extra").status_code == 404
    assert link(cloud, job, 0, "table").status_code == 404
    assert cloud.http.get(f"{JOBS}/{job['id']}/regions/nope/result/table").status_code == 404
    assert cloud.http.get(f"{JOBS}/nope/regions/nope/result/table").status_code == 404
    assert link(cloud, job, 1, "table", expires_at_seconds=0).status_code == 422
    assert link(cloud, job, 1, "chart").status_code == 422


def test_deleting_a_job_removes_its_results_and_its_links(cloud: CloudWorld) -> None:
    job = run(cloud, "sales.xlsx", SALES)
    url = link(cloud, job, 1, "table").json()["url"]
    stored = [path for path in Path(cloud.settings.data_dir).rglob("*.parquet") if job["id"] in str(path)]
    assert len(stored) == 6
    answer = cloud.http.delete(f"{JOBS}/{job['id']}")
    assert (answer.status_code, answer.json()) == (200, {})
    assert not any(path.exists() for path in stored)
    assert cloud.http.get(url).status_code == 404
    assert cloud.http.get(f"{JOBS}/{job['id']}").status_code == 404
    assert cloud.http.delete(f"{JOBS}/{job['id']}").status_code == 404


def test_a_job_deleted_while_it_waits_leaves_nothing(cloud: CloudWorld) -> None:
    made = cloud.http.post(JOBS, json={"file_id": cloud.upload("sales.xlsx", SALES)}).json()
    cloud.http.delete(f"{JOBS}/{made['id']}")
    cloud.settle()
    assert not list(Path(cloud.settings.data_dir).rglob("*.parquet"))


def test_jobs_are_listed_with_results_only_when_asked(cloud: CloudWorld) -> None:
    good, bad = run(cloud, "sales.xlsx", SALES), run(cloud, "note.pdf", b"%PDF-1.4 nothing")
    page = cloud.http.get(JOBS).json()
    assert [each["id"] for each in page["items"]] == [good["id"], bad["id"]]
    assert (page["items"][0]["regions"], page["total_size"]) == ([], 2)
    assert cloud.http.get(JOBS, params={"include_results": True}).json()["items"][0]["regions"] == good["regions"]
    assert [each["id"] for each in cloud.http.get(JOBS, params={"status": "ERROR"}).json()["items"]] == [bad["id"]]
    chosen = cloud.http.get(JOBS, params={"job_ids": [bad["id"], "other"]}).json()
    assert [each["id"] for each in chosen["items"]] == [bad["id"]]
    first = cloud.http.get(JOBS, params={"page_size": 1}).json()
    rest = cloud.http.get(JOBS, params={"page_size": 1, "page_token": first["next_page_token"]}).json()
    assert [first["items"][0]["id"], rest["items"][0]["id"]] == [good["id"], bad["id"]]
    assert cloud.http.get(f"{JOBS}/{good['id']}", params={"include_results": False}).json()["regions"] == []


def test_jobs_of_other_projects_are_not_seen(cloud: CloudWorld) -> None:
    job = run(cloud, "sales.xlsx", SALES)
    other = {"project_id": "other"}
    assert cloud.http.get(f"{JOBS}/{job['id']}", params=other).status_code == 404
    assert cloud.http.delete(f"{JOBS}/{job['id']}", params=other).status_code == 404
    assert cloud.http.get(JOBS, params=other).json()["items"] == []
    answer = cloud.http.post(JOBS, params=other, json={"file_id": job["file_id"]})
    assert answer.status_code == 404


def test_newer_clients_use_other_paths_and_words_for_the_same_jobs(cloud: CloudWorld) -> None:
    newer = JOBS.replace("beta/", "")
    body = {
        "file_id": cloud.upload("sales.xlsx", SALES),
        "configuration": {"sheet_names": ["Staff"], "tier": "agentic"},
    }
    made = cloud.http.post(newer, json=body, headers=CLIENT_HEADERS).json()
    cloud.settle()
    job = cloud.http.get(f"{newer}/{made['id']}").json()
    assert [each["sheet_name"] for each in job["regions"]] == ["Staff"]
    assert any("agentic" in each for each in job["errors"])
    assert cloud.http.get(newer).json() == cloud.http.get(JOBS).json()
    region = job["regions"][0]["region_id"]
    assert cloud.http.get(f"{newer}/{job['id']}/regions/{region}/result/table").status_code == 200
    assert cloud.http.delete(f"{newer}/{job['id']}").status_code == 200


def test_a_deleted_file_is_shown_as_it_was(cloud: CloudWorld) -> None:
    job = run(cloud, "sales.xlsx", SALES)
    cloud.http.delete(f"/api/v1/beta/files/{job['file_id']}")
    later = cloud.http.get(f"{JOBS}/{job['id']}").json()
    assert later["file"]["name"] == "sales.xlsx"
    assert download(cloud, later, 1).num_rows == 2


def test_a_saved_configuration_is_used(cloud: CloudWorld) -> None:
    parameters = {"product_type": "spreadsheet_v1", "sheet_names": ["Staff"]}
    saved_one = cloud.http.post("/api/v1/beta/configurations", json={"name": "staff", "parameters": parameters})
    assert saved_one.status_code in (200, 201), saved_one.text
    body = {"file_id": cloud.upload("sales.xlsx", SALES), "configuration_id": saved_one.json()["id"]}
    made = cloud.http.post(JOBS, json=body).json()
    assert made["config"]["sheet_names"] == ["Staff"]


def test_a_worker_that_wakes_too_late_spoils_nothing(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lost its lease while it read; another has taken the job over and ended it."""
    real = sheets.extract

    def stalled(*given: Any) -> Any:
        monkeypatch.setattr(sheets, "extract", real)
        cloud.clock.now += 5 * LEASE_S
        assert cloud.cloud_jobs.take_over_expired() == 1
        assert run_next(cloud.worker("worker-2"), "parse")
        return real(*given)

    monkeypatch.setattr(sheets, "extract", stalled)
    job = run(cloud, "sales.xlsx", SALES)
    assert (job["status"], len(job["regions"])) == ("SUCCESS", 3)
    assert download(cloud, job, 1).num_rows == 2
    stored = {path.parent.name for path in Path(cloud.settings.data_dir).rglob("*.parquet")}
    assert stored == {job["id"]}, "drafts do not stay"


def test_a_job_begun_again_after_a_crash_has_its_results_once(cloud: CloudWorld) -> None:
    cloud.crash(cloud.cloud_jobs, "finish", when="before")
    job = run(cloud, "sales.xlsx", SALES)
    assert job["status"] == "SUCCESS"
    assert download(cloud, job, 1).num_rows == 2
    assert len(list(Path(cloud.settings.data_dir).rglob("*.parquet"))) == 6
