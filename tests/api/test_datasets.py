import time

import pytest
from starlette.testclient import TestClient

from server.parts import Engine
from tests.api.helpers import assert_error, assert_ok

NEW = {"name": "letters", "data_processing_strategy": "plain", "database": "main_db"}
FILE_HASH = "0" * 64


def upload(client: TestClient, project: str, name: str = "a.txt", content: bytes = b"hello") -> dict[str, object]:
    return assert_ok(client.post(f"{project}/datasets/docs/data", files={"file": (name, content)}))


@pytest.mark.parametrize("slash", ["", "/"])
def test_list_and_create_answer_with_and_without_slash(client: TestClient, project: str, slash: str) -> None:
    created = client.post(f"{project}/datasets{slash}", json=NEW, follow_redirects=False)
    assert assert_ok(created)["dataset"]["files"] == []
    listed = assert_ok(client.get(f"{project}/datasets{slash}", follow_redirects=False))
    assert [each["name"] for each in listed["datasets"]] == ["docs", "letters"]
    assert listed["total"] == 2


def test_details_are_the_union_of_both_forms(client: TestClient, project: str) -> None:
    file_hash = upload(client, project, "päper.txt", b"hello")["hash"]
    dataset = assert_ok(client.get(f"{project}/datasets"))["datasets"][0]
    assert dataset["files"] == [file_hash]
    details = dataset["details"]
    assert (details["total_files"], details["total_size_bytes"]) == (1, 5)
    assert details["file_details"][0]["original_filename"] == "päper.txt"
    metadata = details["files_metadata"][0]
    assert metadata["original_file_name"] == "päper.txt"
    assert metadata["resolved_file_name"].startswith("päper_")
    assert metadata["mime_type"] == "text/plain"
    assert metadata["chunk_count"] == 0
    assert isinstance(metadata["timestamp"], float)


def test_without_details_the_files_are_still_counted(client: TestClient, project: str) -> None:
    upload(client, project)
    dataset = assert_ok(client.get(f"{project}/datasets/?include_extra_details=false"))["datasets"][0]
    assert len(dataset["files"]) == 1
    assert "details" not in dataset


def test_include_extra_details_must_be_a_boolean(client: TestClient, project: str) -> None:
    assert_error(client.get(f"{project}/datasets?include_extra_details=maybe"), 422)


def test_strategies_names_what_can_be_chosen(client: TestClient, project: str) -> None:
    answer = assert_ok(client.get(f"{project}/datasets/strategies"))
    assert answer["databases"] == ["main_db", "second_db"]
    assert "plain" in answer["data_processing_strategies"]


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"name": "docs"}, 400, "Dataset docs already exists"),
        ({"name": "DOCS"}, 400, "already exists"),
        ({"data_processing_strategy": "none"}, 400, "RAG data processing strategy none not supported"),
        ({"database": "none"}, 400, "RAG database none not supported"),
        ({"name": "a b"}, 422, "letters, digits"),
        ({"name": "../x"}, 422, "letters, digits"),
        ({"name": ""}, 422, ""),
        ({"name": "x" * 101}, 422, "100"),
        ({"name": None}, 422, ""),
        ({"database": 3}, 422, "string"),
    ],
)
def test_bad_dataset_is_refused(
    client: TestClient, project: str, change: dict[str, object], status: int, text: str
) -> None:
    assert_error(client.post(f"{project}/datasets", json={**NEW, **change}), status, text)


@pytest.mark.parametrize("missing", NEW)
def test_missing_field_is_422(client: TestClient, project: str, missing: str) -> None:
    body = {key: value for key, value in NEW.items() if key != missing}
    assert assert_error(client.post(f"{project}/datasets", json=body), 422, missing)["detail"][0]["type"] == "missing"


def test_created_dataset_stands_in_the_file(client: TestClient, engine: Engine, project: str) -> None:
    assert_ok(client.post(f"{project}/datasets", json=NEW))
    assert engine.projects.load("org", "bot").dataset("letters").database == "main_db"


