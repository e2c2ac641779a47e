"""The built-in project llamafarm/project_seed: made at start, filled when the first question is asked."""

import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag.errors import UpstreamError
from server.parts import Engine
from server.services import seed as seed_module
from server.services.file_import import FileImport
from server.services.seed import DATASET, SEED_FILE, SEED_PROJECT, SeedProject
from state.workers import WorkerInfo
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok

WORKER = WorkerInfo("w", ("parse", "embed", "default"), "host", 1, 0.0)
URL = "/v1/projects/llamafarm/project_seed"


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client(seed_project=True)


@pytest.fixture
def pages(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "pages"
    folder.mkdir()
    found = [folder / "tutorial.md", folder / "settings.md"]
    for path in found:
        path.write_text(f"# {path.stem}\n\nWords about {path.stem}.\n")
    return found


@pytest.fixture
def seed(engine: Engine, pages: list[Path]) -> SeedProject:
    """As a server has it, with pages of its own, and a worker that is alive."""
    engine.dispatcher.workers_alive.append(WORKER)
    return make_seed(engine, pages)


def make_seed(engine: Engine, pages: list[Path], wait_s: float = 1.0) -> SeedProject:
    files = FileImport(engine.projects, engine.generations, engine.dispatcher, max_upload_bytes=1_000_000)
    return SeedProject(
        engine.projects, files, engine.generations, engine.dispatcher, pages=lambda: pages, wait_s=wait_s
    )


def stored_names(client: TestClient) -> list[str]:
    listed = assert_ok(client.get(f"{URL}/datasets"))["datasets"]
    (found,) = [each for each in listed if each["name"] == DATASET]
    return sorted(each["original_file_name"] for each in found["details"]["files_metadata"])


# -- the project --------------------------------------------------------------------------------------------


def test_it_is_there_at_start_valid_and_answers_without_a_model_server(client: TestClient) -> None:
    project = assert_ok(client.get(URL))["project"]
    assert (project["validation_error"], project["warnings"]) == (None, [])
    (default,) = [each for each in project["config"]["runtime"]["models"] if each["name"] == "quotes"]
    assert (project["config"]["runtime"]["default_model"], default["provider"]) == ("quotes", "extractive")
    assert [each["provider"] for each in project["config"]["runtime"]["models"]] == ["extractive", "ollama"]


def test_health_shows_it(client: TestClient) -> None:
    (found,) = client.get("/health").json()["seeds"]
    assert (found["name"], found["status"], found["runtime"]["provider"]) == ("project", "healthy", "extractive")


def test_it_can_be_switched_off(make_client: MakeClient) -> None:
    client = make_client(seed_project=False)
    assert client.get(URL).status_code == 404
    assert client.get("/health").json()["seeds"] == []


def test_it_comes_back_at_the_next_start_after_it_was_deleted(make_client: MakeClient) -> None:
    assert_ok(make_client(seed_project=True).delete(URL))
    assert_ok(make_client(seed_project=True).get(URL))


def test_nobody_else_makes_a_project_in_its_namespace(client: TestClient) -> None:
    response = client.post("/v1/projects/llamafarm", json={"name": "mine"})
    assert_error(response, 400, "reserved", code="ReservedNamespace")


def test_what_a_user_changed_stays_at_the_next_start(make_client: MakeClient) -> None:
    client = make_client(seed_project=True)
    config = assert_ok(client.get(URL))["project"]["config"]
    config["runtime"]["default_model"] = "ollama"
    assert_ok(client.put(URL, json={"config": config}))
    again = assert_ok(make_client(seed_project=True).get(URL))["project"]["config"]
    assert again["runtime"]["default_model"] == "ollama"


def test_one_that_nobody_changed_is_brought_to_the_newer_version(client: TestClient, seed: SeedProject) -> None:
    newer = SEED_FILE.read_bytes().replace(b"temperature: 0.2", b"temperature: 0.1")
    seed.install(newer)
    assert "temperature: 0.1" in config_text(client)
    seed.install(newer.replace(b"temperature: 0.1", b"temperature: 0.3"))
    assert "temperature: 0.3" in config_text(client)


def test_one_that_a_user_changed_is_not_brought_to_the_newer_version(client: TestClient, seed: SeedProject) -> None:
    path = client.app.state.services.engine.projects.paths(*SEED_PROJECT).config_file
    path.write_text(path.read_text().replace("temperature: 0.2", "temperature: 0.7"))
    seed.install(SEED_FILE.read_bytes().replace(b"temperature: 0.2", b"temperature: 0.1"))
    assert "temperature: 0.7" in config_text(client)


def config_text(client: TestClient) -> str:
    return client.app.state.services.engine.projects.paths(*SEED_PROJECT).config_file.read_text()


def test_one_that_another_server_left_stays_as_it_is(make_client: MakeClient, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "projects" / "llamafarm" / "project_seed"
    folder.mkdir(parents=True)
    text = "version: v1\nname: project_seed\nnamespace: llamafarm\nruntime: {provider: ollama, model: x}\n"
    (folder / "llamafarm.yaml").write_text(text)
    client = make_client(seed_project=True)
    assert_ok(client.get(URL))
    assert (folder / "llamafarm.yaml").read_text() == text


def test_a_broken_one_does_not_stop_the_start(make_client: MakeClient, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "projects" / "llamafarm" / "project_seed"
    folder.mkdir(parents=True)
    (folder / "llamafarm.yaml").write_text("{ broken")
    assert_ok(make_client(seed_project=True).get("/health/liveness"))
    assert (folder / "llamafarm.yaml").read_text() == "{ broken"


def test_servers_that_start_at_once_make_one(client: TestClient, engine: Engine, pages: list[Path]) -> None:
    assert_ok(client.delete(URL))
    threads = [threading.Thread(target=make_seed(engine, pages).install) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert assert_ok(client.get(URL))["project"]["validation_error"] is None


# -- its documentation --------------------------------------------------------------------------------------


def test_nothing_is_taken_in_before_somebody_asks(client: TestClient, engine: Engine) -> None:
    assert stored_names(client) == []
    assert engine.dispatcher.started == {}


def test_the_first_question_takes_in_the_documentation_and_processes_it(client: TestClient, engine: Engine) -> None:
    engine.dispatcher.workers_alive.append(WORKER)
    body = {"messages": [{"role": "user", "content": "How do I add a parser?"}]}
    assert_ok(client.post(f"{URL}/chat/completions", json=body))
    assert {"README.md", "tutorial.md", "configuration.md"} <= set(stored_names(client))
    (files,) = engine.dispatcher.started.values()
    assert sorted(file.original_file_name for file in files) == stored_names(client)


def test_a_question_to_another_project_takes_in_nothing(client: TestClient, project: str, engine: Engine) -> None:
    assert_ok(client.post(f"{project}/rag/query", json={"query": "anything"}))
    assert stored_names(client) == []


def test_pages_that_changed_are_replaced_and_files_of_users_stay(
    client: TestClient, engine: Engine, seed: SeedProject, pages: list[Path]
) -> None:
    seed.prepare()
    upload = client.post(f"{URL}/datasets/{DATASET}/data", files={"file": ("mine.md", b"# Mine")})
    assert upload.status_code == 200
    pages[0].write_text("# tutorial\n\nOther words.\n")
    pages.pop()
    make_seed(engine, pages).prepare()
    assert stored_names(client) == ["mine.md", "tutorial.md"]


def test_what_is_processed_is_not_processed_again(client: TestClient, engine: Engine, seed: SeedProject) -> None:
    seed.prepare()
    seed.prepare()
    assert len(engine.dispatcher.started) == 1


def test_a_question_does_not_wait_when_no_worker_runs(engine: Engine, pages: list[Path], monkeypatch: Any) -> None:
    monkeypatch.setattr(engine.dispatcher, "task_status", lambda *_: {"state": "PENDING"})
    make_seed(engine, pages, wait_s=3600).prepare()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_module, "POLL_S", 0.001)


@pytest.mark.usefixtures("_quick")
def test_an_unfinished_task_is_waited_for_and_not_started_twice(
    client: TestClient, engine: Engine, pages: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.dispatcher.workers_alive.append(WORKER)
    states = iter(["STARTED"] * 8 + ["SUCCESS"] * 9)
    monkeypatch.setattr(engine.dispatcher, "task_status", lambda *_: {"state": next(states)})
    seed = make_seed(engine, pages, wait_s=0.002)
    for _ in range(4):
        seed.prepare()
    assert len(engine.dispatcher.started) == 1


def test_a_queue_that_is_down_keeps_no_question_back(client: TestClient, engine: Engine) -> None:
    engine.dispatcher.failure = UpstreamError("the broker does not answer")
    body = {"messages": [{"role": "user", "content": "How do I add a parser?"}]}
    assert_ok(client.post(f"{URL}/chat/completions", json=body))


def test_a_project_without_the_dataset_is_left_alone(client: TestClient, engine: Engine, seed: SeedProject) -> None:
    assert_ok(client.delete(f"{URL}/datasets/{DATASET}"))
    seed.prepare()
    assert engine.dispatcher.started == {}


def test_a_search_in_the_built_in_project_takes_its_documentation_in_too(client: TestClient) -> None:
    wanted = {"query": "anything", "database": "documentation", "retrieval_strategy": "hybrid"}
    assert_ok(client.post(f"{URL}/rag/query", json=wanted))
    assert "tutorial.md" in stored_names(client)
