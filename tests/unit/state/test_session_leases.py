"""One at a time answers in a session, over all processes; and conversations that LlamaFarm left are gone on with."""

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from state.database import StateDatabase
from state.session_files import MAX_FILE_BYTES, SessionFiles
from state.sessions import SessionKey, SessionStore
from state.tables import SessionLeaseRow

KEY = SessionKey("org", "bot", "mine")
HI = {"role": "user", "content": "hi"}
HELLO = {"role": "assistant", "content": "hello"}
LEASE_S = 30.0

pytestmark = pytest.mark.state("sqlite", "postgresql")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("state.sessions.time", clock)
    return clock


@pytest.fixture
def database(state_database: StateDatabase) -> StateDatabase:
    return state_database


@pytest.fixture
def sessions(database: StateDatabase, clock: Clock) -> SessionStore:
    return SessionStore(database)


def begin(sessions: SessionStore, owner: str, key: SessionKey = KEY) -> list[dict[str, Any]] | None:
    return sessions.begin(key, owner, lease_s=LEASE_S)


def test_a_session_is_leased_to_one_and_free_when_its_answer_is_stored(sessions: SessionStore) -> None:
    assert begin(sessions, "a") == []
    assert begin(sessions, "b") is None
    assert begin(sessions, "b", SessionKey("org", "bot", "other")) == []
    assert sessions.append(KEY, [HI, HELLO], owner="a")
    assert begin(sessions, "b") == [HI, HELLO]


def test_a_session_is_free_when_its_answer_failed(sessions: SessionStore) -> None:
    begin(sessions, "a")
    sessions.release(KEY, "b")  # not b's to release
    assert begin(sessions, "b") is None
    sessions.release(KEY, "a")
    assert begin(sessions, "b") == []


def test_the_lease_of_a_dead_process_runs_out_unless_it_is_renewed(sessions: SessionStore, clock: Clock) -> None:
    begin(sessions, "a")
    clock.now += LEASE_S - 1
    sessions.renew(KEY, "a", lease_s=LEASE_S)
    clock.now += LEASE_S - 1
    assert begin(sessions, "b") is None
    clock.now += 2
    assert begin(sessions, "b") == []


def test_who_lost_the_lease_adds_nothing_and_renews_nothing(sessions: SessionStore, clock: Clock) -> None:
    begin(sessions, "a")
    clock.now += LEASE_S + 1
    begin(sessions, "b")
    sessions.renew(KEY, "a", lease_s=LEASE_S)
    assert not sessions.append(KEY, [HI], owner="a")
    assert sessions.append(KEY, [HI, HELLO], owner="b")
    assert sessions.history(KEY) == [HI, HELLO]


@pytest.mark.parametrize("delete", ["one", "all"])
def test_a_session_that_is_deleted_while_it_answers_does_not_come_back(sessions: SessionStore, delete: str) -> None:
    sessions.append(KEY, [HI])
    begin(sessions, "a")
    if delete == "one":
        sessions.delete(KEY)
    else:
        sessions.delete_all("org", "bot")
    assert not sessions.append(KEY, [HELLO], owner="a")
    assert sessions.history(KEY) == []
    assert begin(sessions, "b") == []


def test_leases_that_ran_out_are_swept(sessions: SessionStore, database: StateDatabase, clock: Clock) -> None:
    begin(sessions, "a")
    clock.now += LEASE_S + 1
    sessions.sweep(3600)
    assert database.rows(SessionLeaseRow.__table__.select(), {}) == []


def test_sessions_are_listed_last_used_first(sessions: SessionStore, clock: Clock) -> None:
    for name in ("first", "second", "third"):
        sessions.append(SessionKey("org", "bot", name), [HI, HELLO])
        clock.now += 1
    sessions.append(SessionKey("org", "bot", "first"), [HI])
    sessions.append(SessionKey("org", "cat", "other"), [HI])
    listed = [(each.session_id, each.message_count) for each in sessions.of_project("org", "bot")]
    assert listed == [("first", 3), ("third", 2), ("second", 2)]