def test_delete_removes_files_chunks_and_entry(client: TestClient, engine: Engine, project: str) -> None:
    file_hash = upload(client, project)["hash"]
    deleted = assert_ok(client.delete(f"{project}/datasets/docs"))["dataset"]
    assert deleted["files"] == [file_hash]
    assert ("dataset", "org", "bot", "docs") in engine.dispatcher.removed  # type: ignore[attr-defined]
    assert not engine.projects.paths("org", "bot").dataset("docs").root.exists()
    assert engine.generations.of_dataset("org", "bot", "docs") == {}
    assert assert_ok(client.get(f"{project}/datasets"))["total"] == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "datasets/{}"),
        ("POST", "datasets/{}/data"),
        ("POST", "datasets/{}/actions"),
        ("DELETE", f"datasets/{{}}/data/{FILE_HASH}"),
        ("POST", f"datasets/{{}}/cleanup/{FILE_HASH}"),
    ],
)
@pytest.mark.parametrize("dataset", ["none", "%2e%2e", "..%5cx", "a%00b", "x" * 5000])
def test_unknown_dataset_is_404(client: TestClient, project: str, method: str, path: str, dataset: str) -> None:
    json = {"action_type": "process"} if path.endswith("actions") else None
    response = client.request(method, f"{project}/{path.format(dataset)}", json=json)
    assert_error(response, 404)


def test_process_starts_a_task_with_every_file(client: TestClient, engine: Engine, project: str) -> None:
    hashes = [upload(client, project, f"{index}.txt", str(index).encode())["hash"] for index in range(3)]
    response = client.post(f"{project}/datasets/docs/actions", json={"action_type": "process"})
    answer = assert_ok(response)
    assert answer["message"] == "Accepted"
    assert answer["task_uri"] == f"http://testserver{project}/tasks/{answer['task_id']}"
    files = engine.dispatcher.started[answer["task_id"]]  # type: ignore[attr-defined]
    assert [file.file_hash for file in files] == hashes
    assert [file.filename for file in files] == ["0.txt", "1.txt", "2.txt"]
    assert assert_ok(client.get(answer["task_uri"]))["task_id"] == answer["task_id"]


@pytest.mark.parametrize("action", ["process", "ingest"])
def test_process_of_an_empty_dataset_starts_a_task(client: TestClient, project: str, action: str) -> None:
    assert assert_ok(client.post(f"{project}/datasets/docs/actions", json={"action_type": action}))["task_id"]


@pytest.mark.parametrize("body", [{}, {"action_type": "explode"}, {"action_type": 3}, {"action_type": None}])
def test_unknown_action_is_422(client: TestClient, project: str, body: object) -> None:
    assert_error(client.post(f"{project}/datasets/docs/actions", json=body), 422)


def test_process_of_a_thousand_files_answers_at_once(client: TestClient, engine: Engine, project: str) -> None:
    folder = engine.projects.paths("org", "bot").dataset("docs").meta_dir
    folder.mkdir(parents=True)
    for index in range(1000):
        (folder / f"{index:064x}.json").write_text(f'{{"original_file_name": "{index}.txt", "timestamp": {index}}}')
    started_at = time.perf_counter()
    answer = assert_ok(client.post(f"{project}/datasets/docs/actions", json={"action_type": "process"}))
    duration_s = time.perf_counter() - started_at
    assert len(engine.dispatcher.started[answer["task_id"]]) == 1000  # type: ignore[attr-defined]
    assert duration_s < 1.0  # 0.2 on an idle machine; the listing is cached from the second time on


