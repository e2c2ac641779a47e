"""Indexes and pipelines over the running system: the real store, the real model, four API processes."""

import uuid
from typing import Any

import pytest

from tests.e2e.system import System, wait_for

TIDES = "The moon pulls the water of the sea, which rises and falls twice a day."
BREAD = "Flour, water, salt and a sour dough make a loaf of bread."


@pytest.fixture
def project() -> dict[str, str]:
    """The query of a project that nothing else uses."""
    return {"project_id": f"e2e-{uuid.uuid4().hex[:8]}"}


def ask(system: System, method: str, path: str, project: dict[str, str], **options: Any) -> Any:
    answer = system.client.request(method, f"/api/v1/{path}", params=project, **options)
    assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
    return answer.json() if answer.content else None


def upload(system: System, project: dict[str, str], name: str, text: str) -> str:
    files = {"file": (name, text.encode())}
    return str(ask(system, "POST", "beta/files", project, files=files, data={"purpose": "user_data"})["id"])


def test_a_directory_becomes_searchable_follows_changes_and_is_forgotten(
    system: System, project: dict[str, str]
) -> None:
    directory = ask(system, "POST", "beta/directories", project, json={"name": "papers"})["id"]
    entries = {}
    for name, text in (("tides.txt", TIDES), ("bread.txt", BREAD)):
        body = {"file_id": upload(system, project, name, text), "metadata": {"topic": name[:-4]}}
        entries[name] = ask(system, "POST", f"beta/directories/{directory}/files", project, json=body)["id"]
    index = ask(system, "POST", "indexes", project, json={"source_directory_id": directory})["id"]

    def state() -> dict[str, Any]:
        found: dict[str, Any] = ask(system, "GET", f"indexes/{index}", project)
        return found

    wait_for(lambda: state()["last_exported_at"] is not None, 120, "the index is built")
    facts = state()["metadata"]
    assert (facts["status"], facts["files_completed"], facts["embedding_dimension"]) == ("ready", 2, 384), facts

    def search(query: str) -> list[dict[str, Any]]:
        body = {"index_id": index, "query": query, "top_k": 1}
        results: list[dict[str, Any]] = ask(system, "POST", "retrieval/retrieve", project, json=body)["results"]
        return results

    assert search("Why does the ocean go up and down?")[0]["content"] == TIDES
    assert search("sour dough")[0]["metadata"] == {"topic": "bread"}
    before = state()["last_exported_at"]
    ask(system, "DELETE", f"beta/directories/{directory}/files/{entries['bread.txt']}", project)
    ask(system, "POST", f"indexes/{index}/sync", project)
    wait_for(lambda: state()["last_exported_at"] != before, 60, "the sync has ended")
    assert state()["metadata"]["file_count"] == 1
    assert search("sour dough")[0]["content"] == TIDES
    ask(system, "DELETE", f"indexes/{index}", project)
    assert system.client.get(f"/api/v1/indexes/{index}", params=project).status_code == 404
    name = index.replace("-", "_")
    path = f"/v1/projects/llamacloud/{project['project_id']}/rag/databases"

    def is_gone() -> bool:
        return name not in [each["name"] for each in system.client.get(path).json()["databases"]]

    wait_for(is_gone, 60, "the database is gone")


def test_a_pipeline_takes_files_and_answers(system: System, project: dict[str, str]) -> None:
    body = {"name": "papers", "embedding_model": "all-MiniLM-L6-v2"}
    pipeline = ask(system, "POST", "pipelines", project, json=body)["id"]
    files = [
        {"file_id": upload(system, project, "tides.txt", TIDES), "metadata": {"topic": "sea"}},
        {"file_id": upload(system, project, "bread.txt", BREAD)},
    ]
    ask(system, "PUT", f"pipelines/{pipeline}/files", project, json=files)

    def status() -> str:
        return str(ask(system, "GET", f"pipelines/{pipeline}/status", project)["status"])

    wait_for(lambda: status() not in ("NOT_STARTED", "IN_PROGRESS"), 120, "the pipeline is in step")
    assert status() == "SUCCESS"
    assert ask(system, "GET", f"pipelines/{pipeline}/files/count", project)["completed"] == 2
    for mode in ("fast", "accurate", "advanced"):
        question = {"query": "Why does the ocean go up and down?", "mode": mode, "top_k": 1}
        (found,) = ask(system, "POST", f"pipelines/{pipeline}/retrieve", project, json=question)["results"]
        assert (found["text"], found["metadata"]["topic"]) == (TIDES, "sea"), mode
    ask(system, "DELETE", f"pipelines/{pipeline}", project)
