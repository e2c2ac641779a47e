import asyncio
import hashlib
import json
import threading
from collections.abc import MutableMapping
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.parts import Engine
from server.services import uploads
from tests.api.conftest import PROJECT, MakeClient
from tests.api.helpers import assert_error, assert_ok
from tests.api.overrides import BAD_OVERRIDES

BOUNDARY = "xyz"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
URL = "/v1/projects/org/bot/datasets/docs/data"


def part(content: bytes, name: str = "file", filename: str | None = "a.txt", mime: str | None = None) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    if mime is not None:
        disposition += f"\r\nContent-Type: {mime}"
    return f"--{BOUNDARY}\r\n".encode() + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def folder(engine: Engine) -> Path:
    return engine.projects.paths("org", "bot").dataset("docs").root


def leftovers(engine: Engine) -> list[Path]:
    """What an upload that failed may not leave."""
    root = folder(engine)
    return [path for path in root.rglob("*") if path.is_file() and path.name != ".lock"] if root.exists() else []


def make_project(engine: Engine) -> None:
    engine.projects.create("org", "bot")
    engine.projects.replace("org", "bot", PROJECT)


def test_upload_is_stored_under_its_hash(client: TestClient, engine: Engine, project: str) -> None:
    content = b"hello" * 500_000
    answer = assert_ok(client.post(URL, files={"file": ("paper.pdf", content, "application/pdf")}))
    expected = hashlib.sha256(content).hexdigest()
    assert answer == {
        "filename": "paper.pdf",
        "hash": expected,
        "processed": False,
        "skipped": False,
        "status": "uploaded",
        "task_id": None,
    }
    paths = engine.projects.paths("org", "bot").dataset("docs")
    assert paths.raw(expected).read_bytes() == content
    (link,) = paths.index_by_name.iterdir()
    assert link.resolve() == paths.raw(expected).resolve()
    assert link.name.startswith("paper_")
    assert link.name.endswith(".pdf")
    assert list(engine.generations.of_dataset("org", "bot", "docs")) == [expected]


def test_same_bytes_again_are_skipped_and_keep_their_name(client: TestClient, project: str) -> None:
    first = assert_ok(client.post(URL, files={"file": ("first.txt", b"same")}))
    second = assert_ok(client.post(URL, files={"file": ("second.txt", b"same")}))
    assert (first["skipped"], second["skipped"]) == (False, True)
    assert second["filename"] == "first.txt"
    assert second["status"] == "skipped"


def test_lost_bytes_are_restored_by_uploading_again(client: TestClient, engine: Engine, project: str) -> None:
    file_hash = assert_ok(client.post(URL, files={"file": ("a.txt", b"same")}))["hash"]
    raw = engine.projects.paths("org", "bot").dataset("docs").raw(file_hash)
    raw.unlink()
    assert assert_ok(client.post(URL, files={"file": ("a.txt", b"same")}))["skipped"] is True
    assert raw.read_bytes() == b"same"


def test_uploads_of_the_same_bytes_at_once_make_one_file(client: TestClient, engine: Engine, project: str) -> None:
    answers: list[dict[str, object]] = []

    def send(index: int) -> None:
        answers.append(assert_ok(client.post(URL, files={"file": (f"{index}.txt", b"same" * 1000)})))

    threads = [threading.Thread(target=send, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(bool(answer["skipped"]) for answer in answers) == [False] + [True] * 7
    assert len(list(engine.projects.paths("org", "bot").dataset("docs").raw_dir.iterdir())) == 1


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\report.doc", "report.doc"),
        ("/abs/olute.txt", "olute.txt"),
        ("..", "file"),
        ("", "file"),
        ("a\x00b.txt", "ab.txt"),
        ("résumé 日本 🦙.txt", "résumé 日本 🦙.txt"),
        ("<script>alert(1)</script>.html", "script>.html"),
        ("CON", "CON"),
        ("x" * 65_000 + ".pdf", "x" * 251 + ".pdf"),
        ("ä" * 300 + ".pdf", "ä" * 125 + ".pdf"),
        ("dots." + "y" * 300, ("dots." + "y" * 300)[:255]),
    ],
    ids=[
        "dots",
        "drive",
        "absolute",
        "only dots",
        "empty",
        "nul",
        "unicode",
        "tag",
        "device",
        "64k",
        "bytes",
        "suffix",
    ],
)
def test_file_name_is_a_bounded_basename(client: TestClient, engine: Engine, given: str, stored: str) -> None:
    make_project(engine)
    response = client.post(URL, content=form(part(b"x", filename=given)), headers=HEADERS)
    assert assert_ok(response)["filename"] == stored
    details = assert_ok(client.get("/v1/projects/org/bot/datasets"))["datasets"][0]["details"]
    assert details["file_details"][0]["original_filename"] == stored
    assert len(details["files_metadata"][0]["resolved_file_name"].encode()) <= 255


