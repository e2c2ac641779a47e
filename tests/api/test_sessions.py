"""The list of sessions, what is live, and conversations that LlamaFarm left in a project's folder."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from state.sessions import SessionKey, SessionStore
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok

HELLO = {"messages": [{"role": "user", "content": "hello"}], "rag_enabled": False}


def chat(client: TestClient, project: str, session: str | None = None, **headers: str) -> Any:
    named = {} if session is None else {"X-Session-ID": session}
    return client.post(f"{project}/chat/completions", json=HELLO, headers={**named, **headers})


def listed(client: TestClient, project: str, **params: int) -> Any:
    return assert_ok(client.get(f"{project}/chat/sessions", params=params))


def test_sessions_are_listed_with_their_messages(client: TestClient, project: str) -> None:
    assert listed(client, project) == {"total": 0, "live_count": 0, "sessions": [], "limit": 50, "offset": 0}
    for name in ("a", "b", "a"):
        assert_ok(chat(client, project, name))
    assert_ok(chat(client, project, None, **{"X-No-Session": "1"}))
    body = listed(client, project)
    found = [(each["session_id"], each["message_count"], each["live"]) for each in body["sessions"]]
    assert (body["total"], body["live_count"], found) == (2, 2, [("a", 4, True), ("b", 2, True)])
    assert [each["session_id"] for each in listed(client, project, limit=1, offset=1)["sessions"]] == ["b"]


def test_a_session_that_nobody_used_for_long_is_not_live_but_goes_on(make_client: MakeClient, project: str) -> None:
    client = make_client(session_idle_s=0.05)
    assert_ok(chat(client, project, "a"))
    time.sleep(0.1)
    assert [each["live"] for each in listed(client, project)["sessions"]] == [False]
    history = f"{project}/chat/sessions/a/history"
    assert len(assert_ok(client.get(history))["messages"]) == 2
    assert_ok(chat(client, project, "a"))
    assert len(assert_ok(client.get(history))["messages"]) == 4
    assert [each["live"] for each in listed(client, project)["sessions"]] == [True]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "offset=99999999999999999999"])
def test_what_is_out_of_range_is_refused(client: TestClient, project: str, query: str) -> None:
    assert_error(client.get(f"{project}/chat/sessions?{query}"), 422)


def test_sessions_of_an_unknown_project_are_not_found(client: TestClient) -> None:
    assert_error(client.get("/v1/projects/org/none/chat/sessions"), 404, "not found", code="ProjectNotFound")


def test_a_conversation_of_llamafarm_goes_on(client: TestClient, project: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "projects" / "org" / "bot" / "sessions" / "old"
    folder.mkdir(parents=True)
    said = [{"role": "user", "content": "My name is Ida."}, {"role": "assistant", "content": "Hello Ida."}]
    (folder / "history.json").write_text(json.dumps(said), encoding="utf-8")
    history = f"{project}/chat/sessions/old/history"
    assert assert_ok(client.get(history))["messages"] == said
    (found,) = listed(client, project)["sessions"]
    assert (found["session_id"], found["message_count"], found["live"]) == ("old", 2, False)
    assert_ok(chat(client, project, "old"))
    messages = assert_ok(client.get(history))["messages"]
    assert (messages[:2], len(messages)) == (said, 4)
    assert assert_ok(client.delete(f"{project}/chat/sessions"))["count"] == 1
    assert assert_ok(client.get(history))["messages"] == []
    assert not folder.exists()


def test_a_message_to_a_session_that_stays_busy_is_told_to_wait(make_client: MakeClient, project: str) -> None:
    client = make_client(session_wait_s=0.1)
    services = client.app.state.services
    elsewhere = SessionStore(services.engine.database)  # another process answers in it
    assert elsewhere.begin(SessionKey("org", "bot", "busy"), "other", lease_s=60) == []
    error = assert_error(chat(client, project, "busy"), 429, "session 'busy' is still answering another message")
    assert error["error"] == "Overloaded"
    assert_ok(chat(client, project, "free"))
