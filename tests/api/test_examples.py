"""Examples: listed, and imported into new and existing projects."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag.errors import UpstreamError
from state.files import DatasetFiles
from tests.api.conftest import PROJECT, MakeClient
from tests.api.helpers import assert_error, assert_ok

NOTE, TABLE = b"The gate is red.\n", b"name,price\ngate,4\n"
CONFIG = """\
# A gate and what belongs to it.
version: v1
name: anything
namespace: anywhere
runtime:
  models:
    - name: quotes
      provider: extractive
rag:
  databases:
    - name: gates
      type: ChromaStore
      embedding_strategies:
        - name: small
          type: UniversalEmbedder
          config: {model: all-MiniLM-L6-v2, dimension: 384}
  data_processing_strategies:
    - name: notes
      parsers: [{type: TextParser}]
datasets:
  - name: books
    database: gates
    data_processing_strategy: notes
"""
MANIFEST = """\
id: gate
title: The gate
description: What is known of it.
tags: [gate, rag]
primaryModel: quotes
config: {yaml_path: llamafarm.yaml}
datasets:
  - name: books
    strategy: notes
    database: gates
    ingest: ["files/books/*.txt"]
  - name: tables
    database: gates
    ingest: ["files/*.csv"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example `gate` in a folder of examples."""
    folder = tmp_path / "examples" / "gate"
    (folder / "files" / "books").mkdir(parents=True)
    (folder / "llamafarm.yaml").write_text(CONFIG)
    (folder / "example.yaml").write_text(MANIFEST)
    (folder / "files" / "books" / "note.txt").write_bytes(NOTE)
    (folder / "files" / "prices.csv").write_bytes(TABLE)
    return folder


@pytest.fixture
def client(make_client: MakeClient, folder: Path) -> TestClient:
    return make_client(examples_dir=folder.parent)


def dataset_files(client: TestClient, project: str, dataset: str) -> dict[str, str]:
    """Hash → name of the files that the API lists."""
    listed = assert_ok(client.get(f"{project}/datasets"))["datasets"]
    (found,) = [each for each in listed if each["name"] == dataset]
    return {each["hash"]: each["original_file_name"] for each in found["details"]["files_metadata"]}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- listing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/examples", "/v1/examples/"])
def test_examples_are_listed_with_sizes_and_both_slash_forms(client: TestClient, folder: Path, path: str) -> None:
    (folder / "files" / "books" / "long.txt").write_bytes(b"x" * 2048)
    (example,) = assert_ok(client.get(path))["examples"]
    size = len(NOTE) + len(TABLE) + 2048
    project_size = len(CONFIG) + len(MANIFEST)
    assert example.pop("updated_at").endswith("Z")
    assert example == {
        "id": "gate",
        "slug": "gate",
        "title": "The gate",
        "description": "What is known of it.",
        "primaryModel": "quotes",
        "tags": ["gate", "rag"],
        "dataset_count": 2,
        "data_size_bytes": size,
        "data_size_human": "2.0KB",
        "project_size_bytes": project_size,
        "project_size_human": f"{project_size}B" if project_size < 1024 else f"{project_size / 1024:.1f}KB",
    }


def test_datasets_of_one_and_of_all_examples(client: TestClient, folder: Path) -> None:
    (folder.parent / "plain" / "files").mkdir(parents=True)
    (folder.parent / "plain" / "files" / "a.pdf").write_bytes(b"%PDF")
    ours = [
        {
            "example_id": "gate",
            "example_title": "The gate",
            "name": "books",
            "strategy": "notes",
            "database": "gates",
            "kind": None,
            "ingest": ["files/books/*.txt"],
            "size_bytes": len(NOTE),
            "size_human": f"{len(NOTE)}B",
        },
        {
            "example_id": "gate",
            "example_title": "The gate",
            "name": "tables",
            "strategy": None,
            "database": "gates",
            "kind": "csv",
            "ingest": ["files/*.csv"],
            "size_bytes": len(TABLE),
            "size_human": f"{len(TABLE)}B",
        },
    ]
    assert assert_ok(client.get("/v1/examples/gate/datasets"))["datasets"] == ours
    assert assert_ok(client.get("/v1/examples/gate/datasets/"))["datasets"] == ours
    *first, plain = assert_ok(client.get("/v1/examples/datasets"))["datasets"]
    assert first == ours
    assert (plain["example_id"], plain["name"], plain["kind"]) == ("plain", "plain", "pdf")


def test_a_folder_without_manifest_is_listed_under_its_name_and_one_without_anything_is_not(
    client: TestClient, folder: Path
) -> None:
    (folder / "example.yaml").unlink()
    (folder.parent / "empty").mkdir()
    (example,) = assert_ok(client.get("/v1/examples"))["examples"]
    assert (example["id"], example["title"], example["primaryModel"]) == ("gate", "gate", "quotes")
    (dataset,) = assert_ok(client.get("/v1/examples/gate/datasets"))["datasets"]
    assert (dataset["name"], dataset["database"], dataset["strategy"]) == ("books", "gates", "notes")


@pytest.mark.parametrize("text", ["id: [", "id: ../../etc", "datasets: 3", "config: {yaml_path: ../../x.yaml}"])
def test_a_broken_example_spoils_no_listing_and_says_what_is_wrong(client: TestClient, folder: Path, text: str) -> None:
    (folder.parent / "other" / "files").mkdir(parents=True)
    (folder / "example.yaml").write_text(text)
    assert [each["id"] for each in assert_ok(client.get("/v1/examples"))["examples"]] == ["other"]
    assert_error(client.get("/v1/examples/gate/datasets"), 400, "gate")


def test_without_a_folder_of_examples_there_are_none(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(examples_dir=tmp_path / "nowhere")
    assert assert_ok(client.get("/v1/examples")) == {"examples": []}


# -- staying inside -----------------------------------------------------------------------------------------


def test_a_pattern_that_is_none_is_told(client: TestClient, folder: Path) -> None:
    (folder / "example.yaml").write_text(json.dumps({"datasets": [{"name": "books", "ingest": ["files/a**b"]}]}))
    assert_error(client.get("/v1/examples/gate/datasets"), 400, "is no pattern")


def test_what_changes_in_an_example_is_seen_at_once(client: TestClient, folder: Path) -> None:
    assert assert_ok(client.get("/v1/examples"))["examples"][0]["title"] == "The gate"
    (folder / "example.yaml").write_text(MANIFEST.replace("The gate", "Another title"))
    assert assert_ok(client.get("/v1/examples"))["examples"][0]["title"] == "Another title"


@pytest.mark.parametrize("pattern", ["../secret.txt", "files/../../secret.txt", "/etc/hostname", ""])
def test_a_pattern_that_leads_out_of_the_example_is_refused(client: TestClient, folder: Path, pattern: str) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "example.yaml").write_text(json.dumps({"datasets": [{"name": "books", "ingest": [pattern]}]}))
    body = {"namespace": "org", "name": "mine"}
    assert_error(client.post("/v1/examples/gate/import-project", json=body), 400, "leads out")
    assert client.get("/v1/projects/org/mine").status_code == 404


def test_links_that_lead_out_of_the_example_are_not_followed(client: TestClient, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (folder / "files" / "books" / "link.txt").symlink_to(secret)
    (folder / "files" / "books" / "inner.txt").symlink_to(folder / "files" / "prices.csv")
    (folder.parent / "linked").symlink_to(tmp_path)
    assert [each["id"] for each in assert_ok(client.get("/v1/examples"))["examples"]] == ["gate"]
    body = {"namespace": "org", "name": "mine", "process": False}
    assert_ok(client.post("/v1/examples/gate/import-project", json=body))
    assert set(dataset_files(client, "/v1/projects/org/mine", "books")) == {sha256(NOTE), sha256(TABLE)}


@pytest.mark.parametrize("action", ["datasets", "import-project", "import-data", "import-dataset"])
def test_an_unknown_example_is_not_found(client: TestClient, action: str) -> None:
    body = {"namespace": "org", "project": "bot", "name": "mine", "dataset": "books"}
    for example_id in ("..", "%2e%2e", "%2e%2e%2fgate", "gate%00", "x" * 300, "datasets", "Gäte"):
        path = f"/v1/examples/{example_id}/{action}"
        assert_error(client.get(path) if action == "datasets" else client.post(path, json=body), 404)


# -- import-project -----------------------------------------------------------------------------------------


def test_import_project_makes_the_project_stores_the_files_and_processes_them(client: TestClient) -> None:
    body = {"namespace": "org", "name": "mine"}
    answer = assert_ok(client.post("/v1/examples/gate/import-project", json=body))
    assert (answer["namespace"], answer["project"], answer["datasets"]) == ("org", "mine", ["books", "tables"])
    config = assert_ok(client.get("/v1/projects/org/mine"))["project"]["config"]
    assert (config["namespace"], config["name"]) == ("org", "mine")
    assert config["datasets"] == [
        {"name": "books", "database": "gates", "data_processing_strategy": "notes"},
        {"name": "tables", "database": "gates"},
    ]
    assert dataset_files(client, "/v1/projects/org/mine", "books") == {sha256(NOTE): "note.txt"}
    assert dataset_files(client, "/v1/projects/org/mine", "tables") == {sha256(TABLE): "prices.csv"}
    engine = client.app.state.services.engine
    started = {
        task_id: [each.original_file_name for each in files] for task_id, files in engine.dispatcher.started.items()
    }
    assert [started[task_id] for task_id in answer["task_ids"]] == [["note.txt"], ["prices.csv"]]
    assert set(engine.generations.of_dataset("org", "mine", "books")) == {sha256(NOTE)}
    paths = engine.projects.paths("org", "mine")
    assert paths.dataset("books").raw(sha256(NOTE)).read_bytes() == NOTE
    assert "# A gate and what belongs to it." in paths.config_file.read_text()


def test_without_process_no_task_is_started(client: TestClient) -> None:
    body = {"namespace": "org", "name": "mine", "process": False}
    assert assert_ok(client.post("/v1/examples/gate/import-project", json=body))["task_ids"] == []
    assert client.app.state.services.engine.dispatcher.started == {}


def test_an_import_that_broke_off_is_completed_by_doing_it_again(client: TestClient) -> None:
    body = {"namespace": "org", "name": "mine", "process": False}
    assert_ok(client.post("/v1/examples/gate/import-project", json=body))
    DatasetFiles(client.app.state.services.engine.projects.paths("org", "mine").dataset("tables")).remove_all()
    assert dataset_files(client, "/v1/projects/org/mine", "tables") == {}
    assert_ok(client.post("/v1/examples/gate/import-project", json=body))
    assert dataset_files(client, "/v1/projects/org/mine", "tables") == {sha256(TABLE): "prices.csv"}
    assert dataset_files(client, "/v1/projects/org/mine", "books") == {sha256(NOTE): "note.txt"}


def test_imports_at_the_same_time_make_one_project(client: TestClient) -> None:
    body = {"namespace": "org", "name": "mine"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/examples/gate/import-project", json=body), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert dataset_files(client, "/v1/projects/org/mine", "books") == {sha256(NOTE): "note.txt"}
    assert dataset_files(client, "/v1/projects/org/mine", "tables") == {sha256(TABLE): "prices.csv"}


def test_a_project_of_another_content_is_a_conflict_and_stays_as_it_is(client: TestClient, project: str) -> None:
    before = client.get(project).json()
    body = {"namespace": "org", "name": "bot"}
    assert_error(client.post("/v1/examples/gate/import-project", json=body), 409, "import-data")
    assert client.get(project).json() == before


def test_the_reserved_namespace_is_refused(client: TestClient) -> None:
    body = {"namespace": "llamafarm", "name": "mine"}
    response = client.post("/v1/examples/gate/import-project", json=body)
    assert_error(response, 400, "reserved", code="ReservedNamespace")


@pytest.mark.parametrize("action", ["import-data", "import-dataset"])
def test_nothing_is_added_to_a_project_of_the_reserved_namespace(client: TestClient, action: str) -> None:
    body = {"namespace": "llamafarm", "project": "project_seed", "dataset": "books"}
    response = client.post(f"/v1/examples/gate/{action}", json=body)
    assert_error(response, 400, "reserved", code="ReservedNamespace")


def test_an_example_without_configuration_makes_no_project(client: TestClient, folder: Path) -> None:
    (folder / "llamafarm.yaml").unlink()
    (folder / "example.yaml").unlink()
    body = {"namespace": "org", "name": "mine"}
    assert_error(client.post("/v1/examples/gate/import-project", json=body), 400, "no configuration")


def test_an_invalid_configuration_makes_no_project(client: TestClient, folder: Path) -> None:
    (folder / "llamafarm.yaml").write_text(CONFIG.replace("v1", "v9"))
    body = {"namespace": "org", "name": "mine"}
    assert_error(client.post("/v1/examples/gate/import-project", json=body), 422, "version")
    assert client.get("/v1/projects/org/mine").status_code == 404


def test_without_a_queue_nothing_is_made(client: TestClient) -> None:
    client.app.state.services.engine.dispatcher.broker_failure = UpstreamError("the broker does not answer")
    body = {"namespace": "org", "name": "mine"}
    assert_error(client.post("/v1/examples/gate/import-project", json=body), 503, "broker")
    assert client.get("/v1/projects/org/mine").status_code == 404


def test_a_file_over_the_limit_of_uploads_is_refused(make_client: MakeClient, folder: Path) -> None:
    client = make_client(examples_dir=folder.parent, max_upload_bytes=len(NOTE))
    body = {"namespace": "org", "name": "mine"}
    assert_error(client.post("/v1/examples/gate/import-project", json=body), 413, "prices.csv")
    assert client.app.state.services.engine.dispatcher.started == {}


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "nul\0"])
def test_names_that_are_no_folder_are_refused(client: TestClient, name: str) -> None:
    response = client.post("/v1/examples/gate/import-project", json={"namespace": "org", "name": name})
    assert response.status_code in (400, 422), response.text


# -- import-data --------------------------------------------------------------------------------------------


def test_import_data_adds_datasets_with_the_databases_and_strategies_they_need(
    client: TestClient, project: str
) -> None:
    body = {"namespace": "org", "project": "bot"}
    answer = assert_ok(client.post("/v1/examples/gate/import-data", json=body))
    assert (answer["datasets"], len(answer["task_ids"]), answer["warnings"]) == (["books", "tables"], 2, [])
    config = assert_ok(client.get(project))["project"]["config"]
    assert [each["name"] for each in config["rag"]["databases"]] == ["main_db", "second_db", "gates"]
    assert [each["name"] for each in config["rag"]["data_processing_strategies"]] == ["plain", "notes"]
    assert config["rag"]["default_database"] == "main_db"
    assert [each["name"] for each in config["datasets"]] == ["docs", "books", "tables"]
    assert dataset_files(client, project, "books") == {sha256(NOTE): "note.txt"}


def test_import_data_twice_changes_nothing_the_second_time(client: TestClient, project: str) -> None:
    body = {"namespace": "org", "project": "bot", "process": False}
    assert_ok(client.post("/v1/examples/gate/import-data", json=body))
    before = assert_ok(client.get(project))["project"]["config"]
    answer = assert_ok(client.post("/v1/examples/gate/import-data", json=body))
    assert (answer["datasets"], answer["task_ids"]) == (["books", "tables"], [])
    assert assert_ok(client.get(project))["project"]["config"] == before


def write_project(client: TestClient, **rag: Any) -> str:
    folder = client.app.state.services.engine.settings.projects_dir / "org" / "own"
    folder.mkdir(parents=True)
    config = {**PROJECT, "name": "own", "rag": rag or None, "datasets": []}
    (folder / "llamafarm.yaml").write_text(json.dumps({key: value for key, value in config.items() if value}))
    return "/v1/projects/org/own"


def test_what_the_project_has_wins_and_another_embedding_is_reported(client: TestClient) -> None:
    large = {"name": "large", "type": "OllamaEmbedder", "config": {"model": "nomic-embed-text", "dimension": 768}}
    gates = {"name": "gates", "type": "ChromaStore", "embedding_strategies": [large]}
    project = write_project(client, databases=[gates])
    body = {"namespace": "org", "project": "own"}
    answer = assert_ok(client.post("/v1/examples/gate/import-data", json=body))
    (warning, *_) = answer["warnings"]
    assert "'gates' exists and keeps its embedding (OllamaEmbedder, nomic-embed-text, dimension 768)" in warning
    assert "dimension 384" in warning
    (database,) = assert_ok(client.get(project))["project"]["config"]["rag"]["databases"]
    assert database["embedding_strategies"][0]["config"]["dimension"] == 768


def test_without_strategies_the_projects_own_database_is_used_and_said(client: TestClient) -> None:
    project = write_project(client, databases=[{"name": "mine", "type": "ChromaStore"}])
    body = {"namespace": "org", "project": "own", "include_strategies": False}
    answer = assert_ok(client.post("/v1/examples/gate/import-data", json=body))
    config = assert_ok(client.get(project))["project"]["config"]
    assert [each["name"] for each in config["rag"]["databases"]] == ["mine"]
    assert {each["database"] for each in config["datasets"]} == {"mine"}
    assert any("no database 'gates'" in warning for warning in answer["warnings"])
    assert any("no processing strategy 'notes'" in warning for warning in answer["warnings"])


def test_without_strategies_a_project_without_database_is_told_what_to_do(client: TestClient) -> None:
    write_project(client)
    body = {"namespace": "org", "project": "own", "include_strategies": False}
    assert_error(client.post("/v1/examples/gate/import-data", json=body), 400, "include_strategies")


def test_data_of_an_example_without_configuration_goes_to_the_default_database(
    client: TestClient, folder: Path, project: str
) -> None:
    (folder.parent / "plain" / "files" / "deep").mkdir(parents=True)
    (folder.parent / "plain" / "files" / "deep" / "a.txt").write_bytes(NOTE)
    body = {"namespace": "org", "project": "bot"}
    answer = assert_ok(client.post("/v1/examples/plain/import-data", json=body))
    assert (answer["datasets"], answer["warnings"]) == (["plain"], [])
    (added,) = [
        each for each in assert_ok(client.get(project))["project"]["config"]["datasets"] if each["name"] == "plain"
    ]
    assert added["database"] == "main_db"
    assert dataset_files(client, project, "plain") == {sha256(NOTE): "a.txt"}


@pytest.mark.parametrize("action", ["import-data", "import-dataset"])
def test_a_project_that_does_not_exist_is_not_found(client: TestClient, action: str) -> None:
    body = {"namespace": "org", "project": "none", "dataset": "books"}
    assert_error(client.post(f"/v1/examples/gate/{action}", json=body), 404, code="ProjectNotFound")


# -- import-dataset -----------------------------------------------------------------------------------------


def test_import_dataset_adds_one_dataset_under_the_wanted_name(client: TestClient, project: str) -> None:
    body = {"namespace": "org", "project": "bot", "dataset": "books", "target_dataset": "library"}
    answer = assert_ok(client.post("/v1/examples/gate/import-dataset", json=body))
    assert (answer["project"], answer["namespace"], answer["dataset"]) == ("bot", "org", "library")
    assert answer["file_count"] == 1
    assert answer["task_id"] in client.app.state.services.engine.dispatcher.started
    assert dataset_files(client, project, "library") == {sha256(NOTE): "note.txt"}
    assert [each["name"] for each in assert_ok(client.get(f"{project}/datasets"))["datasets"]] == ["docs", "library"]


def test_a_dataset_that_exists_keeps_its_database_and_gets_the_files(client: TestClient, project: str) -> None:
    body = {"namespace": "org", "project": "bot", "dataset": "books", "target_dataset": "docs", "process": False}
    answer = assert_ok(client.post("/v1/examples/gate/import-dataset", json=body))
    assert answer["task_id"] is None
    assert any("dataset 'docs' exists and keeps its database 'main_db'" in each for each in answer["warnings"])
    config = assert_ok(client.get(project))["project"]["config"]
    assert [each["name"] for each in config["rag"]["databases"]] == ["main_db", "second_db"]
    assert dataset_files(client, project, "docs") == {sha256(NOTE): "note.txt"}


def test_an_unknown_dataset_names_the_known_ones(client: TestClient, project: str) -> None:
    body = {"namespace": "org", "project": "bot", "dataset": "films"}
    assert_error(client.post("/v1/examples/gate/import-dataset", json=body), 404, "books, tables")


@pytest.mark.parametrize("target", ["../up", "a b", "x" * 101])
def test_a_target_that_is_no_dataset_name_is_refused(client: TestClient, project: str, target: str) -> None:
    body = {"namespace": "org", "project": "bot", "dataset": "books", "target_dataset": target}
    assert_error(client.post("/v1/examples/gate/import-dataset", json=body), 400, "accepted")


@pytest.mark.parametrize("action", ["import-project", "import-data", "import-dataset"])
def test_a_malformed_body_is_refused(client: TestClient, action: str) -> None:
    bodies: list[Any] = [{}, [], {"namespace": 3}, {"namespace": "org", "process": "perhaps"}]
    for body in bodies:
        assert_error(client.post(f"/v1/examples/gate/{action}", json=body), 422)


# -- the bundled ones ---------------------------------------------------------------------------------------


def test_the_bundled_examples_are_listed_by_default_each_with_a_valid_project(make_client: MakeClient) -> None:
    client = make_client()
    listed = assert_ok(client.get("/v1/examples"))["examples"]
    assert [each["id"] for each in listed] == ["catalogue", "codebase", "handbook", "letters"]
    for example in listed:
        assert example["title"]
        assert example["description"]
        assert example["data_size_bytes"] > 1000
        body = {"namespace": "org", "name": example["id"], "process": False}
        assert_ok(client.post(f"/v1/examples/{example['id']}/import-project", json=body))
        made = assert_ok(client.get(f"/v1/projects/org/{example['id']}"))["project"]
        assert (made["validation_error"], made["warnings"]) == (None, [])


def test_the_documentation_is_the_one_thing_from_outside_of_an_example(make_client: MakeClient) -> None:
    client = make_client()
    body = {"namespace": "org", "name": "book", "process": False}
    assert_ok(client.post("/v1/examples/handbook/import-project", json=body))
    names = set(dataset_files(client, "/v1/projects/org/book", "paddock_docs").values())
    assert {"README.md", "tutorial.md", "settings.md"} <= names
    assert all(name.endswith(".md") for name in names)


def test_files_of_examples_can_be_read_by_everybody() -> None:
    """They are copied into images and packages as they are."""
    root = Path(__file__).parents[2] / "examples"
    assert [path for path in root.rglob("*") if not os.access(path, os.R_OK)] == []
