import hashlib
from typing import Any

import pytest
from starlette.testclient import TestClient

from server.parts import Engine
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok
from tests.api.overrides import BAD_OVERRIDES
from tests.api.test_uploads import HEADERS, form, leftovers, make_project, overrides_part, part

URL = "/v1/projects/org/bot/datasets/docs/data/bulk"


def several(*contents: bytes) -> bytes:
    return form(*[part(content, name="files", filename=f"{index}.txt") for index, content in enumerate(contents)])


def stored(client: TestClient) -> dict[str, str]:
    """Name → hash."""
    details = assert_ok(client.get("/v1/projects/org/bot/datasets"))["datasets"][0]["details"]
    return {file["original_filename"]: file["hash"] for file in details["file_details"]}


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_file_is_stored_and_told(client: TestClient, engine: Engine, project: str, slash: str) -> None:
    answer = assert_ok(client.post(URL + slash, content=several(b"a", b"b", b"a"), headers=HEADERS))
    assert (answer["uploaded"], answer["skipped"], answer["failed"]) == (2, 1, 0)
    assert (answer["status"], answer["task_id"]) == ("uploaded", None)
    told = [(file["filename"], file["status"], file["hash"], file["error"]) for file in answer["files"]]
    hashes = [hashlib.sha256(content).hexdigest() for content in (b"a", b"b")]
    assert told == [
        ("0.txt", "uploaded", hashes[0], None),
        ("1.txt", "uploaded", hashes[1], None),
        ("0.txt", "skipped", hashes[0], None),
    ]
    assert stored(client) == {"0.txt": hashes[0], "1.txt": hashes[1]}
    assert set(engine.generations.of_dataset("org", "bot", "docs")) == set(hashes)


def test_a_file_that_is_too_large_fails_alone(make_client: MakeClient) -> None:
    client = make_client(max_upload_bytes=1000)
    make_project(client.app.state.services.engine)
    answer = assert_ok(client.post(URL, content=several(b"a", b"x" * 900_000, b"b"), headers=HEADERS))
    assert (answer["uploaded"], answer["failed"], answer["status"]) == (2, 1, "uploaded")
    failed = answer["files"][1]
    assert (failed["filename"], failed["status"], failed["hash"]) == ("1.txt", "failed", None)
    assert "LF_MAX_UPLOAD_BYTES" in failed["error"]
    assert set(stored(client)) == {"0.txt", "2.txt"}


def test_a_full_disk_fails_the_files_that_it_meets(
    client: TestClient, engine: Engine, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(_: object) -> None:
        calls.append(1)
        if len(calls) in (3, 4):  # each file is synced, and then its metadata
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("state.incoming.os.fsync", full)
    answer = assert_ok(client.post(URL, content=several(b"a", b"b", b"c", b"d"), headers=HEADERS))
    assert [file["status"] for file in answer["files"]] == ["uploaded", "failed", "failed", "uploaded"]
    assert "disk is full" in answer["files"][1]["error"]
    assert set(stored(client)) == {"0.txt", "3.txt"}


def test_files_that_all_fail_are_told_as_failed(make_client: MakeClient) -> None:
    client = make_client(max_upload_bytes=10)
    make_project(client.app.state.services.engine)
    answer = assert_ok(client.post(f"{URL}?auto_process=true", content=several(b"x" * 11), headers=HEADERS))
    assert (answer["failed"], answer["status"], answer["task_id"]) == (1, "failed", None)


@pytest.mark.parametrize(("query", "starts"), [("", False), ("?auto_process=true", True)])
def test_what_was_stored_is_processed_in_one_task_if_wanted(
    client: TestClient, engine: Engine, project: str, query: str, starts: bool
) -> None:
    answer = assert_ok(client.post(URL + query, content=several(b"a", b"b"), headers=HEADERS))
    assert answer["status"] == ("processing" if starts else "uploaded")
    started: dict[str, Any] = engine.dispatcher.started  # type: ignore[attr-defined]
    assert [len(files) for files in started.values()] == ([2] if starts else [])
    assert list(started) == ([answer["task_id"]] if starts else [])


def test_a_hundred_files_are_taken_and_one_more_is_refused(client: TestClient, project: str) -> None:
    contents = [str(index).encode() for index in range(101)]
    assert assert_ok(client.post(URL, content=several(*contents[:100]), headers=HEADERS))["uploaded"] == 100
    assert_error(client.post(URL, content=several(*contents), headers=HEADERS), 413, "at most 100 files")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (form(part(b"x", name="other")), 422, "part 'files'"),
        (form(part(b"x", name="files", filename=None)), 422, "carries no file name"),
        (b"", 422, "part 'files'"),
        (part(b"x" * 1000, name="files")[:600], 400, "ended in the middle"),
        (b"garbage", 400, "malformed"),
    ],
    ids=["other part", "no name", "empty", "cut", "garbage"],
)
def test_a_form_without_a_whole_file_is_refused(
    client: TestClient, engine: Engine, project: str, body: bytes, status: int, text: str
) -> None:
    assert_error(client.post(URL, content=body, headers=HEADERS), status, text)
    assert leftovers(engine) == []


def test_files_that_were_whole_stay_when_the_body_breaks_off(client: TestClient, project: str) -> None:
    assert_error(
        client.post(URL, content=several(b"a", b"b" * 1000)[:-300], headers=HEADERS), 400, "ended in the middle"
    )
    assert set(stored(client)) == {"0.txt"}


def test_overrides_are_kept_with_every_file(client: TestClient, engine: Engine, project: str) -> None:
    overrides = {"*": {"chunk_size": 50}}
    body = form(*[part(each, name="files") for each in (b"a", b"b")], overrides_part(overrides))
    answer = assert_ok(client.post(f"{URL}?auto_process=true", content=body, headers=HEADERS))
    files = engine.dispatcher.started[answer["task_id"]]  # type: ignore[attr-defined]
    assert [file.parser_overrides for file in files] == [overrides, overrides]


@pytest.mark.parametrize(("overrides", "status", "text"), BAD_OVERRIDES.values(), ids=BAD_OVERRIDES.keys())
def test_bad_overrides_are_refused(client: TestClient, project: str, overrides: Any, status: int, text: str) -> None:
    body = form(part(b"a", name="files"), overrides_part(overrides))
    assert_error(client.post(URL, content=body, headers=HEADERS), status, text)


def test_bulk_upload_to_what_does_not_exist_is_404(client: TestClient, project: str) -> None:
    for old, new in (("docs", "none"), ("bot", "none")):
        assert_error(client.post(URL.replace(old, new), content=several(b"a"), headers=HEADERS), 404, "not found")


def test_a_dataset_that_processes_uploads_waits_with_those_in_bulk(client: TestClient, engine: Engine) -> None:
    """The many are processed together, when the client says so."""
    make_project(engine)
    engine.projects.edit("org", "bot", lambda raw: raw["datasets"][0].update(auto_process=True))
    assert assert_ok(client.post(URL, content=several(b"a"), headers=HEADERS))["task_id"] is None
