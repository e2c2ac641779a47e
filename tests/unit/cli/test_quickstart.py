"""The example over HTTP, against a small server that keeps what it is told."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from cli.environment import load_settings
from cli.errors import QuickstartError
from cli.example import read_example
from cli.quickstart import report_example, run_example
from config.settings import Settings

CONFIG = "version: v1\nruntime: {models: [{name: quoting}]}\ndatasets: [{name: books}]\n"
QUESTION = "Who keeps the gate?"


class FakeApi:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.config: dict[str, Any] | None = None
        self.chunks: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self.polls = 0
        self.url = ""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        self.calls.append(f"{method} {path.removeprefix('/v1/projects/examples')}")
        for known, handler in (
            (r"GET /v1/projects/examples/gate$", self._get),
            (r"POST /v1/projects/examples$", self._create),
            (r"PUT /v1/projects/examples/gate$", self._put),
            (r"GET .*/datasets/$", self._list),
            (r"POST .*/data$", self._upload),
            (r"DELETE .*/data/.*", lambda _: (200, {"deleted_chunks": 4})),
            (r"POST .*/actions$", self._process),
            (r"GET .*/tasks/t1$", self._task),
            (r"POST .*/chat/completions$", self._chat),
        ):
            if re.fullmatch(known, f"{method} {path}"):
                return handler(body)
        return 404, {"detail": f"no route {path}"}

    def _get(self, _: bytes) -> tuple[int, Any]:
        if self.config is None:
            return 404, {"detail": "project 'examples/gate' not found"}
        return 200, {"project": {"config": self.config}}

    def _create(self, body: bytes) -> tuple[int, Any]:
        assert json.loads(body) == {"name": "gate"}
        self.config = {}
        return self._get(b"")

    def _put(self, body: bytes) -> tuple[int, Any]:
        self.config = json.loads(body)["config"]
        return self._get(b"")

    def _list(self, _: bytes) -> tuple[int, Any]:
        files = [
            {"hash": file_hash, "chunk_count": count, "original_file_name": self.names.get(file_hash, "other.txt")}
            for file_hash, count in self.chunks.items()
        ]
        return 200, {"datasets": [{"name": "books", "details": {"files_metadata": files}}]}

    def _upload(self, body: bytes) -> tuple[int, Any]:
        content = body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
        file_hash = hashlib.sha256(content).hexdigest()
        self.chunks[file_hash] = 0
        self.names[file_hash] = re.search(rb'filename="([^"]*)"', body)[1].decode()  # type: ignore[index]
        return 200, {"skipped": False}

    def _process(self, _: bytes) -> tuple[int, Any]:
        return 200, {"task_id": "t1"}

    def _task(self, _: bytes) -> tuple[int, Any]:
        self.polls += 1
        if self.polls == 1:
            return 200, {"state": "STARTED", "meta": {"current": 0, "total": 2, "files": []}}
        self.chunks = dict.fromkeys(self.chunks, 4)
        files = [{"state": "failure", "filename": "b.txt", "error": "it is empty"}]
        return 200, {"state": "FAILURE", "meta": {"current": 2, "total": 2, "stored_count": 4, "files": files}}

    def _chat(self, body: bytes) -> tuple[int, Any]:
        request = json.loads(body)
        assert request["messages"] == [{"role": "user", "content": QUESTION}]
        assert request["include_sources"] is True
        metadata = {"filename": "a.txt", "page_start": 3, "page_end": 4}
        return 200, {
            "model": "extractive",
            "choices": [{"message": {"content": "The keeper does. [1]"}}],
            "sources": [{"content": "…", "source": "a.txt", "score": 0.87, "metadata": metadata}],
        }


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = fake.answer(self.command, self.path, body)
            encoded = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "examples" / "gate"
    (folder / "files" / "books").mkdir(parents=True)
    (folder / "llamafarm.yaml").write_text(f"{CONFIG}name: x\n")
    (folder / "example.yaml").write_text(f"question: {QUESTION}\n")
    (folder / "files" / "books" / "a.txt").write_text("The keeper keeps the gate.")
    (folder / "files" / "books" / "b.txt").write_text("")
    return load_settings(data_dir=tmp_path).model_copy(update={"examples_dir": tmp_path / "examples"})


def run(settings: Settings, api: FakeApi) -> str:
    api.calls.clear()
    console = Console(file=StringIO(), width=200)
    run_example(console, settings, api.url, "gate")
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_first_run_imports_asks_and_shows_how_to_go_on(settings: Settings, api: FakeApi) -> None:
    said = run(settings, api)
    assert api.config == {**YAML(typ="safe").load(CONFIG), "name": "gate", "namespace": "examples"}
    assert 'model="quoting"' in said
    assert api.calls.count("POST /gate/datasets/books/data") == 2
    assert "b.txt: it is empty" in said
    assert "The keeper does. [1]" in said
    assert "[1] a.txt, pages 3–4  (0.87)" in said
    assert f"curl {api.url}/v1/projects/examples/gate/chat/completions" in said
    assert f'OpenAI(base_url="{api.url}/v1/projects/examples/gate"' in said


def test_the_second_run_goes_straight_to_the_question(settings: Settings, api: FakeApi) -> None:
    run(settings, api)
    run(settings, api)
    assert api.calls == ["GET /gate", "GET /gate/datasets/", "POST /gate/chat/completions"]


def test_an_earlier_version_of_an_example_file_is_replaced_and_own_files_stay(settings: Settings, api: FakeApi) -> None:
    run(settings, api)
    api.chunks |= {"0ld": 4, "m1ne": 4}
    api.names |= {"0ld": "a.txt", "m1ne": "my-own.txt"}
    run(settings, api)
    assert [call for call in api.calls if call.startswith("DELETE")] == [
        "DELETE /gate/datasets/books/data/0ld?remove_from_disk=true"
    ]


def test_an_import_that_was_cut_off_is_completed(settings: Settings, api: FakeApi) -> None:
    api.config = {}
    run(settings, api)
    assert api.config["datasets"] == [{"name": "books"}]


def test_an_unknown_example_names_the_known_ones(settings: Settings, api: FakeApi) -> None:
    with pytest.raises(QuickstartError, match=r"no example 'door'.*there are gate"):
        run_example(Console(file=StringIO()), settings, api.url, "door")


def test_beside_the_server_a_failure_is_only_told(settings: Settings) -> None:
    console = Console(file=StringIO(), width=200)
    report_example(console, settings, "http://127.0.0.1:1", "gate")
    assert isinstance(console.file, StringIO)
    assert "example gate: GET /v1/projects/examples/gate failed: ConnectError" in console.file.getvalue()


@pytest.mark.parametrize("key", ["ingest", "files"])
def test_manifest_names_the_files_under_either_key(key: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "llamafarm.yaml").write_text("datasets: [{name: docs}]", encoding="utf-8")
    (folder / "example.yaml").write_text(f"datasets: [{{name: docs, {key}: ['*.txt']}}]", encoding="utf-8")
    (folder / "a.txt").write_text("x", encoding="utf-8")
    example = read_example(Settings(_env_file=None, examples_dir=tmp_path), "mine")
    assert [path.name for path in example.datasets[0].files] == ["a.txt"]