@pytest.mark.parametrize(
    ("mime", "filename", "stored"),
    [
        ("application/pdf; x=1", "a.bin", "application/pdf"),
        ("application/octet-stream", "a.csv", "text/csv"),
        (None, "a.html", "text/html"),
        (None, "a", "application/octet-stream"),
        ("nonsense <b>", "a.txt", "text/plain"),
    ],
)
def test_type_is_what_the_client_says_unless_that_says_nothing(
    client: TestClient, project: str, mime: str | None, filename: str, stored: str
) -> None:
    assert_ok(client.post(URL, content=form(part(b"x", filename=filename, mime=mime)), headers=HEADERS))
    metadata = assert_ok(client.get(f"{project}/datasets"))["datasets"][0]["details"]["files_metadata"]
    assert metadata[0]["mime_type"] == stored


def overrides_part(value: object) -> bytes:
    return part(json.dumps(value).encode(), name="parser_overrides", filename=None)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
def test_overrides_stay_with_the_file(client: TestClient, engine: Engine, project: str, is_first: bool) -> None:
    overrides = {"*": {"chunk_size": 50, "chunk_overlap": 5}}
    parts = (overrides_part(overrides), part(b"x")) if is_first else (part(b"x"), overrides_part(overrides))
    assert_ok(client.post(URL, content=form(*parts), headers=HEADERS))
    (metadata,) = assert_ok(client.get(f"{project}/datasets"))["datasets"][0]["details"]["files_metadata"]
    assert metadata["parser_overrides"] == overrides
    task_id = assert_ok(client.post(f"{project}/datasets/docs/actions", json={"action_type": "process"}))["task_id"]
    assert engine.dispatcher.started[task_id][0].parser_overrides == overrides  # type: ignore[attr-defined]


def test_overrides_of_a_second_upload_replace_the_first_and_empty_ones_take_them_back(
    client: TestClient, project: str
) -> None:
    for given, kept in (
        ({"*": {"chunk_size": 50}}, {"*": {"chunk_size": 50}}),
        ({}, {"*": {"chunk_size": 50}}),
        ({"*.txt": {"chunk_size": 70}}, {"*.txt": {"chunk_size": 70}}),
        ({"*": {}}, None),
    ):
        assert_ok(client.post(URL, content=form(part(b"x"), overrides_part(given)), headers=HEADERS))
        (metadata,) = assert_ok(client.get(f"{project}/datasets"))["datasets"][0]["details"]["files_metadata"]
        assert metadata["parser_overrides"] == kept


def test_duplicate_with_new_overrides_is_processed_again(client: TestClient, project: str) -> None:
    url = f"{URL}?auto_process=true"
    assert_ok(client.post(url, content=form(part(b"x")), headers=HEADERS))
    body = form(part(b"x"), overrides_part({"*": {"chunk_size": 50}}))
    answer = assert_ok(client.post(url, content=body, headers=HEADERS))
    assert (answer["skipped"], answer["status"]) == (True, "processing")


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize(("overrides", "status", "text"), BAD_OVERRIDES.values(), ids=BAD_OVERRIDES.keys())
def test_bad_overrides_are_refused_and_leave_nothing(
    client: TestClient, engine: Engine, project: str, overrides: object, status: int, text: str, is_first: bool
) -> None:
    parts = (overrides_part(overrides), part(b"x")) if is_first else (part(b"x"), overrides_part(overrides))
    assert_error(client.post(URL, content=form(*parts), headers=HEADERS), status, text)
    assert leftovers(engine) == []


def test_overrides_that_do_not_go_with_the_strategy_are_refused(
    client: TestClient, engine: Engine, project: str
) -> None:
    body = form(part(b"x"), overrides_part({"*": {"chunk_overlap": 5_000}}))
    assert_error(client.post(URL, content=body, headers=HEADERS), 400, "does not go with parser 'TextParser_Python'")
    assert leftovers(engine) == []


@pytest.mark.parametrize(
    "text", [b"{", b"nonsense", b"[" * 5000, b'{"\\ud800": {}}', b"3", b"1" * 5000], ids=lambda text: text[:8]
)
def test_overrides_that_are_no_json_object_are_refused(
    client: TestClient, engine: Engine, project: str, text: bytes
) -> None:
    body = form(part(text, name="parser_overrides", filename=None), part(b"x"))
    assert_error(client.post(URL, content=body, headers=HEADERS), 400, "parser_overrides")
    assert leftovers(engine) == []


def test_other_fields_are_accepted(client: TestClient, project: str) -> None:
    body = form(part(b"{}", name="parser_overrides", filename=None), part(b"x"), part(b"1", name="z", filename=None))
    assert_ok(client.post(URL, content=body, headers=HEADERS))


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (form(part(b"x", name="other")), 422, "part 'file'"),
        (form(part(b"x", filename=None)), 422, "carries no file name"),
        (form(), 422, "part 'file'"),
        (b"", 422, "part 'file'"),
        (form(part(b"x"), part(b"y")), 400, "more than one"),
        (part(b"x" * 1000)[:600], 400, "ended in the middle"),
        (b"garbage", 400, "malformed"),
        (form(*[part(b"x", name=f"f{index}", filename=None) for index in range(70)]), 413, "parts"),
        (form(part(b"x" * 70_000, name="f", filename=None), part(b"y")), 413, "field 'f'"),
        (form(part(b"x", filename="y" * 200_000)), 400, "malformed"),
    ],
    ids=["other part", "no name", "no part", "empty", "two", "cut", "garbage", "many", "big field", "big header"],
)
def test_bad_form_is_refused_and_leaves_nothing(
    client: TestClient, engine: Engine, project: str, body: bytes, status: int, text: str
) -> None:
    assert_error(client.post(URL, content=body, headers=HEADERS), status, text)
    assert leftovers(engine) == []


