"""`lf chat` and `lf start`: one question, a pipe, a conversation."""

import json
import shlex
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.client_run import Lf, P
from tests.unit.cli.fake_api import Events, Reply, Seen, deltas
from tests.unit.cli.terminal import LF, Terminal

C = f"{P}/chat/completions"
SOURCE = {
    "number": 1,
    "content": "…",
    "source": "a.md",
    "score": 0.91,
    "metadata": {"filename": "a.md", "page_start": 2},
}


def last(lf: Lf) -> dict[str, Any]:
    return dict(lf.api.requests("POST", C)[-1].json)


def test_an_answer_streams_to_stdout_and_its_sources_to_stderr(lf: Lf) -> None:
    lf.api.on("POST", C, Reply(deltas("Ninety ", "days [1].", sources=[SOURCE])))
    done = lf("chat", "How long?")
    assert done.stdout == "Ninety days [1].\n"
    assert done.stderr == "[1] a.md, page 2  (0.91)\n"
    (sent,) = lf.api.seen
    assert sent.headers["x-no-session"] == "true"
    assert sent.json == {
        "messages": [{"role": "user", "content": "How long?"}],
        "stream": True,
        "include_sources": True,
    }


def test_options_reach_the_server_under_its_names(lf: Lf) -> None:
    lf.api.on("POST", C, Reply(deltas("ok")))
    options = "--model m --database d --retrieval-strategy s --rag-top-k 3 --rag-score-threshold 0.5 --session abc"
    lf("chat", "hello", *options.split())
    expected = {"model": "m", "database": "d", "rag_retrieval_strategy": "s", "rag_top_k": 3}
    assert last(lf).items() >= {**expected, "rag_score_threshold": 0.5}.items()
    assert lf.api.seen[-1].headers["x-session-id"] == "abc"
    lf("chat", "hello", "--no-rag")
    assert last(lf)["rag_enabled"] is False
    assert "include_sources" not in last(lf)


def test_the_question_comes_from_words_a_file_or_a_pipe(lf: Lf) -> None:
    lf.api.on("POST", C, Reply(deltas("ok")))
    (lf.folder / "q.txt").write_text("from a file\n")
    for arguments, stdin, question in (
        (["two", "words"], None, "two words"),
        (["--file", "q.txt"], None, "from a file"),
        (["sum up:", "-f", "q.txt"], None, "sum up:\n\nfrom a file"),
        ([], "piped", "piped"),
        (["sum up:", "-f", "-"], "piped", "sum up:\n\npiped"),
    ):
        lf("chat", *arguments, stdin=stdin)
        assert last(lf)["messages"][0]["content"] == question
    assert "empty" in lf("chat", "  ", code=2).stderr
    assert "cannot be read" in lf("chat", "-f", "absent", code=1).stderr


def test_the_project_may_stand_in_front_of_the_question(lf: Lf) -> None:
    path = "/v1/projects/org/bot/chat/completions"
    lf.api.on("POST", path, Reply(deltas("ok")))
    lf("chat", "org/bot", "hello")
    assert lf.api.requests("POST", path)[0].json["messages"][0]["content"] == "hello"


def test_json_prints_the_whole_answer(lf: Lf) -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": "Ninety"}}], "sources": [SOURCE]}
    lf.api.on("POST", C, answer)
    assert lf.json("chat", "How long?") == answer
    assert last(lf)["stream"] is False


