"""What every command of a client shares: which server and project, how failures are told, exit codes."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cli.client.error_text import error_text
from cli.client.output import clean
from tests.unit.cli.client_run import Lf, P
from tests.unit.cli.fake_api import Reply, Seen

LF = Path(sys.executable).parent / "lf"
PROJECTS = {"total": 1, "projects": [{"namespace": "acme", "name": "bakery"}]}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"detail": "no such thing", "error": "NotFound", "message": "other"}, "no such thing"),
        ({"detail": {"message": "inner"}}, "inner"),
        ({"detail": {"detail": "deeper"}}, "deeper"),
        ({"detail": [{"loc": ["body", "top_k"], "msg": "too large", "type": "x"}]}, "body.top_k: too large"),
        ({"detail": [{"message": "first"}]}, "first"),
        ({"error": "CODE", "message": "text", "details": None}, "text"),
        ({"error": "only this"}, "only this"),
        ({"error": {"message": "as OpenAI says it"}}, "as OpenAI says it"),
        ({"else": 1}, '{"else": 1}'),
        (None, "raw text"),
    ],
)
def test_an_error_is_told_in_the_words_of_the_server(body: Any, says: str) -> None:
    assert error_text(body, json.dumps(body) if body else "raw text") == says


def test_the_folder_names_the_project_and_options_go_before_it(lf: Lf) -> None:
    lf.api.on("GET", f"{P}/models", {"models": []})
    lf.api.on("GET", "/v1/projects/acme/other/models", {"models": []})
    lf.api.on("GET", "/v1/projects/a%2Fb/c%20d/models", {"models": []})
    lf("models", "list")
    lf("models", "list", "--project", "other")
    lf("--project", "bakery", "models", "list", "--project", "other")
    lf("models", "list", "acme/other")
    lf("models", "list", "--namespace", "a/b", "--project", "c d")
    assert [each.path for each in lf.api.seen] == [
        f"{P}/models",
        *["/v1/projects/acme/other/models"] * 3,
        "/v1/projects/a%2Fb/c%20d/models",
    ]


def test_without_a_project_the_remedy_is_told(lf: Lf) -> None:
    (lf.folder / "llamafarm.yaml").unlink()
    assert "lf init" in lf("datasets", "list", code=2).stderr
    assert "--namespace" in lf("projects", "list", code=2).stderr
    assert "--namespace" in lf("models", "list", "--project", "a/b", code=2).stderr


def test_a_folder_can_be_named(lf: Lf, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "llamafarm.yaml").write_text("name: shop\nnamespace: acme\n")
    lf.api.on("GET", "/v1/projects/acme/shop/models", {"models": []})
    lf("models", "list", "--cwd", str(other))
    assert "No such file" in lf("models", "list", "--cwd", str(tmp_path / "absent"), code=2).stderr


def test_a_config_that_cannot_be_read_is_told(lf: Lf) -> None:
    (lf.folder / "llamafarm.yaml").write_text("name: [")
    assert "llamafarm.yaml: line" in lf("models", "list", code=1).stderr


def test_the_key_is_sent(lf: Lf, monkeypatch: pytest.MonkeyPatch) -> None:
    lf.api.on("GET", "/v1/projects/acme", PROJECTS)
    lf("projects", "list")
    lf("projects", "list", "--api-key", "k1")
    monkeypatch.setenv("LF_API_KEY", "k2")
    lf("projects", "list")
    lf("--api-key", "k1", "projects", "list")
    assert [each.headers.get("authorization") for each in lf.api.seen] == [None, "Bearer k1", "Bearer k2", "Bearer k1"]


def test_the_key_of_a_dotenv_file_stays_on_this_machine(lf: Lf) -> None:
    (lf.folder / ".env").write_text("LF_API_KEY=secret\n")
    lf.api.on("GET", "/v1/projects/acme", PROJECTS)
    lf("projects", "list")
    assert "authorization" not in lf.api.seen[0].headers


def test_a_wrong_key_names_the_option(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", Reply({"detail": "Invalid key"}, 401))
    assert lf("projects", "list", code=1).stderr == "lf: Invalid key (give the key with --api-key or LF_API_KEY)\n"


def test_a_dead_server_is_exit_code_three_with_address_and_remedy(lf: Lf) -> None:
    done = lf("projects", "list", "--server-url", "http://127.0.0.1:9", code=3)
    assert "no server answers at http://127.0.0.1:9" in done.stderr
    assert "lf server start" in done.stderr
    failed = lf.error("projects", "list", "--server-url", "127.0.0.1:9", code=3)
    assert failed["exit_code"] == 3
    assert "http://127.0.0.1:9" in failed["error"]


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://a:99999", "http://a b"])
def test_what_is_no_address_is_a_wrong_option(lf: Lf, url: str) -> None:
    assert "is no address" in lf("projects", "list", "--server-url", url, code=2).stderr


@pytest.mark.parametrize(
    ("url", "code"),
    [("http://u:secretpw@127.0.0.1:9", 3), ("u:secretpw@127.0.0.1:9", 3), ("http://u:secretpw/@no:no", 2)],
)
def test_a_password_in_the_address_is_not_shown(lf: Lf, url: str, code: int) -> None:
    for arguments in (["projects", "list"], ["version"]):
        done = lf(*arguments, "--server-url", url, code=0 if arguments == ["version"] and code == 3 else code)
        assert "secretpw" not in done.stdout + done.stderr
    assert "secretpw" not in json.dumps(lf.error("projects", "list", "--server-url", url, code=code))


def test_a_password_in_the_address_is_sent_and_not_shown(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", PROJECTS, b"<html>")
    url = lf.api.url.replace("//", "//u:secretpw@")
    lf("projects", "list", "--server-url", url)
    assert lf.api.seen[0].headers["authorization"].startswith("Basic ")
    failed = lf("projects", "list", "--server-url", url, code=1).stderr
    assert f"{lf.api.url}/v1/projects/acme answered" in failed
    assert "secretpw" not in lf("chat", "acme/bakery", "x", "--dry-run", "--server-url", url).stdout


def test_a_slow_server_ends_with_the_option_that_helps(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", lambda _: time.sleep(0.5))
    assert "--timeout" in lf("projects", "list", "--timeout", "0.1", code=1).stderr


def test_what_speaks_no_json_is_no_server(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", b"<html>")
    assert "is it a LlamaFarm server" in lf("projects", "list", code=1).stderr


def test_a_route_that_the_server_lacks_is_named(lf: Lf) -> None:
    assert "this server has no POST" in lf("rag", "compact", code=1).stderr


def test_json_is_one_document_and_errors_are_json_too(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", PROJECTS)
    assert lf.json("projects", "list") == PROJECTS
    lf.api.on("GET", "/v1/projects/acme", Reply({"detail": "gone", "error": "X", "message": "gone"}, 404))
    assert lf.error("projects", "list") == {
        "error": "gone",
        "exit_code": 1,
        "status": 404,
        "body": {"detail": "gone", "error": "X", "message": "gone"},
    }


@pytest.mark.parametrize("arguments", [["projects", "list", "--nonsense"], ["nonsense"], ["projects", "create"]])
def test_wrong_options_are_json_where_that_was_asked_for(arguments: list[str]) -> None:
    done = subprocess.run([LF, *arguments, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert json.loads(done.stderr)["exit_code"] == 2


def test_errors_of_lf_server_are_json_where_that_was_asked_for() -> None:
    command = [LF, "server", "status", "--json"]
    done = subprocess.run(command, env={"LF_PORT": "no"}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "LF_PORT" in json.loads(done.stderr)["error"]


@pytest.mark.parametrize("arguments", [["tasks", "watch", "t1"], ["datasets", "upload", "notes", "llamafarm.yaml"]])
def test_an_interrupt_ends_at_once_with_130_and_no_traceback(lf: Lf, arguments: list[str]) -> None:
    asked = threading.Event()

    def never(_: Seen) -> None:
        asked.set()
        time.sleep(20)

    for method, path in (("GET", f"{P}/tasks/t1"), ("POST", f"{P}/datasets/notes/data")):
        lf.api.on(method, path, never)
    process = subprocess.Popen(
        [LF, "--server-url", lf.api.url, *arguments], cwd=lf.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert asked.wait(15)
    process.send_signal(signal.SIGINT)
    output = b"".join(process.communicate(timeout=10))
    assert process.returncode == 130
    assert b"Traceback" not in output


def test_what_steers_a_terminal_is_taken_out(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", {"projects": [{"namespace": "acme", "name": "\x1b[31mred\x07"}]})
    assert lf("projects", "list").stdout == "acme/[31mred\n"
    assert clean("tab\tnew\nline \x9b") == "tab\tnew\nline "


def test_a_table_in_a_pipe_is_neither_cut_nor_coloured(lf: Lf) -> None:
    long = "x" * 300
    lf.api.on("GET", f"{P}/models", {"models": [{"name": "m", "provider": "p", "model": long, "default": True}]})
    printed = lf("models", "list").stdout
    assert f"m *   p         {long}" in printed
    assert "\x1b" not in printed


def test_quiet_leaves_remarks_out(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", {"projects": []})
    assert "No projects found" in lf("projects", "list").stderr
    assert lf("projects", "list", "-q").stderr == ""


def test_what_destroys_asks_or_needs_a_yes(lf: Lf) -> None:
    lf.api.on("DELETE", P, {"project": {}})
    assert "--yes" in lf("projects", "delete", "bakery", code=2).stderr
    assert "--yes" in lf.error("projects", "delete", "bakery", code=2)["error"]
    assert lf.api.seen == []
    assert lf("projects", "delete", "bakery", "-f").stdout == "deleted project acme/bakery\n"


def test_options_of_a_client_do_not_belong_to_lf_server(lf: Lf) -> None:
    for option in ("--quiet", "--json", "--timeout=3"):
        assert "options of its own" in lf(option, "server", "status", code=2).stderr
    lf.api.url = ""
    assert "options of its own" in lf("--server-url", "http://x", "server", "status", code=2).stderr
    lf("server", "status", "--data-dir", str(lf.folder), code=3)


def test_the_command_line_is_light() -> None:
    heavy = (
        "torch",
        "chromadb",
        "fastapi",
        "httpx",
        "pydantic",
        "celery",
        "psutil",
        "openai",
        "ruamel",
        "rag",
        "config",
    )
    code = f"import sys, cli.main; sys.exit(', '.join(m for m in {heavy} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_leaves_early_is_no_traceback(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", {"projects": [{"name": f"p{n}"} for n in range(50_000)]})
    command = f"'{LF}' --server-url {lf.api.url} projects list | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=lf.folder, capture_output=True, text=True, check=False)
    assert done.stdout == "acme/p0\n"
    assert "Traceback" not in done.stderr


def test_redirects_are_followed_but_not_to_what_cannot_be_checked(lf: Lf) -> None:
    lf.api.on("GET", "/v1/projects/acme", Reply({}, 307, {"Location": "/v1/projects/acme/"}))
    lf.api.on("GET", "/v1/projects/acme/", PROJECTS)
    assert lf.json("projects", "list") == PROJECTS
    lf.api.on("GET", "/v1/projects/acme", Reply({}, 307, {"Location": "https://127.0.0.1:9/"}))
    assert "https://127.0.0.1:9" in lf("projects", "list", code=2).stderr