@pytest.mark.parametrize("kind", ["application/json", "", "multipart/form-data", "multipart/form-data; boundary="])
def test_other_bodies_are_refused(client: TestClient, engine: Engine, project: str, kind: str) -> None:
    assert_error(client.post(URL, content=b"{}", headers={"Content-Type": kind}), 422, "multipart/form-data")
    assert leftovers(engine) == []


@pytest.mark.parametrize("declares_length", [True, False])
@pytest.mark.parametrize("size", [1001, 3_000_000])
def test_file_over_the_limit_is_413_and_leaves_nothing(
    make_client: MakeClient, declares_length: bool, size: int
) -> None:
    client = make_client(max_upload_bytes=1000)
    engine = client.app.state.services.engine
    make_project(engine)
    body = form(part(b"x" * size))
    content = body if declares_length else iter([body[:500], body[500:]])
    response = client.post(URL, content=content, headers=HEADERS)
    assert_error(response, 413, "LF_MAX_UPLOAD_BYTES", code="LimitExceeded")
    assert leftovers(engine) == []


def test_file_at_the_limit_is_stored(make_client: MakeClient) -> None:
    client = make_client(max_upload_bytes=1000, max_body_bytes=10)
    make_project(client.app.state.services.engine)
    assert_ok(client.post(URL, content=form(part(b"x" * 1000)), headers=HEADERS))


def test_client_that_leaves_during_an_upload_leaves_nothing(client: TestClient, engine: Engine, project: str) -> None:
    """The test client sends whole bodies only, so the app is called as a server would."""
    came_in: list[list[Path]] = []
    sent: list[str] = []

    async def leave() -> None:
        messages = iter([part(b"x" * 2_000_000)[:1_500_000], None])
        scope = {"type": "http", "method": "POST", "path": URL, "raw_path": b"", "query_string": b"", "state": {}}
        headers = [(key.lower().encode(), value.encode()) for key, value in HEADERS.items()]

        async def receive() -> dict[str, object]:
            body = next(messages)
            if body is None:
                came_in.append(leftovers(engine))
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": body, "more_body": True}

        async def send(message: MutableMapping[str, object]) -> None:
            sent.append(str(message["type"]))

        await client.app({**scope, "headers": headers}, receive, send)

    asyncio.run(leave())
    assert [len(paths) for paths in came_in] == [1]
    assert leftovers(engine) == []
    assert sent == []


def test_full_disk_is_507_and_leaves_nothing(
    client: TestClient, engine: Engine, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("state.incoming.os.fsync", full)
    assert_error(client.post(URL, files={"file": ("a.txt", b"x")}), 507, "disk is full")
    assert leftovers(engine) == []


def test_declared_length_beyond_the_free_space_is_507(
    client: TestClient, engine: Engine, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    assert_error(client.post(URL, files={"file": ("a.txt", b"x")}), 507, "no room")


@pytest.mark.parametrize(
    ("query", "starts"), [("", False), ("?auto_process=true", True), ("?auto_process=false", False)]
)
def test_processing_at_upload_is_asked_for(
    client: TestClient, engine: Engine, project: str, query: str, starts: bool
) -> None:
    answer = assert_ok(client.post(URL + query, files={"file": ("a.txt", b"x")}))
    assert (answer["task_id"] is not None) is starts
    assert answer["status"] == ("processing" if starts else "uploaded")
    assert len(engine.dispatcher.started) == int(starts)  # type: ignore[attr-defined]


def test_dataset_can_ask_for_processing_at_upload(client: TestClient, engine: Engine, project: str) -> None:
    engine.projects.edit("org", "bot", lambda raw: raw["datasets"][0].update(auto_process=True))
    assert assert_ok(client.post(URL, files={"file": ("a.txt", b"x")}))["status"] == "processing"
    assert assert_ok(client.post(f"{URL}?auto_process=false", files={"file": ("b.txt", b"y")}))["task_id"] is None


def test_upload_to_what_does_not_exist_is_404(client: TestClient, engine: Engine, project: str) -> None:
    files = {"file": ("a.txt", b"x")}
    assert_error(client.post(URL.replace("docs", "none"), files=files), 404, "Dataset none not found")
    assert_error(client.post(URL.replace("bot", "none"), files=files), 404, "Project org/none not found")
    assert not engine.projects.paths("org", "none").root.exists()


@pytest.mark.usefixtures("project")
def test_overrides_that_are_a_list_are_refused(client: TestClient) -> None:
    assert_error(client.post(URL, content=form(part(b"x"), overrides_part([])), headers=HEADERS), 400, "an object")
