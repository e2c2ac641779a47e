"""`kill -9` while 200 files are being ingested: everything ends processed exactly once, without anyone's help."""

import random
import time
from pathlib import Path

import pytest

from tests.e2e.system import ProjectClient, System, running_system

FILE_COUNT = 200
WORDS = [f"word{number}" for number in range(400)]


def text_of(number: int) -> bytes:
    chooser = random.Random(number)
    body = " ".join(chooser.choices(WORDS, k=150))
    return f"Report {number}. The code of report {number} is CODE-{number:04d}. {body}".encode()


def start_ingest(system: System) -> tuple[ProjectClient, str]:
    project = system.project("acme", "reports")
    project.create_dataset("reports")
    for number in range(FILE_COUNT):
        project.upload("reports", f"report-{number}.txt", text_of(number))
    return project, project.start("reports")


def wait_for_progress(project: ProjectClient, task_id: str, done: int) -> None:
    deadline = time.monotonic() + 120
    while project.task(task_id)["meta"]["current"] < done:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def assert_processed_exactly_once(system: System, project: ProjectClient, task_id: str) -> None:
    body = project.wait(task_id)
    assert body["state"] == "SUCCESS", [info for good, info in body["result"]["details"] if not good][:3]
    assert body["result"]["processed_files"] == FILE_COUNT
    stored = sum(info["stored_count"] for _, info in body["result"]["details"])
    system.wait_healthy()
    health = project.client.get(f"{project.path}/rag/health").json()
    assert health["status"] == "healthy", health
    for number in (0, 57, FILE_COUNT - 1):
        hits = project.query(f"CODE-{number:04d}", retrieval_strategy="keyword", top_k=5)
        exact = [hit["chunk_id"] for hit in hits if f"CODE-{number:04d}" in hit["content"]]
        assert len(exact) == len(set(exact)) == 1
    datasets = project.client.get(f"{project.path}/datasets").json()["datasets"]
    (reports,) = [each for each in datasets if each["name"] == "reports"]
    files = reports["details"]["files_metadata"]
    assert sum(each["chunk_count"] for each in files) == stored


@pytest.mark.parametrize("part", ["worker-parse", "worker-embed", "redis", "chroma", "api"])
def test_a_killed_process_costs_nothing(part: str, tmp_path: Path) -> None:
    with running_system(tmp_path, LF_LEASE_S="4", LF_SWEEP_INTERVAL_S="1") as system:
        project, task_id = start_ingest(system)
        for done in (5, 60):
            wait_for_progress(project, task_id, done)
            system.kill(part)
            if part == "api":
                system.wait_healthy()
        assert_processed_exactly_once(system, project, task_id)
