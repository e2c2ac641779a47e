"""`lf models`, `lf events`, `lf examples`, `lf services`, `lf logs`, `lf version`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.client_run import Lf, P
from tests.unit.cli.conftest import StartSupervisor
from tests.unit.cli.fake_api import Events, Reply

MODEL = {"name": "quotes", "provider": "extractive", "model": "extractive", "description": "quotes", "default": True}
DEAD = ("--server-url", "http://127.0.0.1:9")


def test_models_of_a_project_and_of_the_disk(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/models", {"total": 1, "models": [MODEL]}, {"total": 0, "models": []})
    lf.api.on("GET", "/v1/models", {"data": [{"id": "org/small", "size": 1024}, {"name": "llama3.2:3b"}]})
    assert lf("models", "list").stdout.splitlines()[1].split() == ["quotes", "*", "extractive", "extractive", "quotes"]
    assert "No models configured" in lf("models", "list").stderr
    assert lf("models", "list", "--cached").stdout.splitlines()[1].split() == ["org/small", "1.0", "KB"]
    assert lf("models", "status", "org/small:Q4").stdout == "org/small:Q4 is cached\n"
    assert "lf models pull" in lf("models", "status", "org/other", code=1).stderr
    lf("models", "status", "llama3.2:1b", "--provider", "ollama", code=1)
    lf("models", "status", "llama3.2:3b", "--provider", "ollama")
    assert lf.api.seen[-1].query == [("provider", "ollama")]


def test_a_pull_needs_to_be_done(lf: Lf) -> None:
    steps: list[dict[str, Any]] = [
        {"event": "warning", "message": "disk is getting full"},
        {"event": "init", "model_id": "org/small", "total_size": 10, "is_gguf": False},
        {"event": "start", "file": "a.bin", "total": 10},
        {"event": "progress", "file": "a.bin", "downloaded": 5, "total": 10, "percent": 50.0, "keepalive": True},
        {"event": "complete", "model_name": "org/small"},
    ]
    done = {"event": "done", "local_dir": "/cache"}
    lf.api.on("POST", "/v1/models/download", Reply(Events([*steps, done])))
    printed = lf("models", "pull", "org/small")
    assert printed.stdout == "org/small is on the server\n"
    assert "disk is getting full" in printed.stderr
    assert lf.api.seen[-1].json == {"provider": "universal", "model_name": "org/small"}
    assert lf.json("models", "pull", "org/small")["local_dir"] == "/cache"
    lf.api.on("POST", "/v1/models/download", Reply(Events(steps)))
    assert "broke off" in lf("models", "pull", "org/small", code=1).stderr
    lf.api.on("POST", "/v1/models/download", Reply(Events([{"event": "error", "message": "no network"}])))
    assert lf.error("models", "pull", "org/small")["error"] == "no network"


def test_a_model_is_deleted(lf: Lf) -> None:
    lf.api.on("DELETE", "/v1/models/org/small", {"model_name": "org/small", "size_freed": 2048})
    assert lf("models", "delete", "org/small", "-y").stdout == "deleted org/small, 2.0 KB freed\n"


def test_events_are_listed_and_shown(lf: Lf) -> None:
    event = {"event_id": "evt_1", "event_type": "inference", "timestamp": "2026-01-01T00:00:00Z", "duration_ms": 1.5}
    lf.api.on("GET", f"{P}/event_logs", {"total": 3, "events": [{**event, "status": "completed"}]})
    steps = [{"event_name": "request_received", "duration_ms": 0.5, "data": {"model": "m"}}]
    lf.api.on("GET", f"{P}/event_logs/evt_1", {**event, "events": steps})
    done = lf("events", "list", "--type", "inference", "--since", "2026-01-01", "-l", "1")
    assert done.stdout.splitlines()[1].split()[:2] == ["evt_1", "inference"]
    assert done.stderr == "1 of 3\n"
    assert dict(lf.api.seen[-1].query) == {
        "type": "inference",
        "start_time": "2026-01-01",
        "limit": "1",
        "offset": "0",
    }
    assert '0.5 ms  request_received  {"model": "m"}' in lf("events", "show", "evt_1").stdout


def test_examples_are_listed_and_imported(lf: Lf) -> None:
    example = {"id": "handbook", "dataset_count": 2, "data_size_human": "2.0MB", "description": "a bakery"}
    lf.api.on("GET", "/v1/examples", {"examples": [example]})
    assert "handbook  2         2.0MB  a bakery" in lf("examples", "list").stdout
    route = "/v1/examples/handbook"
    lf.api.on("POST", f"{route}/import-project", {"project": "handbook", "datasets": ["a"], "task_ids": ["t1", "t2"]})
    good = {"task_id": "t1", "state": "SUCCESS", "result": {"processed_files": 3, "details": []}}
    bad = [False, {"filename": "x.pdf", "status": "failed", "error": "no text"}]
    failed = {"task_id": "t2", "state": "FAILURE", "result": {"failed_files": 1, "details": [bad]}}
    lf.api.on("GET", "/v1/projects/examples/handbook/tasks/t1", good)
    lf.api.on("GET", "/v1/projects/examples/handbook/tasks/t2", failed)
    done = lf("examples", "import", "handbook", code=4)
    assert "3 files processed" in done.stdout
    assert "x.pdf: no text" in done.stdout
    assert lf.api.requests("POST", f"{route}/import-project")[0].json == {
        "namespace": "examples",
        "name": "handbook",
        "process": True,
    }
    lf.api.on("POST", f"{route}/import-data", {"task_ids": []})
    lf.api.on("POST", f"{route}/import-dataset", {"dataset": "d", "task_id": None})
    lf("examples", "import", "handbook", "--into-project", "--no-process")
    assert lf.api.seen[-1].json == {"namespace": "acme", "project": "bakery", "process": False}
    lf("examples", "import", "handbook", "--dataset", "d")
    assert lf.api.seen[-1].json == {"namespace": "acme", "project": "bakery", "dataset": "d", "process": True}
    lf("examples", "import", "handbook", "--dataset", "d", "--name", "x", code=2)
    lf.json("examples", "import", "handbook", "--name", "x", "--no-wait")


def test_services_are_what_health_says(lf: Lf) -> None:
    parts = [
        {"name": "server", "status": "healthy", "latency_ms": 1, "message": "ok", "details": {"pid": 7}},
        {"name": "rag-service", "status": "healthy", "latency_ms": 2, "message": "ok", "details": {}},
    ]
    lf.api.on("GET", "/health", {"status": "healthy", "components": parts, "timestamp": 5})
    assert "rag-service  healthy" in lf("services", "status").stdout
    found = lf.json("services", "status")
    assert found["services"][0] == {"name": "server", "state": "running", "pid": 7, "health": parts[0]}
    parts[1]["status"] = "unhealthy"
    assert "healthy, but without rag-service" in lf("services", "status").stderr
    lf.api.on("GET", "/health", {"status": "degraded", "summary": "storage=unhealthy", "components": parts})
    assert "the server is degraded: storage=unhealthy" in lf("services", "status", code=1).stderr
    lf("services", "status", *DEAD, code=3)


def test_services_of_this_machine_are_not_those_of_another(lf: Lf) -> None:
    for action in ("start", "stop", "logs"):
        assert "this machine" in lf("services", action, code=2).stderr


@pytest.fixture
def local(lf: Lf, monkeypatch: pytest.MonkeyPatch) -> Lf:
    """Without --server-url, so that commands turn to this machine."""
    lf.api.url = ""
    return lf


def test_logs_are_those_of_the_parts(local: Lf, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "logs"
    folder.mkdir(parents=True)
    for name in ("api", "worker-parse", "worker-embed", "redis"):
        (folder / f"{name}.log").write_text(f"{name} 1\n{name} 2\n")
    data = ("--data-dir", str(tmp_path / "data"))
    assert local("logs", "api", "-n", "1", *data).stdout == "api 2\n"
    assert local("services", "logs", "-s", "rag", "-n", "1", *data).stdout.split() == [
        *("worker-embed", "|", "worker-embed", "2", "worker-parse", "|", "worker-parse", "2")
    ]
    assert local.json("logs", "redis", *data) == {"redis": ["redis 1", "redis 2"]}
    assert "there are api" in local.error("logs", "nonsense", *data)["error"]
    local("logs", "-f", "--json", *data, code=2)


def test_services_stop_and_find_the_server_of_this_machine(
    local: Lf, start_supervisor: StartSupervisor, tmp_path: Path
) -> None:
    supervisor = start_supervisor("one")
    supervisor.wait_until_running()
    data = ("--data-dir", str(tmp_path))
    assert "already running" in local("services", "start", *data).stdout
    assert local.json("services", "stop", *data)["message"] == f"stopped (pid {supervisor.process.pid})"
    assert local("services", "stop", *data).stdout == f"not running on {tmp_path}\n"


def test_the_version_is_told_with_and_without_a_server(lf: Lf) -> None:
    lf.api.on("GET", "/info", {"version": "9.9", "data_directory": "/data"})
    done = lf("version")
    assert done.stdout.startswith("paddock ")
    assert "server 9.9 at" in done.stderr
    assert json.loads(lf("version", "--json", *DEAD).stdout)["server"] is None
