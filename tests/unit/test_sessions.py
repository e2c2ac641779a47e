import multiprocessing
import time
from typing import Any

import pytest

from rag.errors import BadRequestError
from state.database import StateDatabase
from state.sessions import SessionKey, SessionStore, unseen

KEY = SessionKey("org", "bot", "mine")
HI = {"role": "user", "content": "hi"}
HELLO = {"role": "assistant", "content": "hello"}
MORE = {"role": "user", "content": "more"}
SYSTEM = {"role": "system", "content": "Be brief."}


pytestmark = pytest.mark.state("sqlite", "postgresql")


@pytest.fixture
def sessions(state_database: StateDatabase) -> SessionStore:
    return SessionStore(state_database)


def test_messages_come_back_in_order(sessions: SessionStore) -> None:
    sessions.append(KEY, [HI, HELLO])
    sessions.append(KEY, [MORE])
    assert sessions.history(KEY) == [HI, HELLO, MORE]


def test_an_unknown_session_is_empty(sessions: SessionStore) -> None:
    assert sessions.history(KEY) == []


@pytest.mark.parametrize("other", [SessionKey("org", "bot", "his"), SessionKey("org", "cat", "mine"),
                                   SessionKey("gro", "bot", "mine")], ids=["id", "project", "namespace"])  # fmt: skip
def test_sessions_do_not_mix(sessions: SessionStore, other: SessionKey) -> None:
    sessions.append(KEY, [HI])
    assert sessions.history(other) == []
    assert not sessions.delete(other)


def test_deleting_takes_the_messages_along(sessions: SessionStore) -> None:
    sessions.append(KEY, [HI])
    assert sessions.delete(KEY)
    assert not sessions.delete(KEY)
    assert sessions.history(KEY) == []


def test_deleting_all_counts_those_of_the_project(sessions: SessionStore) -> None:
    for name in ("a", "b", "c"):
        sessions.append(SessionKey("org", "bot", name), [HI])
    sessions.append(SessionKey("org", "cat", "a"), [HI])

    assert sessions.delete_all("org", "bot") == 3
    assert sessions.history(SessionKey("org", "cat", "a")) == [HI]


def test_only_long_unused_sessions_are_swept(sessions: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("state.sessions.time.time", lambda: now - 3600)
    sessions.append(KEY, [HI])
    monkeypatch.setattr("state.sessions.time.time", lambda: now)

    assert sessions.sweep(7200) == 0
    assert sessions.history(KEY) == [HI]
    assert sessions.sweep(1800) == 1
    assert sessions.history(KEY) == []


@pytest.mark.parametrize("name", ["a", "a b", "x" * 200, "сессия", "8f14e45f-ceea-467f-a9f4-1d7b1b1b1b1b"])
def test_printable_ids_are_taken(name: str) -> None:
    assert SessionKey("org", "bot", name).session_id == name


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a\\b", "a\nb", "a\x00", "\u202e", "x" * 201])
def test_unsafe_ids_are_refused(name: str) -> None:
    with pytest.raises(BadRequestError, match="session id"):
        SessionKey("org", "bot", name)


@pytest.mark.parametrize(
    ("stored", "incoming", "new"),
    [
        ([], [HI], [HI]),
        ([HI, HELLO], [MORE], [MORE]),
        ([HI, HELLO], [HI, HELLO, MORE], [MORE]),
        ([HI, HELLO], [HI], [HI]),
        ([HI, HELLO], [HI, MORE], [HI, MORE]),
        ([SYSTEM, HI, HELLO], [SYSTEM, HI, HELLO, MORE], [MORE]),
        ([SYSTEM, HI, HELLO], [HI, HELLO, MORE], [MORE]),
        ([HI, HELLO], [SYSTEM, HI, HELLO, MORE], [SYSTEM, MORE]),
        ([HI, HELLO], [HI, {"role": "assistant", "content": "<think>hm</think>\nhello "}, MORE], [MORE]),
    ],
    ids=["first", "tail only", "whole", "repeated", "other answer", "system again", "no system", "new system", "think"],
)
def test_only_what_is_new_is_added(stored: list[Any], incoming: list[Any], new: list[Any]) -> None:
    assert unseen(stored, incoming) == new


def _append_many(url: str, count: int) -> None:
    database = StateDatabase(url)
    sessions = SessionStore(database)
    for _ in range(count):
        sessions.append(KEY, [HI, HELLO])
    database.close()


def test_several_processes_write_one_session_without_mixing_turns(sessions: SessionStore, state_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(state_url, 20)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sessions.history(KEY) == [HI, HELLO] * 40