def test_a_dry_run_prints_a_curl_line_that_works_and_hides_the_key(lf: Lf) -> None:
    lf.api.on("POST", C, {"ok": True})
    line = lf("chat", 'what\'s "this"?', "--dry-run", "--api-key", "secret").stdout
    assert lf.api.seen == []
    assert "secret" not in line
    assert "Bearer $LF_API_KEY" in line
    done = subprocess.run(
        ["bash", "-c", line], env={"LF_API_KEY": "secret", "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {"ok": True}
    assert last(lf)["messages"][0]["content"] == 'what\'s "this"?'
    assert lf.api.seen[0].headers["authorization"] == "Bearer secret"
    found = lf.json("chat", "x", "--dry-run", "--server-url", "http://127.0.0.1:9")
    assert shlex.split(found["curl"])[0] == "curl"


def test_a_refusal_and_a_break_in_the_middle_are_failures(lf: Lf) -> None:
    lf.api.on("POST", C, Reply({"detail": "Model 'x' not found. Available: a"}, 404))
    assert lf("chat", "hi", code=1).stderr == "lf: Model 'x' not found. Available: a\n"
    chunk = {"choices": [{"delta": {"content": "half"}}]}
    lf.api.on("POST", C, Reply(Events([chunk, {"error": {"message": "the model is gone"}}])))
    done = lf("chat", "hi", code=1)
    assert done.stdout == "half"
    assert "the model is gone" in done.stderr


def test_tool_calls_are_shown(lf: Lf) -> None:
    calls = [
        {"index": 0, "id": "1", "function": {"name": "look", "arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    ]
    lf.api.on("POST", C, Reply(Events([{"choices": [{"delta": {"tool_calls": [call]}}]} for call in calls])))
    assert 'tool: look({"a": 1})' in lf("chat", "hi").stderr


def talk(lf: Lf, *lines: str, code: int = 0) -> Any:
    """What `lf start` does with lines from a pipe."""
    return lf("start", stdin="".join(f"{line}\n" for line in lines), code=code)


@pytest.fixture
def conversation(lf: Lf) -> Lf:
    lf.api.on("GET", "/health", {"status": "healthy"})
    lf.api.on("GET", P, {"project": {}})
    lf.api.on("POST", C, Reply(deltas("fine", sources=[SOURCE]), headers={"X-Session-ID": "from-server"}))
    return lf


def sessions(lf: Lf, path: str = C) -> list[str]:
    return [each.headers["x-session-id"] for each in lf.api.requests("POST", path)]


def test_a_conversation_goes_on_in_one_session_until_it_is_cleared(conversation: Lf) -> None:
    lf = conversation
    lf.api.on("GET", f"{P}/chat/sessions/from-server/history", {"messages": [{"role": "user", "content": "before"}]})
    lf.api.on("DELETE", f"{P}/chat/sessions/from-server", {"message": "Session deleted"})
    done = talk(lf, "one", "two \\", "lines")
    assert done.stdout == "fine\nfine\n"
    assert last(lf)["messages"][0]["content"] == "two \nlines"
    first, second = sessions(lf)
    assert second == "from-server"
    assert len(first) == 36
    assert "user: before" in talk(lf, "/history", "three").stderr
    assert sessions(lf)[2] == "from-server"
    talk(lf, "/clear", "four")
    assert sessions(lf)[3] not in (first, "from-server")
    assert len(lf.api.requests("DELETE", f"{P}/chat/sessions/from-server")) == 1
    talk(lf, "five")
    assert sessions(lf)[4] == "from-server"
    lf("start", "--new", stdin="six\n")
    assert sessions(lf)[5] != "from-server"


def test_another_folder_has_another_session(conversation: Lf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lf = conversation
    talk(lf, "one")
    other = tmp_path / "other"
    other.mkdir()
    (other / "llamafarm.yaml").write_text("name: bakery\nnamespace: acme\n")
    monkeypatch.chdir(other)
    talk(lf, "two")
    assert "from-server" not in sessions(lf)


def test_slash_commands_choose_and_list(conversation: Lf) -> None:
    lf = conversation
    lf.api.on("GET", f"{P}/models", {"models": [{"name": "a", "default": True}, {"name": "b"}]})
    strategies = [{"name": "basic"}, {"name": "hybrid", "is_default": True}]
    databases = [{"name": "d", "is_default": True, "retrieval_strategies": strategies}, {"name": "e"}]
    lf.api.on("GET", f"{P}/rag/databases", {"databases": databases})
    done = talk(lf, "/model", "/database", "/strategy", "/model b", "/strategy basic", "/rag off", "hello", "/help")
    assert done.stdout.startswith("* a\n  b\n* d\n  e\n  basic\n* hybrid\nfine\n/help")
    assert {key: last(lf)[key] for key in ("model", "rag_retrieval_strategy", "rag_enabled")} == {
        "model": "b",
        "rag_retrieval_strategy": "basic",
        "rag_enabled": False,
    }
    talk(lf, "/database e", "hello", "/exit", "never sent")
    assert last(lf)["database"] == "e"
    assert last(lf)["messages"][0]["content"] == "hello"


def test_names_that_the_project_lacks_are_not_chosen(conversation: Lf) -> None:
    lf = conversation
    lf.api.on("GET", f"{P}/models", {"models": [{"name": "a", "default": True}, {"name": "b"}]})
    databases = [{"name": "d", "is_default": True, "retrieval_strategies": [{"name": "basic"}]}]
    lf.api.on("GET", f"{P}/rag/databases", {"databases": databases})
    done = talk(lf, "/model nope", "/database nope", "/strategy nope", "hello", code=1)
    assert "no model 'nope': there are a, b\n" in done.stderr
    assert "no database 'nope': there are d\n" in done.stderr
    assert "no retrieval strategy 'nope': there are basic\n" in done.stderr
    assert "lf: 3 lines not answered\n" in done.stderr
    assert not {"model", "database", "rag_retrieval_strategy"} & set(last(lf))


def test_the_assistant_is_told_which_project_is_meant(conversation: Lf) -> None:
    lf = conversation
    path = "/v1/projects/llamafarm/project_seed/chat/completions"
    lf.api.on("POST", path, Reply(deltas("look into the docs")))
    talk(lf, "/mode dev", "how?", "/mode project", "and?")
    assert lf.api.requests("POST", path)[0].headers["x-active-project"] == "acme/bakery"
    assert len(lf.api.requests("POST", C)) == 1
    assert sessions(lf) != sessions(lf, path)


def test_lines_that_fail_do_not_end_a_conversation_but_its_exit_code(conversation: Lf) -> None:
    lf = conversation
    lf.api.on("POST", C, Reply({"detail": "the model is away"}, 503), Reply(deltas("fine")))
    done = talk(lf, "one", "/nonsense", "/mode x", "two", code=1)
    assert done.stdout == "fine\n"
    assert "the model is away" in done.stderr
    assert "no command /nonsense" in done.stderr


def test_start_needs_a_project_here_and_on_the_server(conversation: Lf) -> None:
    lf = conversation
    lf.api.on("GET", P, Reply({"detail": "Project acme/bakery not found"}, 404))
    assert "lf config push --create" in talk(lf, "hello", code=1).stderr
    (lf.folder / "llamafarm.yaml").unlink()
    assert "lf init" in talk(lf, "hello", code=2).stderr
    assert lf.error("start", "--project", "bakery", "--namespace", "acme", code=2)["exit_code"] == 2


def test_start_does_not_start_a_server_that_was_named(lf: Lf) -> None:
    assert "no server answers" in lf("start", "--server-url", "http://127.0.0.1:9", code=3).stderr


def test_on_a_terminal_an_interrupt_stops_the_answer_and_then_the_chat(conversation: Lf, tmp_path: Path) -> None:
    lf = conversation
    asked, stopped = threading.Event(), threading.Event()

    def slow(_: Seen) -> Reply:
        asked.set()
        stopped.wait(20)
        return Reply(deltas("too late"))

    lf.api.on("POST", C, slow, Reply(deltas("in time")))
    with Terminal([LF, "--server-url", lf.api.url, "chat"], lf.folder, tmp_path) as terminal:
        terminal.expect("bakery> ")
        terminal.type("first\n")
        assert asked.wait(10)
        terminal.type("\x03")
        terminal.expect("(stopped)")
        stopped.set()
        terminal.type("second\n")
        terminal.expect("in time")
        terminal.expect("bakery> ")
        assert terminal.interrupt() == 130
    assert "Traceback" not in terminal.output
    assert (tmp_path / "state" / "paddock" / "history").read_text() == "first\nsecond\n"