def _try_to_begin(url: str, barrier: Any, results: Any) -> None:
    barrier.wait()
    owner = str(os.getpid())
    results.put(SessionStore(StateDatabase(url)).begin(KEY, owner, lease_s=LEASE_S) is not None)


def test_of_several_processes_exactly_one_gets_the_lease(database: StateDatabase) -> None:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_try_to_begin, args=(database.url, barrier, results)) for _ in range(4)]
    for process in processes:
        process.start()
    assert sorted(results.get(timeout=30) for _ in processes) == [False, False, False, True]
    for process in processes:
        process.join(10)


# -- files of LlamaFarm ---------------------------------------------------------------------------------------------


@pytest.fixture
def project_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "org" / "bot"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def with_files(database: StateDatabase, tmp_path: Path, project_dir: Path) -> SessionStore:
    return SessionStore(database, SessionFiles(tmp_path / "projects"))


def write(project_dir: Path, content: Any, name: str = "mine") -> Path:
    path = project_dir / "sessions" / name / "history.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_conversation_in_a_file_is_read_and_gone_on_with(with_files: SessionStore, project_dir: Path) -> None:
    path = write(project_dir, [HI, HELLO])
    assert with_files.history(KEY) == [HI, HELLO]
    assert with_files.begin(KEY, "a", lease_s=LEASE_S, last_count=1) == [HELLO]
    more = {"role": "user", "content": "more"}
    assert with_files.append(KEY, [more], owner="a")
    assert with_files.history(KEY) == [HI, HELLO, more]
    assert not path.exists()
    assert json.loads(path.with_name("history.json.imported").read_text()) == [HI, HELLO]


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"role": "user"}', "[1, null, [], {}]", '[{"role": "robot", "content": "x"}]', "[" * 100_000],
    ids=["empty", "cut", "no list", "no messages", "unknown role", "deep"],
)
def test_a_damaged_file_is_an_empty_conversation(content: str, with_files: SessionStore, project_dir: Path) -> None:
    write(project_dir, content)
    assert with_files.history(KEY) == []
    with_files.append(KEY, [HI])
    assert with_files.history(KEY) == [HI]


def test_what_a_message_holds_besides_text_is_kept_or_made_text(with_files: SessionStore, project_dir: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call], "internal": 1}
    told = {"role": "tool", "content": {"answer": 42}, "tool_call_id": "c1"}
    write(project_dir, [asked, told])
    assert with_files.history(KEY) == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": '{"answer":42}', "tool_call_id": "c1"},
    ]


def test_links_and_huge_files_are_not_read(with_files: SessionStore, project_dir: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps([HI]))
    folder = project_dir / "sessions" / "mine"
    folder.mkdir(parents=True)
    (folder / "history.json").symlink_to(secret)
    assert with_files.history(KEY) == []
    (folder / "history.json").unlink()
    with (folder / "history.json").open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    assert with_files.history(KEY) == []


def test_deleting_takes_the_files_along(with_files: SessionStore, project_dir: Path) -> None:
    path = write(project_dir, [HI])
    assert with_files.delete(KEY)
    assert not path.parent.exists()
    assert not with_files.delete(KEY)


def test_deleting_all_counts_files_and_rows_once(with_files: SessionStore, project_dir: Path) -> None:
    for name in ("mine", "his"):
        write(project_dir, [HI], name)
    with_files.append(KEY, [HELLO])
    with_files.append(SessionKey("org", "bot", "third"), [HI])
    listed = [each.session_id for each in with_files.of_project("org", "bot")]
    assert (sorted(listed), listed[-1]) == (["his", "mine", "third"], "his")
    assert with_files.delete_all("org", "bot") == 3
    assert with_files.of_project("org", "bot") == []
    assert list((project_dir / "sessions").glob("*/history.json")) == []
