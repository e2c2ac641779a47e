"""Hostile and broken input, through HTTP to the running system: every answer names the thing and what to do about it,
and nothing else is touched.
"""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.system import ProjectClient, System, assert_error, outcomes
from tests.fixtures import make_files

MIB = 1024 * 1024
KEEPER = "The lighthouse keeper of Skagen is called Birthe Mortensen."
UNKNOWN_HASH = "0" * 64
MESSAGES = [{"role": "user", "content": "Who keeps the lighthouse?"}]


@pytest.fixture(scope="module")
def neighbour(system: System) -> ProjectClient:
    """A project that none of these tests touches."""
    return processed_project(system, "neighbour")


@pytest.fixture(scope="module")
def project(system: System) -> ProjectClient:
    return processed_project(system, "hostile")


@pytest.fixture(autouse=True)
def everything_else_stays_intact(system: System, project: ProjectClient, neighbour: ProjectClient) -> Iterator[None]:
    before = {each.path: (config_file(system, each).read_bytes(), each.files("kept")) for each in (project, neighbour)}
    yield
    for each in (project, neighbour):
        assert (config_file(system, each).read_bytes(), each.files("kept")) == before[each.path]
        assert each.query("Who keeps the lighthouse?", top_k=1)[0]["content"] == KEEPER
    assert list(system.data_dir.glob("projects/*/*/lf_data/datasets/*/incoming/*")) == []


def processed_project(system: System, name: str) -> ProjectClient:
    project = system.project("trials", name)
    project.create_dataset("kept")
    project.upload("kept", "keeper.txt", KEEPER.encode())
    assert project.process("kept")["state"] == "SUCCESS"
    return project


def config_file(system: System, project: ProjectClient) -> Path:
    return system.data_dir / project.path.removeprefix("/v1/") / "llamafarm.yaml"


# -- files ----------------------------------------------------------------------------------------------------------


def utf16(text: str) -> Callable[[Path], Path]:
    return lambda path: make_files.text_file(path, text, encoding="utf-16-le")


BAD_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "scan.pdf": (lambda path: make_files.image_only_pdf_file(path, 2), "OCR"),
    "zero.pdf": (make_files.empty_file, "empty"),
    "cut.pdf": (lambda path: make_files.truncated_pdf_file(path, ["Some text."], keep=0.3), "damaged"),
    "locked.pdf": (lambda path: make_files.encrypted_pdf_file(path, ["Secret."]), "password"),
    "binary.txt": (make_files.binary_file, ""),
    "rows.csv": (lambda path: make_files.text_file(path, "\r\n\r\n"), ""),
    "header.csv": (lambda path: make_files.csv_file(path, [("name", "price")]), "rows"),
    "blank.txt": (lambda path: make_files.text_file(path, " \n\t\n " * 50), "white space"),
    "photo.png": (make_files.png_file, ""),
    "bomb.docx": (make_files.zip_bomb_docx_file, "LF_MAX_COMPRESSION_RATIO"),
    "many.docx": (make_files.many_entries_docx_file, "LF_MAX_ARCHIVE_ENTRIES"),
    "damaged.docx": (make_files.damaged_docx_file, ""),
}
GOOD_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "good.txt": (lambda path: make_files.text_file(path, "The brewer of Ribe is Anders."), "brewer of Ribe"),
    "owner.pdf": (lambda path: make_files.owner_only_pdf_file(path, ["The cooper of Aarhus is Lone."]), "cooper"),
    "page.pdf": (lambda path: make_files.html_file(path, "<p>The weaver of Odense is Mads.</p>"), "weaver of Odense"),
    "wide.txt": (utf16("The tanner of Vejle is Inge. " * 5), "tanner of Vejle"),
    "nul.txt": (
        lambda path: make_files.text_file(path, "The potter\0 of Fanø is Ole. " + "He is well known. " * 20),
        "potter of Fanø",
    ),
}


