import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag.errors import UpstreamError
from server.parts import Engine
from tests.api.helpers import assert_error, assert_ok
from tests.api.overrides import BAD_OVERRIDES

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
    assert [file.hash for file in files] == hashes
    assert [file.original_file_name for file in files] == ["0.txt", "1.txt", "2.txt"]
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


OVERRIDES = {"*.txt": {"chunk_size": 50, "chunk_overlap": 5}}


@pytest.mark.parametrize("action", ["process", "reprocess"])
def test_overrides_of_an_action_reach_the_task(client: TestClient, engine: Engine, project: str, action: str) -> None:
    upload(client, project)
    body = {"action_type": action, "parser_overrides": OVERRIDES}
    assert_ok(client.post(f"{project}/datasets/docs/actions", json=body))
    assert engine.dispatcher.options == [{"overrides": OVERRIDES, "force": action == "reprocess"}]  # type: ignore[attr-defined]


@pytest.mark.parametrize("overrides", [None, {}])
def test_no_overrides_leave_those_of_the_files(
    client: TestClient, engine: Engine, project: str, overrides: Any
) -> None:
    body = {"action_type": "process", "parser_overrides": overrides}
    assert_ok(client.post(f"{project}/datasets/docs/actions", json=body))
    assert engine.dispatcher.options == [{"overrides": None, "force": False}]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("overrides", "status", "text"), BAD_OVERRIDES.values(), ids=BAD_OVERRIDES.keys())
def test_bad_overrides_of_an_action_are_refused(
    client: TestClient, engine: Engine, project: str, overrides: Any, status: int, text: str
) -> None:
    body = {"action_type": "process", "parser_overrides": overrides}
    assert_error(client.post(f"{project}/datasets/docs/actions", json=body), status, text)
    assert engine.dispatcher.started == {}  # type: ignore[attr-defined]


def test_one_file_is_processed_alone(client: TestClient, engine: Engine, project: str) -> None:
    hashes = [upload(client, project, f"{index}.txt", str(index).encode())["hash"] for index in range(3)]
    body = {"action_type": "reprocess", "file_hash": hashes[1]}
    task_id = assert_ok(client.post(f"{project}/datasets/docs/actions", json=body))["task_id"]
    assert [file.hash for file in engine.dispatcher.started[task_id]] == [hashes[1]]  # type: ignore[attr-defined]
    body["file_hash"] = FILE_HASH
    assert_error(client.post(f"{project}/datasets/docs/actions", json=body), 404, f"File {FILE_HASH} not found")


def test_failed_files_are_processed_alone(client: TestClient, engine: Engine, project: str) -> None:
    hashes = [upload(client, project, f"{index}.txt", str(index).encode())["hash"] for index in range(3)]
    engine.dispatcher.failed = {hashes[2]}  # type: ignore[attr-defined]
    body = {"action_type": "process", "failed_only": True}
    task_id = assert_ok(client.post(f"{project}/datasets/docs/actions", json=body))["task_id"]
    assert [file.hash for file in engine.dispatcher.started[task_id]] == [hashes[2]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "body",
    [
        {"action_type": "delete_dataset_chunks", "file_hash": FILE_HASH},
        {"action_type": "delete_dataset_chunks", "failed_only": True},
        {"action_type": "delete_file_chunks", "file_hash": FILE_HASH, "parser_overrides": OVERRIDES},
    ],
)
def test_a_deletion_refuses_what_it_would_ignore(client: TestClient, project: str, body: Any) -> None:
    assert_error(client.post(f"{project}/datasets/docs/actions", json=body), 400, "takes no")


def lose_metadata(client: TestClient, engine: Engine, project: str) -> str:
    """A file whose metadata was deleted by hand, and whose chunks still answer."""
    file_hash = str(upload(client, project)["hash"])
    engine.projects.paths("org", "bot").dataset("docs").meta(file_hash).unlink()
    return file_hash


def test_a_file_without_metadata_can_be_removed(client: TestClient, engine: Engine, project: str) -> None:
    file_hash = lose_metadata(client, engine, project)
    url = f"{project}/datasets/docs/data/{file_hash}?remove_from_disk=true"
    assert assert_ok(client.delete(url))["deleted_chunks"] == 3
    paths = engine.projects.paths("org", "bot").dataset("docs")
    assert not paths.raw(file_hash).exists()
    assert list(paths.index_by_name.iterdir()) == []
    assert_error(client.delete(url), 404, f"File {file_hash} not found")


def test_a_file_without_metadata_can_be_taken_out_of_the_answers(
    client: TestClient, engine: Engine, project: str
) -> None:
    file_hash = lose_metadata(client, engine, project)
    assert assert_ok(client.post(f"{project}/datasets/docs/cleanup/{file_hash}"))["deleted_chunks"] == 3
    assert_error(client.post(f"{project}/datasets/docs/cleanup/{file_hash}"), 404)


def test_chunks_of_a_dataset_include_those_of_files_without_metadata(
    client: TestClient, engine: Engine, project: str
) -> None:
    lose_metadata(client, engine, project)
    upload(client, project, "b.txt", b"other")
    body = {"action_type": "delete_dataset_chunks"}
    answer = assert_ok(client.post(f"{project}/datasets/docs/actions", json=body))
    assert (answer["total_deleted_chunks"], answer["total_files_cleared"], answer["total_files_failed"]) == (6, 2, 0)


