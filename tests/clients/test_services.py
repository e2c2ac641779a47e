"""The helpers of `llama-cloud-services` on top of the strict older client, which refuses what it does not know."""

import json
from collections.abc import Callable

from tests.clients.conftest import Flow, project_of
from tests.fixtures.fake_ollama import FakeOllama

LOAD = {"crane": "K-12", "kilograms": 3200}


def test_a_llama_cloud_index(run_flow: Flow) -> None:
    found = run_flow("services", "services_index")
    assert found["best"] == "The crane K-12 lifts 3,200 kilograms."
    assert found["topic"] == "crane"
    assert 0 < found["score"] <= 1
    assert any("AQ-7" in text for text in found["anchors"])
    assert "grease" in found["winch"]
    assert "rope" not in found["documents"]
    assert {"crane", "winch"} <= set(found["documents"])


def test_llama_extract(run_flow: Flow, use_writing_model: Callable[[str], None], fake_ollama: FakeOllama) -> None:
    project = project_of("services", "services_extract")
    use_writing_model(project)
    fake_ollama.behave(answer=json.dumps(LOAD))
    try:
        found = run_flow("services", "services_extract")
    finally:
        fake_ollama.behave()
    assert (found["status"], found["data"]) == ("SUCCESS", LOAD)
    assert found["is_same"]
    assert f"loads {project}" in found["names"]


def test_llama_parse(run_flow: Flow) -> None:
    found = run_flow("services", "services_parse")
    assert "3,200 kilograms" in " ".join(found["documents"])
    assert len(found["pages"]) == len(found["markdown"]) == 2
    assert "grease each week" in found["pages"][1]
    assert found["job"]


def test_llama_sheets(run_flow: Flow) -> None:
    found = run_flow("services", "services_sheets")
    assert found["status"] == "SUCCESS"
    assert found["columns"] == ["Rope", "Metres", "Price"]
    assert found["rows"] == [["RX-9", "40", "12.5"], ["RX-10", "60", "18.0"]]


def test_typed_agent_data(run_flow: Flow) -> None:
    found = run_flow("services", "services_agent_data")
    assert found == {
        "read": {"number": 1, "state": "open"},
        "changed": 100,
        "found": [100, 5, 3],
        "total": 3,
        "groups": {"open": 3, "paid": 2},
        "left": [3, 4, 5, 100],
    }