def test_each_bad_file_fails_by_name_with_a_reason_and_the_good_ones_go_in(system: System, tmp_path: Path) -> None:
    project = system.project("trials", "files")
    project.create_dataset("inbox")
    for name, (make, _) in {**BAD_FILES, **GOOD_FILES}.items():
        project.upload("inbox", name, make(tmp_path / name).read_bytes())

    found = outcomes(project.process("inbox"))

    failed = {name: str(info["error"]) for name, info in found.items() if info["status"] == "failed"}
    assert set(failed) == set(BAD_FILES)
    assert [f"{name}: {error}" for name, error in failed.items() if name not in error] == []
    assert [f"{name}: {failed[name]}" for name, (_, word) in BAD_FILES.items() if word not in failed[name]] == []
    assert [error for error in failed.values() if "unexpected" in error] == []
    assert [name for name in GOOD_FILES if found[name]["status"] != "processed"] == []
    for _, words in GOOD_FILES.values():
        assert words in project.query(words, top_k=1)[0]["content"]
    again = outcomes(project.process("inbox"))
    assert {name: info["error"] for name, info in again.items() if info["status"] == "failed"} == failed
    assert [name for name in GOOD_FILES if again[name]["status"] != "skipped"] == []


def test_a_text_file_of_200_mb_is_taken_in_without_memory_and_refused_by_the_limit(system: System) -> None:
    project = system.project("trials", "large")
    project.create_dataset("inbox")
    api = psutil.Process(int(system.parts()["api"]["pid"]))
    before = peak = api.memory_info().rss
    line = b"The quick brown fox jumps over the lazy dog, again and again and again.\n"
    block = line * (MIB // len(line))

    def body() -> Iterator[bytes]:
        nonlocal peak
        yield b'--cut\r\nContent-Disposition: form-data; name="file"; filename="huge.txt"\r\n\r\n'
        for _ in range(200):
            yield block
            peak = max(peak, api.memory_info().rss)
        yield b"\r\n--cut--\r\n"

    response = project.client.post(
        f"{project.path}/datasets/inbox/data",
        content=body(),
        headers={"Content-Type": "multipart/form-data; boundary=cut"},
    )
    assert response.status_code == 200, response.text
    project.upload("inbox", "small.txt", b"The miller of Skive is Jytte.")
    started_at = time.monotonic()
    found = outcomes(project.process("inbox"))
    duration_s = time.monotonic() - started_at

    assert (found["small.txt"]["status"], found["huge.txt"]["status"]) == ("processed", "failed")
    assert "'huge.txt'" in found["huge.txt"]["error"]
    assert "LF_MAX_TEXT_CHARS" in found["huge.txt"]["error"]
    assert duration_s < 15
    assert max(peak, api.memory_info().rss) - before < 64 * MIB
    removed = project.client.delete(
        f"{project.path}/datasets/inbox/data/{response.json()['hash']}?remove_from_disk=true"
    )
    assert removed.status_code == 200
    assert sum(each["size"] for each in project.files("inbox")) < MIB


def test_a_declared_length_above_the_limit_is_refused_before_a_byte_is_sent(
    system: System, project: ProjectClient
) -> None:
    head = (
        f"POST {project.path}/datasets/kept/data HTTP/1.1\r\nHost: {httpx.URL(system.url).netloc.decode()}\r\n"
        "Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: 3000000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", httpx.URL(system.url).port or 0), timeout=5) as connection:
        connection.sendall(head.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = answer.read().decode()
    assert answer.status == 413, body
    assert "LF_MAX_UPLOAD_BYTES" in body


NAMES = {
    "../../../escape.txt": "escape.txt",
    "/etc/absolute.txt": "absolute.txt",
    "C:\\windows\\drive.txt": "drive.txt",
    "..": "file",
    "CON": "CON",
    "<script>alert(1)<": "<script>alert(1)<",
    "Übergröße 漢字 📄 עברית.txt": "Übergröße 漢字 📄 עברית.txt",
    "l" * 251 + ".txt": "l" * 251 + ".txt",
    "ü" * 300 + ".txt": "ü" * 125 + ".txt",
    "x" * 5000: "x" * 255,
    "new\u2028line\u0085.txt": "newline.txt",
}


def test_names_become_plain_names_and_every_file_is_found_under_its_own(system: System) -> None:
    project = system.project("trials", "names")
    project.create_dataset("inbox")
    outside = sorted(path.name for path in system.data_dir.parent.iterdir())
    for number, (given, stored) in enumerate(NAMES.items()):
        text = f"This is the text of the file with number {number}."
        files = {"file": (given, text.encode())}
        response = project.client.post(f"{project.path}/datasets/inbox/data", files=files)
        assert response.status_code == 200, response.text
        assert response.json()["filename"] == stored

    task = project.process("inbox")

    assert task["state"] == "SUCCESS", task
    assert sorted(each["original_file_name"] for each in project.files("inbox")) == sorted(NAMES.values())
    resolved = [each["resolved_file_name"] for each in project.files("inbox")]
    assert len(set(resolved)) == len(NAMES)
    assert [name for name in resolved if "/" in name or len(name.encode()) > 255] == []
    hits = project.query("This is the text of the file with number", retrieval_strategy="keyword", top_k=20)
    assert {hit["metadata"]["filename"] for hit in hits} == set(NAMES.values())
    assert sorted(path.name for path in system.data_dir.parent.iterdir()) == outside
    dataset = system.data_dir / "projects/trials/names/lf_data/datasets/inbox"
    for name in ("escape.txt", "absolute.txt", "drive.txt"):
        assert [path for path in system.data_dir.rglob(name) if dataset not in path.parents] == []


def test_the_same_bytes_are_one_file_however_often_and_under_whatever_name_they_come(system: System) -> None:
    project = system.project("trials", "twice")
    project.create_dataset("inbox")
    content = b"The ferryman of Ebeltoft is called Kaj."

    def upload(number: int) -> dict[str, Any]:
        files = {"file": (f"copy-{number}.txt", content)}
        response = httpx.post(f"{system.url}{project.path}/datasets/inbox/data", files=files, timeout=30)
        assert response.status_code == 200, response.text
        return dict(response.json())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(upload, range(16)))
    assert len({answer["hash"] for answer in answers}) == 1
    assert [answer["skipped"] for answer in answers].count(False) == 1
    (file,) = project.files("inbox")
    (task_file,) = outcomes(project.process("inbox")).values()
    assert (task_file["status"], task_file["stored_count"]) == ("processed", 1)
    assert upload(99)["skipped"] is True
    (hit,) = project.query("ferryman of Ebeltoft")
    assert hit["metadata"]["filename"] == file["original_file_name"]
    project.client.delete(f"{project.path}/datasets/inbox/data/{file['hash']}?remove_from_disk=true")
    assert upload(100)["skipped"] is False


