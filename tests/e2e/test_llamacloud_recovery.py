"""`kill -9` of each worker while an index takes in files: the sync ends by itself, and everything is there once."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import System, running_system, wait_for
from tests.e2e.test_crash_recovery import text_of
from tests.e2e.test_llamacloud_indexes import ask, upload

FILES_AT_ONCE = 60
PROJECT = {"project_id": "killed"}


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with running_system(tmp_path, LF_LEASE_S="4", LF_SWEEP_INTERVAL_S="1") as found:
        yield found


def facts_of(system: System, index: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(system, "GET", f"indexes/{index}", PROJECT)["metadata"]
    return found


def test_a_killed_worker_costs_a_sync_nothing(system: System) -> None:
    directory = ask(system, "POST", "beta/directories", PROJECT, json={"name": "reports"})["id"]
    index = ""
    for turn, part in enumerate(("worker-default", "worker-parse", "worker-embed")):
        for number in range(turn * FILES_AT_ONCE, (turn + 1) * FILES_AT_ONCE):
            file_id = upload(system, PROJECT, f"report-{number}.txt", text_of(number).decode())
            ask(system, "POST", f"beta/directories/{directory}/files", PROJECT, json={"file_id": file_id})
        pid = int(system.parts()[part]["pid"])
        if index:
            ask(system, "POST", f"indexes/{index}/sync", PROJECT)
        else:
            index = ask(system, "POST", "indexes", PROJECT, json={"source_directory_id": directory})["id"]
        if part != "worker-default":  # that one has the sync itself in hand, which is over soon
            wait_for_files(system, index, turn * FILES_AT_ONCE + 1)
        os.kill(pid, signal.SIGKILL)
        assert facts_of(system, index)["status"] != "ready", f"{part} was killed too late"
        total = (turn + 1) * FILES_AT_ONCE
        wait_for_files(system, index, total)
        wait_for(partial(is_ready, system, index), 60, "the sync has ended")
        assert int(system.parts()[part]["pid"]) != pid
        assert_there_once(system, index, total)


def wait_for_files(system: System, index: str, count: int) -> None:
    wait_for(lambda: facts_of(system, index)["files_completed"] >= count, 180, f"{count} files are taken in")


def is_ready(system: System, index: str) -> bool:
    return bool(facts_of(system, index)["status"] == "ready")


def assert_there_once(system: System, index: str, total: int) -> None:
    facts = facts_of(system, index)
    assert (facts["file_count"], facts["files_completed"], facts["files_failed"]) == (total, total, 0)
    name = index.replace("-", "_")
    datasets = system.client.get("/v1/projects/llamacloud/killed/datasets").json()["datasets"]
    (files,) = [each["details"]["files_metadata"] for each in datasets if each["name"] == name]
    assert len(files) == total
    assert sum(each["chunk_count"] for each in files) == facts["chunk_count"]
    stats = system.client.get("/v1/projects/llamacloud/killed/rag/stats", params={"database": name}).json()
    assert stats["chunk_count"] == facts["chunk_count"], stats
    for number in (0, total // 2, total - 1):
        code = f"CODE-{number:04d}"
        body = {"index_id": index, "query": code, "top_k": 20}
        results = ask(system, "POST", "retrieval/retrieve", PROJECT, json=body)["results"]
        assert len([each for each in results if code in each["content"]]) == 1
