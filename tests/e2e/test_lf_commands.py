"""Every command of `lf` against the running system, as a person or a script calls it."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from cli.main import app
from tests.e2e.system import LF, CompletedText, System, environment, free_port

FACT = "The lighthouse of Skagen was built in 1858 and is 46 metres high."
OTHER = "The harbour of Skagen lands 100,000 tonnes of herring a year."
ROOT = Path(__file__).parents[2]
HANDBOOK = ROOT / "examples/handbook/files/handbook/employee-handbook.pdf"
NOT_OF_A_CLIENT = {"lf server start", "lf server stop", "lf server status", "lf server logs"}
"""Shown by tests/e2e/test_server_command.py."""


def leaves(command: Any, path: str) -> list[str]:
    if hasattr(command, "commands"):
        return [leaf for name, each in command.commands.items() for leaf in leaves(each, f"{path} {name}")]
    return [path]


COMMANDS = leaves(typer.main.get_command(app), "lf")


@dataclass
class Shell:
    """Calls `lf` in a folder; remembers which commands were called."""

    system: System
    folder: Path
    used: set[str] = field(default_factory=set)
    more: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, code: int = 0, stdin: str = "", cwd: Path | None = None) -> CompletedText:
        done = subprocess.run(
            [LF, *arguments],
            cwd=cwd or self.folder,
            env=environment(self.system.data_dir, **self.more),
            input=stdin,
            capture_output=True,
            check=False,
            text=True,
            timeout=240,
        )
        said = f"lf {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, said
        assert "Traceback" not in done.stderr, said
        assert "\x1b" not in done.stdout + done.stderr, said
        self.used.update(path for path in COMMANDS if f"lf {' '.join(arguments)} ".startswith(f"{path} "))
        return done

    def json(self, *arguments: str, code: int = 0, stdin: str = "") -> Any:
        return json.loads(self(*arguments, "--json", code=code, stdin=stdin).stdout)


@pytest.fixture
def lf(system: System, tmp_path: Path) -> Shell:
    return Shell(system, tmp_path)


def write_files(folder: Path) -> Path:
    (folder / "texts" / "deep").mkdir(parents=True)
    (folder / "texts" / "lighthouse.txt").write_text(FACT)
    (folder / "texts" / "deep" / "harbour.md").write_text(OTHER)
    (folder / "texts" / "broken.pdf").write_bytes(b"%PDF-1.7 nothing that can be read")
    return folder / "texts"


def test_every_command_works(lf: Shell, tmp_path: Path) -> None:
    lf("init", "skagen", "--namespace", "cli", "--template", "rag")
    lf.folder = tmp_path / "skagen"
    texts = write_files(tmp_path)
    projects(lf)
    datasets(lf, texts)
    queries(lf)
    chats(lf)
    maintenance(lf, texts)
    events_models_examples(lf)
    services(lf)
    keys(lf, tmp_path / "locked")
    lf("datasets", "delete", "places", "--yes")
    lf("projects", "delete", "skagen", "--yes")
    assert set(COMMANDS) - lf.used == NOT_OF_A_CLIENT


def projects(lf: Shell) -> None:
    assert "cli/skagen" in lf("projects", "list").stdout.splitlines()
    assert lf("projects", "validate").stdout == "cli/skagen is valid\n"
    assert lf.json("projects", "create", "second", "--template", "rag")["project"]["name"] == "second"
    lf("projects", "delete", "second", "-f")
    assert "cli/second" not in lf("projects", "list").stdout
    assert lf("config", "validate").stdout.endswith("is valid\n")
    assert "runtime" in lf.json("config", "schema")["properties"]
    assert "name: skagen" in lf("config", "show").stdout
    path = lf.folder / "llamafarm.yaml"
    path.write_text("# kept\n" + path.read_text() + "project_brief:\n  what: a town by the sea\n")
    lf("config", "push")
    assert "a town by the sea" in lf("config", "show").stdout
    lf("config", "pull")
    assert path.read_text().startswith("# kept\n")


def datasets(lf: Shell, texts: Path) -> None:
    assert "main_database" in lf("datasets", "strategies").stdout
    assert "created dataset 'places'" in lf("datasets", "create", "places").stdout
    uploaded = lf.json("datasets", "upload", "places", str(texts / "**" / "*.*"))
    assert (uploaded["uploaded"], uploaded["skipped"], uploaded["failed"]) == (3, 0, 0)
    assert lf.json("datasets", "upload", "places", str(texts), "-r", "--bulk")["skipped"] == 3
    done = lf("datasets", "process", "places", code=4)
    assert "3 files: 2 processed, 0 skipped, 1 failed" in done.stdout
    assert "broken.pdf" in done.stdout
    assert "1 of 3 files failed" in done.stderr
    assert ["places", "universal_processor", "main_database", "3"] in [
        row.split()[:4] for row in lf("datasets", "list").stdout.splitlines()
    ]
    files = {row.split()[1]: row.split()[0] for row in lf("datasets", "files", "places").stdout.splitlines()[1:]}
    lf("datasets", "remove", "places", files["broken.pdf"], "--yes")
    started = lf.json("datasets", "reprocess", "places", "--no-wait")
    assert lf.json("tasks", "watch", started["task_id"])["result"]["processed_files"] == 2
    assert "2 processed" in lf("tasks", "show", started["task_id"]).stdout
    assert started["task_id"] in lf("tasks", "list").stdout
    assert lf.json("tasks", "cancel", started["task_id"])["already_completed"] is True
    lf("datasets", "cleanup", "places", files["harbour.md"], "--yes")
    assert lf.json("rag", "query", "herring", "--top-k", "1")["results"][0]["content"] == FACT
    lf("datasets", "process", "places")


def queries(lf: Shell) -> None:
    assert "lighthouse.txt" in lf("rag", "query", "When was the lighthouse built?").stdout
    found = lf.json("rag", "query", "Skagen", "-f", "filename:harbour.md")
    assert {hit["content"] for hit in found["results"]} == {OTHER}
    assert "main_database: healthy" in lf("rag", "health").stdout
    assert "documents" in lf("rag", "stats").stdout
    assert "harbour.md" in lf("rag", "list").stdout
    assert "main_database *" in lf("rag", "databases").stdout
    assert "main_database *" in lf("db", "list").stdout
    assert "documents" in lf("db", "stats").stdout
    question = {"question": "How high is the lighthouse?", "expected_files": ["lighthouse.txt"]}
    (lf.folder / "questions.jsonl").write_text(json.dumps(question))
    assert lf.json("eval", "questions.jsonl", "-r", "keyword")["result"]["recommendation"]["is_change"] is False


def chats(lf: Shell) -> None:
    done = lf("chat", "When was the lighthouse of Skagen built?")
    assert "1858" in done.stdout
    assert "lighthouse.txt" in done.stderr
    answer = lf.json("chat", stdin="How high is the lighthouse of Skagen?")
    assert "46 metres" in answer["choices"][0]["message"]["content"]
    line = lf("chat", "How high is the lighthouse?", "--dry-run").stdout
    streamed = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
    assert "data: [DONE]" in streamed
    assert "1858" in lf("start", "--new", stdin="When was the lighthouse built?\n/history\n").stdout
    assert "user: When was the lighthouse built?" in lf("start", stdin="/exit\n").stderr
    lf("chat", "hello", "--model", "absent", code=1)


def maintenance(lf: Shell, texts: Path) -> None:
    exported = lf.folder / "export.json"
    lf("rag", "export", str(exported))
    assert len(json.loads(exported.read_text())["documents"]) == 2
    lf("rag", "compact")
    assert lf.json("db", "rebuild")["result"]["chunks"] == 2
    lf("db", "migrate", "main_database", "--to", "MemoryStore", code=1)
    assert lf.json("rag", "prune", "--yes")["success"] is True
    assert lf.json("rag", "reindex")["success"] is True
    assert lf.json("rag", "delete", "--filename", "harbour.md", "--yes")["documents_deleted"] == 1
    assert "harbour.md" not in lf("rag", "list").stdout
    assert lf.json("rag", "clear", "--yes")["success"] is True
    assert lf.json("rag", "query", "lighthouse")["results"] == []
    assert lf.json("rag", "import", str(exported))["success"] is True
    assert lf.json("rag", "query", "lighthouse")["results"] != []


def events_models_examples(lf: Shell) -> None:
    events = lf.json("events", "list", "--type", "inference")["events"]
    assert "request_received" in lf("events", "show", events[0]["event_id"]).stdout
    assert "default *  extractive" in lf("models", "list").stdout
    assert lf("models", "list", "--cached").stdout.startswith("MODEL")
    lf("models", "status", "org/absent", code=1)
    lf("models", "pull", "org/absent", code=1)
    lf("models", "delete", "org/absent", "--yes", code=1)
    assert "handbook" in lf("examples", "list").stdout
    lf("examples", "import", "codebase", "--namespace", "cli", "--name", "code")
    assert lf.json("rag", "query", "where", "--project", "code")["results"] != []


def services(lf: Shell) -> None:
    names = [each["name"] for each in lf.json("services", "status")["services"]]
    assert {"server", "rag-service", "universal-runtime"} <= set(names)
    assert "already running" in lf("services", "start").stdout
    assert lf("services", "logs", "-s", "server", "-n", "3").stdout
    assert lf("logs", "api", "-n", "3").stdout
    nothing = lf.folder / "nothing"
    assert "not running" in lf("services", "stop", "--data-dir", str(nothing)).stdout
    assert lf.json("version")["server"]["version"]


def keys(lf: Shell, data_dir: Path) -> None:
    """In a data directory of its own: the running server would ask everybody for a key."""
    where = ("--data-dir", str(data_dir))
    made = lf.json("keys", "create", "a program", "--namespace", "cli", *where)
    assert made["key"].startswith("lf-")
    assert "a program" in lf("keys", "list", *where).stdout
    assert "revoked" in lf("keys", "revoke", made["id"], "--yes", *where).stdout


@pytest.mark.parametrize("page", ["README.md", "docs/cli.md"])
def test_the_lines_that_are_shown_work_as_they_stand(system: System, tmp_path: Path, page: str) -> None:
    by_hand = (ROOT / page).read_text(encoding="utf-8").partition("<!-- Generated")[0]
    lines = [line for line in by_hand.splitlines() if line.startswith(("    lf ", "    cd "))]
    assert len(lines) >= 4
    env = environment(system.data_dir)
    for folder in ("papers", "policies"):
        (Path(env["HOME"]) / folder).mkdir(exist_ok=True)
        shutil.copy(HANDBOOK, Path(env["HOME"]) / folder)
    done = subprocess.run(
        ["bash", "-e"],
        input="\n".join(lines),
        cwd=tmp_path,
        env={**env, "PATH": f"{LF.parent}:{env['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 file: 1 processed" in done.stdout
    assert "employee-handbook.pdf, page" in done.stderr


def test_a_dead_server_a_wrong_project_and_a_wrong_folder_are_told(lf: Shell) -> None:
    lf.more = {"LF_SERVER_URL": "http://127.0.0.1:9"}
    assert "lf server start" in lf("projects", "list", "--namespace", "cli", code=3).stderr
    lf.more = {}
    absent = ("--namespace", "cli", "--project", "absent")
    for arguments in (["datasets", "list"], ["rag", "query", "x"], ["chat", "x"], ["models", "list"], ["rag", "stats"]):
        assert "absent" in lf(*arguments, *absent, code=1).stderr
    assert "lf init" in lf("datasets", "list", code=2).stderr
    assert json.loads(lf("datasets", "list", *absent, "--json", code=1).stderr)["status"] == 404


def test_another_server_with_a_key(lf: Shell, tmp_path: Path) -> None:
    lf.system.project("cli", "remote")
    with guarded(lf.system.url, "k3y") as url:
        lf.more = {"LF_SERVER_URL": url, "LF_DATA_DIR": str(tmp_path / "elsewhere")}
        where = ("--namespace", "cli", "--project", "remote")
        assert "LF_API_KEY" in lf("datasets", "list", *where, code=1).stderr
        lf.more["LF_API_KEY"] = "k3y"
        lf("datasets", "create", "places", str(write_files(tmp_path) / "lighthouse.txt"), "--process", *where)
        assert "1858" in lf("chat", "When was the lighthouse built?", *where).stdout
    assert not (tmp_path / "elsewhere").exists()


@contextmanager
def guarded(target: str, key: str) -> Iterator[str]:
    """A way to a server through a door that wants a key."""

    class Door(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != f"Bearer {key}":
                self._answer(httpx.Response(401, json={"detail": "who are you?"}))
                return
            kept = {name: self.headers[name] for name in ("Content-Type", "Accept") if self.headers[name]}
            with httpx.Client(timeout=60) as client:
                self._answer(client.request(self.command, target + self.path, content=body, headers=kept))

        def _answer(self, response: httpx.Response) -> None:
            self.send_response(response.status_code)
            self.send_header("Content-Type", response.headers["Content-Type"])
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        do_GET = do_POST = do_DELETE = _pass  # noqa: N815 - names that the base class calls

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_start_brings_up_a_server_where_none_runs(tmp_path: Path) -> None:
    folder, data_dir = tmp_path / "bakery", tmp_path / "data"
    folder.mkdir()
    shutil.copy(ROOT / "config/templates/rag.yaml", folder / "llamafarm.yaml")
    port = {"LF_PORT": str(free_port())}

    def lf(*arguments: str, stdin: str = "") -> CompletedText:
        return subprocess.run(
            [LF, *arguments],
            cwd=folder,
            env=environment(data_dir, **port),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    try:
        done = lf("start", stdin="hello\n")
        assert done.returncode == 1, done.stdout + done.stderr
        assert f"Paddock listens on http://127.0.0.1:{port['LF_PORT']}" in done.stdout
        assert "lf config push --create" in done.stderr
        port.clear()  # from now on the server is found by its data directory
        assert lf("config", "push", "--create").returncode == 0
        done = lf("start", stdin="hello\n/exit\n")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.strip()
    finally:
        stopped = lf("services", "stop", "--json")
    assert json.loads(stopped.stdout)["message"].startswith("stopped")
    assert lf("services", "status").returncode == 3