# -- names of things that do not exist ------------------------------------------------------------------------------

Asked = tuple[str, str, dict[str, Any] | None, int, tuple[str, ...]]
UNKNOWN: dict[str, Asked] = {
    "project": ("GET", "../absent", None, 404, ("trials/absent",)),
    "project of a query": ("POST", "../absent/rag/query", {"query": "x"}, 404, ("trials/absent",)),
    "project of a chat": ("POST", "../absent/chat/completions", {"messages": MESSAGES}, 404, ("trials/absent",)),
    "project to delete": ("DELETE", "../absent", None, 404, ("trials/absent",)),
    "template": ("POST", "..", {"name": "new", "config_template": "absent"}, 404, ("absent", "rag")),
    "dataset to process": ("POST", "datasets/absent/actions", {"action_type": "process"}, 404, ("absent",)),
    "dataset to delete": ("DELETE", "datasets/absent", None, 404, ("absent",)),
    "action": ("POST", "datasets/kept/actions", {"action_type": "dance"}, 422, ("dance", "'process'")),
    "file": ("DELETE", f"datasets/kept/data/{UNKNOWN_HASH}", None, 404, (UNKNOWN_HASH,)),
    "file that is no hash": ("DELETE", "datasets/kept/data/keeper.txt", None, 404, ("keeper.txt",)),
    "file to clean up": ("POST", f"datasets/kept/cleanup/{UNKNOWN_HASH}", None, 404, (UNKNOWN_HASH,)),
    "database": ("POST", "rag/query", {"query": "x", "database": "absent"}, 404, ("'absent'", "main_database")),
    "database of a chat": (
        "POST", "chat/completions", {"messages": MESSAGES, "database": "absent"}, 404, ("'absent'", "main_database"),
    ),
    "database to look at": ("GET", "rag/databases/absent", None, 404, ("'absent'", "main_database")),
    "database to check": ("GET", "rag/health?database=absent", None, 404, ("'absent'", "main_database")),
    "retrieval strategy": (
        "POST", "rag/query", {"query": "x", "retrieval_strategy": "absent"}, 404, ("'absent'", "hybrid_search"),
    ),
    "retrieval strategy of a chat": (
        "POST",
        "chat/completions",
        {"messages": MESSAGES, "rag_retrieval_strategy": "absent"},
        404,
        ("'absent'", "hybrid_search"),
    ),
    "database of a new dataset": (
        "POST",
        "datasets",
        {"name": "new", "database": "absent", "data_processing_strategy": "universal_processor"},
        400,
        ("database absent",),
    ),
    "processing strategy of a new dataset": (
        "POST",
        "datasets",
        {"name": "new", "database": "main_database", "data_processing_strategy": "absent"},
        400,
        ("processing strategy absent",),
    ),
    "model": ("POST", "chat/completions", {"messages": MESSAGES, "model": "absent"}, 400, ("'absent'", "ollama")),
    "task": ("GET", f"tasks/{UNKNOWN_HASH[:36]}", None, 404, (UNKNOWN_HASH[:36],)),
    "task to cancel": ("DELETE", f"tasks/{UNKNOWN_HASH[:36]}", None, 404, ("Task",)),
    "path": ("GET", "absent", None, 404, ("absent",)),
    "method": ("PATCH", "rag/query", None, 405, ("PATCH",)),
}  # fmt: skip