def test_chunks_of_one_file_or_all_can_be_deleted(client: TestClient, project: str) -> None:
    file_hash = upload(client, project)["hash"]
    actions = f"{project}/datasets/docs/actions"
    one = assert_ok(client.post(actions, json={"action_type": "delete_file_chunks", "file_hash": file_hash}))
    assert (one["file_hash"], one["deleted_chunks"]) == (file_hash, 3)
    every = assert_ok(client.post(actions, json={"action_type": "delete_dataset_chunks"}))
    assert (every["total_deleted_chunks"], every["total_files_cleared"], every["total_files_failed"]) == (3, 1, 0)
    assert_error(client.post(actions, json={"action_type": "delete_file_chunks"}), 400, "file_hash")
    missing = {"action_type": "delete_file_chunks", "file_hash": "../../x"}
    assert_error(client.post(actions, json=missing), 404)


def test_cleanup_keeps_the_file(client: TestClient, project: str) -> None:
    file_hash = upload(client, project)["hash"]
    answer = assert_ok(client.post(f"{project}/datasets/docs/cleanup/{file_hash}"))
    assert answer == {"file_hash": file_hash, "deleted_chunks": 3}
    assert assert_ok(client.get(f"{project}/datasets"))["datasets"][0]["files"] == [file_hash]


@pytest.mark.parametrize("remove_from_disk", [False, True])
def test_removed_file_leaves_the_dataset(
    client: TestClient, engine: Engine, project: str, remove_from_disk: bool
) -> None:
    file_hash = str(upload(client, project)["hash"])
    url = f"{project}/datasets/docs/data/{file_hash}?remove_from_disk={str(remove_from_disk).lower()}"
    assert assert_ok(client.delete(url)) == {"file_hash": file_hash, "deleted_chunks": 3}
    raw = engine.projects.paths("org", "bot").dataset("docs").raw(file_hash)
    assert raw.exists() is not remove_from_disk
    assert assert_ok(client.get(f"{project}/datasets"))["datasets"][0]["files"] == []
    assert_error(client.delete(url), 404, f"File {file_hash} not found")
    assert upload(client, project)["skipped"] is False


@pytest.mark.parametrize("file_hash", [FILE_HASH, "abc", "A" * 64, "%2e%2e%2fx", "a%00b", "x" * 9000])
def test_unknown_file_is_404(client: TestClient, project: str, file_hash: str) -> None:
    assert_error(client.delete(f"{project}/datasets/docs/data/{file_hash}"), 404)
    assert_error(client.post(f"{project}/datasets/docs/cleanup/{file_hash}"), 404)


def test_damaged_metadata_is_passed_over(client: TestClient, engine: Engine, project: str) -> None:
    kept = upload(client, project)["hash"]
    folder = engine.projects.paths("org", "bot").dataset("docs").meta_dir
    for index, content in enumerate(["{", "[]", "null", '{"size": 3}', '{"original_file_name": "x", "timestamp": []}']):
        (folder / f"{index:064x}.json").write_text(content)
    (folder / "notes.json").write_text("{}")
    (folder / f"{9:064x}.json").symlink_to("/etc/hostname")
    listed = assert_ok(client.get(f"{project}/datasets"))["datasets"][0]["files"]
    assert kept in listed
    assert f"{9:064x}" not in listed


@pytest.mark.parametrize("path", ["datasets", "datasets/strategies", "rag/databases"])
def test_project_without_rag_section(client: TestClient, engine: Engine, project: str, path: str) -> None:
    def drop(raw: dict[str, object]) -> None:
        del raw["rag"]
        raw["datasets"] = []

    engine.projects.edit("org", "bot", drop)
    response = client.get(f"{project}/{path}")
    if path == "rag/databases":
        assert_error(response, 400, "RAG not configured for this project")
    elif path == "datasets":
        assert assert_ok(response) == {"total": 0, "datasets": []}
    else:
        assert assert_ok(response) == {"data_processing_strategies": [], "databases": []}


def test_parser_overrides_of_an_action_are_refused(client: TestClient, project: str) -> None:
    url, body = f"{project}/datasets/docs/actions", {"action_type": "process", "parser_overrides": {"chunk_size": 5}}
    assert_error(client.post(url, json=body), 400, "parser_overrides is not supported")
    assert_ok(client.post(url, json={**body, "parser_overrides": {}}))