def test_a_store_that_leaves_half_way_is_counted(
    client: TestClient, engine: Engine, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        upload(client, project, f"{index}.txt", str(index).encode())
    calls = []

    def leaving(*_: object) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise UpstreamError("the store does not answer")
        return 5

    monkeypatch.setattr(engine.dispatcher, "remove_chunks", leaving)
    body = {"action_type": "delete_dataset_chunks"}
    answer = assert_ok(client.post(f"{project}/datasets/docs/actions", json=body))
    assert (answer["total_deleted_chunks"], answer["total_files_cleared"], answer["total_files_failed"]) == (5, 1, 2)
    assert_error(client.post(f"{project}/datasets/docs/actions", json=body), 503)


def test_small_listing_has_the_files_and_no_details(client: TestClient, project: str) -> None:
    file_hash = upload(client, project)["hash"]
    (dataset,) = assert_ok(client.get(f"{project}/datasets?include_extra_details=false"))["datasets"]
    assert dataset == {
        "name": "docs",
        "database": "main_db",
        "data_processing_strategy": "plain",
        "files": [file_hash],
        "auto_process": False,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "datasets/docs/actions/"),
        ("POST", "datasets/docs/cleanup/HASH/"),
        ("DELETE", "datasets/docs/data/HASH/"),
        ("GET", "datasets/strategies/"),
        ("DELETE", "datasets/docs/"),
    ],
)
def test_a_slash_at_the_end_changes_nothing(client: TestClient, project: str, method: str, path: str) -> None:
    path = path.replace("HASH", str(upload(client, project)["hash"]))
    json = {"action_type": "process"} if "actions" in path else None
    assert_ok(client.request(method, f"{project}/{path}", json=json, follow_redirects=False))


def existing_data_directory(engine: Engine) -> str:
    """What LlamaFarm leaves: metadata with a key of its own, an absolute link, folders that nothing here uses."""
    root = engine.projects.paths("org", "bot").dataset("docs").root
    content = b"a letter of the old days"
    file_hash = hashlib.sha256(content).hexdigest()
    for folder in ("raw", "meta", "index/by_name", "stores"):
        (root / folder).mkdir(parents=True)
    (root / "raw" / file_hash).write_bytes(content)
    meta = {
        "original_file_name": "letter.txt",
        "resolved_file_name": "letter_1764892800.5.txt",
        "timestamp": 1764892800.5,
        "size": len(content),
        "mime_type": "text/plain",
        "hash": file_hash,
        "uploaded_by": "someone",
    }
    (root / "meta" / f"{file_hash}.json").write_text(json.dumps(meta), encoding="utf-8")
    (root / "index/by_name" / meta["resolved_file_name"]).symlink_to(root / "raw" / file_hash)
    return file_hash


def test_files_of_an_existing_data_directory_are_listed_and_processed(
    client: TestClient, engine: Engine, project: str
) -> None:
    file_hash = existing_data_directory(engine)
    (dataset,) = assert_ok(client.get(f"{project}/datasets"))["datasets"]
    assert dataset["files"] == [file_hash]
    (metadata,) = dataset["details"]["files_metadata"]
    assert (metadata["original_file_name"], metadata["timestamp"], metadata["chunk_count"]) == (
        "letter.txt",
        1764892800.5,
        0,
    )
    task_id = assert_ok(client.post(f"{project}/datasets/docs/actions", json={"action_type": "process"}))["task_id"]
    assert [file.hash for file in engine.dispatcher.started[task_id]] == [file_hash]  # type: ignore[attr-defined]
    again = client.post(f"{project}/datasets/docs/data", files={"file": ("b.txt", b"a letter of the old days")})
    assert (again.json()["skipped"], again.json()["filename"]) == (True, "letter.txt")


def test_overrides_keep_what_the_metadata_held_before(client: TestClient, engine: Engine, project: str) -> None:
    file_hash = existing_data_directory(engine)
    response = client.post(
        f"{project}/datasets/docs/data",
        files={"file": ("b.txt", b"a letter of the old days")},
        data={"parser_overrides": json.dumps(OVERRIDES)},
    )
    assert_ok(response)
    raw = json.loads(engine.projects.paths("org", "bot").dataset("docs").meta(file_hash).read_text())
    assert (raw["uploaded_by"], raw["parser_overrides"]) == ("someone", OVERRIDES)


def test_a_file_of_an_existing_data_directory_is_removed_whole(
    client: TestClient, engine: Engine, project: str
) -> None:
    file_hash = existing_data_directory(engine)
    assert_ok(client.delete(f"{project}/datasets/docs/data/{file_hash}?remove_from_disk=true"))
    root = engine.projects.paths("org", "bot").dataset("docs").root
    assert [path for path in root.rglob("*") if path.name != ".lock" and not path.is_dir()] == []


def test_of_two_deletes_of_one_dataset_at_once_one_succeeds(client: TestClient, engine: Engine, project: str) -> None:
    both = threading.Barrier(2)
    remove = engine.dispatcher.remove_dataset

    def together(*args: Any) -> int:
        both.wait(10)  # each has found the dataset
        return int(remove(*args))

    engine.dispatcher.remove_dataset = together  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(client.delete, [f"{project}/datasets/docs"] * 2))
    lost, won = sorted(answers, key=lambda each: -each.status_code)
    assert_ok(won)
    assert_error(lost, 404, "Dataset docs not found")