@pytest.mark.parametrize("asked", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_does_not_exist_is_named(asked: Asked, project: ProjectClient) -> None:
    method, path, body, status, words = asked
    url = httpx.URL(f"http://host{project.path}/").join(path).raw_path.decode()
    assert_error(project.client.request(method, url.rstrip("/"), json=body), status, *words)


def test_an_upload_to_a_dataset_that_does_not_exist_stores_nothing(system: System, project: ProjectClient) -> None:
    response = project.client.post(f"{project.path}/datasets/absent/data", files={"file": ("a.txt", b"hello")})
    assert_error(response, 404, "absent")
    assert not (config_file(system, project).parent / "lf_data/datasets/absent").exists()


def test_a_task_of_another_project_does_not_exist(project: ProjectClient, neighbour: ProjectClient) -> None:
    task_id = neighbour.process("kept")["task_id"]
    for method in ("GET", "DELETE"):
        assert_error(project.client.request(method, f"{project.path}/tasks/{task_id}"), 404, "Task")
    assert neighbour.task(task_id)["state"] == "SUCCESS"


# -- paths and bodies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part", ["%2e%2e", "..%2f..%2fetc", "%2e%2e%5c", "a%00b", ".hidden", "x" * 300, "%F0%9F%92%A5", "C%3A", "a%0Ab"]
)
def test_names_in_paths_that_could_lead_elsewhere_are_refused(
    part: str, project: ProjectClient, system: System
) -> None:
    before = sorted(path.name for path in (system.data_dir / "projects").rglob("*") if path.is_dir())
    for path in (
        f"/v1/projects/{part}/hostile",
        f"/v1/projects/trials/{part}",
        f"{project.path}/datasets/{part}/data",
        f"{project.path}/datasets/kept/data/{part}",
        f"{project.path}/tasks/{part}",
        f"{project.path}/chat/sessions/{part}/history",
    ):
        for method in ("GET", "DELETE", "POST"):
            response = project.client.request(method, path)
            # What names a session may be any printable text, and one that nobody used has an empty history.
            is_session = "/sessions/" in path and response.status_code == 200
            assert is_session or response.status_code in (400, 404, 405, 422), (method, path, response.text)
            if response.status_code >= 400:
                assert_error(response, response.status_code)
    assert sorted(path.name for path in (system.data_dir / "projects").rglob("*") if path.is_dir()) == before


