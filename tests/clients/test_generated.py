"""`llama-cloud` as people install it, in four of its versions.

2.13 goes through the tutorial (test_tutorial.py); here it runs what that leaves out. A flow is repeated over versions
where they differ in its calls.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.clients.conftest import Flow, project_of
from tests.fixtures.fake_ollama import FakeOllama

LOAD = {"crane": "K-12", "kilograms": 3200}
FACT = "3,200 kilograms"
DEFAULT_PROJECT_ID = "5d0c9f5e-7a3b-4c1e-9f52-7061646f636b"


@pytest.mark.parametrize("name", ["v2_6", "v2_19", "v1_6"])
def test_files_and_directories(run_flow: Flow, name: str) -> None:
    found = run_flow(name, "files")
    assert found["listed"] == [found["file_id"]]
    assert found["queried"] in (None, [found["file_id"]])
    assert found["is_same"]
    assert (found["renamed"], found["unique_id"]) == ("renamed", "ropes-1")
    assert found["names"] == ["ropes.md", "the handbook.pdf"]
    assert found["is_moved"]
    assert found["left"] == []
    assert found["remaining"]
    assert found["other"] == []
    assert DEFAULT_PROJECT_ID in found["projects"]


@pytest.mark.parametrize("name", ["v2_6", "v2_19"])
def test_an_index_is_built_searched_and_asked(run_flow: Flow, name: str) -> None:
    found = run_flow(name, "indexes")
    assert FACT in found["content"]
    assert found["is_exact"], "the offsets do not lead to the chunk in what files/read gives"
    assert found["page"] == 1
    assert found["year"] == 2024
    assert found["filtered"] == [2025]
    assert found["found"] == ["ropes.md"]
    assert found["matches"] == ["K-12"]
    assert "AQ-7" in found["after_sync"][0]
    assert "3,200" in found["whole"]
    assert found["kind"].startswith("text/event-stream")
    assert found["events"][-1] == "stop"
    assert {"tool_call", "tool_result", "text_delta"} <= set(found["events"])
    assert found["history"].count("user_input") == 2
    assert found["bound"]
    assert found["is_listed"]
    assert found["is_gone"]
    assert name != "v2_6" or found["title"]


@pytest.mark.parametrize("name", ["v2_19", "v1_6"])
def test_agent_data(run_flow: Flow, name: str) -> None:
    found = run_flow(name, "agent_data")
    assert found["total"] == 3
    assert found["ordered"] == [6, 4, 2]
    assert found["groups"] == {"open": 4, "paid": 3}
    assert found["changed"] == found["read"] == {"number": 100}
    assert found["is_moved"]
    assert all(isinstance(value, str) for value in found["removed"].values())
    assert found["ranged"] == [3, 4, 5]
    assert found["deleted"] == 2
    assert found["left"] == [3, 5, 7, 100]


@pytest.mark.parametrize("name", ["v2_6", "v1_6"])
def test_sheets(run_flow: Flow, papers: Path, name: str) -> None:
    found = run_flow(name, "sheets")
    assert found["status"] == "SUCCESS"
    assert (found["sheet"], found["location"]) == ("Prices", "A1:C3")
    assert found["listed"]
    assert found["left"] == []
    project = project_of(name, "sheets")
    table = parquet.read_table(io.BytesIO((papers / f"{project}.parquet").read_bytes()))
    assert table.column_names == ["Rope", "Metres", "Price"]
    assert table.column("Metres").to_pylist() == [40, 60]
    assert table.column("Price").to_pylist() == [12.5, 18.0]
    assert parquet.read_table(io.BytesIO((papers / f"{project}-cells.parquet").read_bytes())).num_rows == 9


@pytest.mark.parametrize("name", ["v2_19", "v1_6"])
def test_a_mixed_file_is_split(run_flow: Flow, name: str) -> None:
    found = run_flow(name, "split")
    assert found["status"].lower() == "completed"
    assert found["segments"] == [["invoice", [1, 2]], ["recipe", [3]]]
    assert found["is_listed"]


@pytest.mark.parametrize("name", ["v2_6", "v1_6"])
def test_a_directory_is_processed_as_a_batch(run_flow: Flow, name: str) -> None:
    found = run_flow(name, "batch")
    assert found["status"] == "completed"
    assert found["counts"] == [3, 3, 0, 0]
    assert found["progress"] == 100
    assert found["items"] == ["anchors.md", "handbook.pdf", "ropes.md"]
    assert found["states"] == ["completed"]
    assert found["job_type"] == "parse"
    assert "target_pages" in found["output"]["honoured_parameters"]
    assert "premium_mode" in found["output"]["ignored_parameters"]
    assert found["skipped"] == ["already_processed"] * 3
    assert found["listed"]


@pytest.mark.parametrize("name", ["v2_13", "v2_19"])
def test_a_batch_of_version_2_runs_a_saved_configuration(run_flow: Flow, name: str) -> None:
    found = run_flow(name, "batches")
    assert found["status"] == "COMPLETED"
    assert len(found["texts"]) == 2
    assert any(FACT in text for text in found["texts"])
    assert found["listed"]
    assert found["configurations"]


@pytest.mark.parametrize("name", ["v1_6", "v2_19"])
def test_a_pipeline_over_files_and_documents(run_flow: Flow, name: str) -> None:
    found = run_flow(name, "pipelines")
    assert found["is_same"]
    assert found["added"] == [True]
    assert found["status"] == "SUCCESS"
    assert FACT in found["best"]
    assert 0 < found["score"] <= 1
    assert found["filtered"] == ["Rope RX-9 is replaced every 18 months."]
    assert found["is_listed"]
    assert found["files"] == ["handbook.pdf"]
    assert found["synced"]
    assert found["kept"] == "Rope RX-9 is replaced every 18 months."


@pytest.mark.parametrize("name", ["v2_6", "v2_19"])
def test_a_file_is_parsed_in_one_call(run_flow: Flow, name: str) -> None:
    found = run_flow(name, "parsing")
    assert found["status"] == "COMPLETED"
    assert [FACT in text for text in found["markdown"]] == [True, False]
    assert "grease each week" in found["text"][1]


@pytest.mark.parametrize("name", ["v2_6", "v1_6"])
def test_files_are_classified(run_flow: Flow, name: str) -> None:
    assert run_flow(name, "classify")["kinds"] == ["invoice", "recipe"]


def test_an_extraction_agent_of_version_1_6(
    run_flow: Flow, use_writing_model: Callable[[str], None], fake_ollama: FakeOllama
) -> None:
    use_writing_model(project_of("v1_6", "extraction"))
    fake_ollama.behave(answer=json.dumps(LOAD))
    try:
        found = run_flow("v1_6", "extraction")
    finally:
        fake_ollama.behave()
    assert found["data"] == LOAD
    assert found["is_listed"]
    assert "K-12" in json.dumps(found["metadata"])


@pytest.mark.parametrize("name", ["v2_6", "v2_19"])
def test_extraction_of_version_2(
    run_flow: Flow, use_writing_model: Callable[[str], None], fake_ollama: FakeOllama, name: str
) -> None:
    use_writing_model(project_of(name, "extract"))
    fake_ollama.behave(answer=json.dumps(LOAD))
    try:
        found = run_flow(name, "extract")
    finally:
        fake_ollama.behave()
    assert found == {"status": "COMPLETED", "data": LOAD}