BODIES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b'{"query": ', 422, "JSON"),
    "nothing": (b"", 422, "body"),
    "bytes that are no UTF-8": (b'{"query": "\xff\xfe"}', 422, "JSON"),
    "not a number": (b'{"query": "x", "top_k": NaN}', 422, "JSON"),
    "lone surrogate": (b'{"query": "\\ud800"}', 422, "JSON"),
    "nested a hundred thousand times": (b"[" * 100_000, 422, "depth"),
    "another type": (b'["query"]', 422, "body"),
    "wrong types": (b'{"query": {"a": 1}, "top_k": "many"}', 422, "top_k"),
    "too many": (b'{"query": "x", "top_k": 100000}', 422, "top_k"),
    "only white space": (b'{"query": "   "}', 422, "query"),
    "an operator that does not exist": (b'{"query": "x", "metadata_filters": {"a": {"$where": 1}}}', 422, "$where"),
    "larger than the limit": (b'{"query": "' + b"x" * 21_000_000 + b'"}', 413, "LF_MAX_BODY_BYTES"),
}


@pytest.mark.parametrize(("body", "status", "word"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_not_what_was_asked_for_is_refused(
    body: bytes, status: int, word: str, project: ProjectClient
) -> None:
    headers = {"Content-Type": "application/json"}
    assert_error(project.client.post(f"{project.path}/rag/query", content=body, headers=headers), status, word)


def test_a_form_that_is_none_stores_nothing(project: ProjectClient) -> None:
    path, kind = f"{project.path}/datasets/kept/data", "multipart/form-data; boundary=cut"
    part = b'--cut\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\nhello\r\n'
    bodies = {
        b"no form at all": "malformed",
        part % (b"file", b'; filename="a.txt"'): "ended in the middle",
        part % (b"other", b'; filename="a.txt"') + b"--cut--\r\n": "'file'",
        part % (b"file", b"") + b"--cut--\r\n": "file name",
        part % (b"file", b'; filename="a.txt"') * 2 + b"--cut--\r\n": "more than one",
    }
    for body, word in bodies.items():
        response = project.client.post(path, content=body, headers={"Content-Type": kind})
        assert_error(response, response.status_code, word)
        assert response.status_code in (400, 422)
    assert_error(project.client.post(path, json={"file": "a.txt"}), 422, "multipart/form-data", "application/json")


# -- configurations -------------------------------------------------------------------------------------------------

YAML: dict[str, tuple[str, tuple[str, ...]]] = {
    "cut off": ("version: v1\nruntime: [", ("line 2",)),
    "empty": ("", ("mapping",)),
    "a list": ("- version\n- v1\n", ("mapping",)),
    "a tab": ("version: v1\nruntime:\n\tmodels: []\n", ("line 3",)),
    "a key twice": ("version: v1\nversion: v2\n", ("version", "twice")),
    "code": ("!!python/object/apply:os.system ['true']\n", ("line 1",)),
    "a billion laughs": (
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
        ("values",),
    ),
    "nested deeply": ("[" * 10_000, ("nested",)),
    "no UTF-8": ("version: v1\nname: \udcff\n", ("UTF-8",)),
    "nothing of what is needed": ("name: x\n", ("version", "runtime")),
}


@pytest.mark.parametrize(("text", "words"), YAML.values(), ids=YAML.keys())
def test_a_broken_configuration_on_disk_is_named_with_its_place_and_can_be_repaired(
    text: str, words: tuple[str, ...], system: System, project: ProjectClient
) -> None:
    file, config = config_file(system, project), project.client.get(project.path).json()["project"]["config"]
    good = file.read_bytes()
    file.write_bytes(text.encode(errors="surrogateescape"))
    try:
        started_at = time.monotonic()
        asked = {"action_type": "process"}
        for path, body in (("rag/query", {"query": "x"}), ("chat/completions", {"messages": MESSAGES})):
            assert_error(project.client.post(f"{project.path}/{path}", json=body), 422, "llamafarm.yaml", *words)
        for path in ("datasets/kept/actions", "datasets/kept/cleanup/" + UNKNOWN_HASH):
            assert_error(project.client.post(f"{project.path}/{path}", json=asked), 422, "llamafarm.yaml", *words)
        assert_error(project.client.get(f"{project.path}/datasets"), 422, "llamafarm.yaml", *words)
        names = [each["name"] for each in project.client.get("/v1/projects/trials").json()["projects"]]
        assert "neighbour" in names
        assert system.health()[0] == "healthy"
        assert time.monotonic() - started_at < 5
        repaired = project.client.put(project.path, json={"config": config})
        assert repaired.status_code == 200, repaired.text
        assert project.query("Who keeps the lighthouse?", top_k=1)[0]["content"] == KEEPER
    finally:
        file.write_bytes(good)


def test_a_configuration_that_breaks_a_rule_is_refused_and_the_old_one_stays(project: ProjectClient) -> None:
    config = project.client.get(project.path).json()["project"]["config"]
    wrong = json.loads(json.dumps(config))
    wrong["runtime"]["models"][0]["provider"] = "absent"
    assert_error(project.client.put(project.path, json={"config": wrong}), 422, "provider", "absent", "ollama")
    wrong = json.loads(json.dumps(config))
    wrong["rag"]["databases"][0]["embedding_strategies"] = "many"
    assert_error(project.client.put(project.path, json={"config": wrong}), 422, "embedding_strategies", "many")
    assert_error(project.client.put(project.path, json={"config": {}}), 422, "version", "runtime")
    assert_error(project.client.put(project.path, json={}), 422, "config")
    assert project.client.get(project.path).json()["project"]["config"] == config


# -- at the same time -----------------------------------------------------------------------------------------------


def test_a_dataset_that_is_deleted_while_it_is_processed_leaves_nothing(system: System) -> None:
    project = system.project("trials", "race")
    project.create_dataset("kept")
    project.upload("kept", "keeper.txt", KEEPER.encode())
    project.process("kept")
    project.create_dataset("doomed")
    for number in range(30):
        text = f"Paragraph about the doomed castle number {number}. " * 60
        project.upload("doomed", f"castle-{number}.txt", text.encode())
    task_id = project.start("doomed")
    response = project.client.delete(f"{project.path}/datasets/doomed")
    assert response.status_code == 200, response.text
    task = project.client.get(f"{project.path}/tasks/{task_id}")
    if task.status_code == 200:
        project.wait(task_id, timeout_s=30)
    contents = [hit["content"] for hit in project.query("doomed castle", top_k=50)]
    assert contents == [KEEPER]
    assert [each["name"] for each in project.client.get(f"{project.path}/datasets").json()["datasets"]] == [
        "documents", "kept",
    ]  # fmt: skip


def test_a_component_that_does_not_exist_is_named_with_those_that_do(project: ProjectClient) -> None:
    config = project.client.get(project.path).json()["project"]["config"]
    wrong = json.loads(json.dumps(config))
    wrong["rag"]["databases"][0]["type"] = "AbsentStore"
    try:
        assert project.client.put(project.path, json={"config": wrong}).status_code == 200
        response = project.client.post(f"{project.path}/rag/query", json={"query": "x"})
        assert_error(response, 422, "AbsentStore", "ChromaStore")
    finally:
        assert project.client.put(project.path, json={"config": config}).status_code == 200
