"""The event log over HTTP: what a chat leaves behind, filters, pages, and what is not kept."""
# ruff: noqa: F811  # fixtures of another module are taken by their names

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from config.loader import ProjectStore
from config.settings import Settings
from rag.errors import UpstreamError
from server.app import create_app
from server.services.chat_trace import EventTrace
from server.services.event_writer import MAX_WAITING, EventWriter
from state.events import EventFilter, EventStore, NewEvent
from tests.api.helpers import assert_error, assert_ok
from tests.api.test_chat import BASE, CHAT, app, ask, chat_engine, client, ollama, write_project  # noqa: F401
from tests.fixtures.fake_ollama import FakeOllama

LOGS = f"{BASE}/event_logs"


def last_event(client: TestClient) -> Any:
    listed = assert_ok(client.get(LOGS))
    return assert_ok(client.get(f"{LOGS}/{listed['events'][0]['event_id']}"))


def names(event: Any) -> list[str]:
    return [step["event_name"] for step in event["events"]]


def test_a_chat_leaves_its_steps_in_order(client: TestClient) -> None:
    assert_ok(client.post(CHAT, json=ask("Where does the heron nest?"), headers={"X-Request-ID": "req-1"}))
    (listed,) = assert_ok(client.get(LOGS))["events"]
    event = assert_ok(client.get(f"{LOGS}/{listed['event_id']}"))
    assert re.fullmatch(r"evt_\d{8}_\d{6}_inference_[0-9a-f]{6}", event["event_id"])
    assert names(event) == ["request_received", "rag_query_start", "rag_retrieval_complete", "response_generated"]
    data = {step["event_name"]: step["data"] for step in event["events"]}
    assert data["request_received"] == {"message_length": 26, "model": "local", "rag_enabled": True}
    assert data["rag_query_start"] == {
        "database": "main_db", "query": "Where does the heron nest?", "top_k": 10, "retrieval_strategy": "basic",
        "rag_queries_count": 1,
    }  # fmt: skip
    found = data["rag_retrieval_complete"]
    assert (found["chunks_retrieved"], len(found["top_chunks"])) == (2, 2)
    assert set(found["top_chunks"][0]) == {"rank", "content_preview", "source", "score"}
    assert event["sub_events"] == event["events"]
    assert (event["type"], event["event_type"], event["request_id"]) == ("inference", "inference", "req-1")
    assert (event["namespace"], event["project"], event["status"], event["error"]) == ("org", "bot", "completed", None)
    assert re.fullmatch(r"sha256_[0-9a-f]{16}", event["config_hash"])
    tokens = event["data"]["tokens"]
    assert tokens["total"] == tokens["prompt"] + tokens["completion"] > 0
    assert event["summary"] == {
        "model": "llama3.2:3b", "tokens": tokens["total"], "duration_ms": event["duration_ms"]}  # fmt: skip
    assert {key: event[key] for key in listed} == listed


def test_the_times_of_a_chat_add_up(client: TestClient) -> None:
    assert_ok(client.post(CHAT, json=ask("Where does the heron nest?")))
    event = last_event(client)
    passed = [step["duration_ms"] for step in event["events"]]
    assert all(each >= 0 for each in passed)
    assert sum(passed) <= event["total_elapsed_time_ms"] + 0.01
    assert event["duration_ms"] == event["data"]["duration_ms"] == event["total_elapsed_time_ms"]
    assert 0 < event["time_to_first_token_ms"] <= event["total_elapsed_time_ms"]
    assert event["timestamp"].endswith("Z")


def test_a_stream_shows_its_first_token_and_its_end(client: TestClient) -> None:
    client.post(CHAT, json=ask(stream=True, rag_enabled=False))
    assert names(last_event(client)) == [
        "request_received", "llm_inference_start", "llm_first_token", "llm_inference_complete", "stream_complete",
    ]  # fmt: skip


def test_a_chat_that_failed_is_in_the_log_with_its_error(client: TestClient, ollama: FakeOllama) -> None:
    ollama.behave(busy_503=True)
    failed = client.post(CHAT, json=ask(rag_enabled=False))
    assert failed.status_code >= 500
    event = last_event(client)
    assert (event["status"], event["error"]) == ("failed", failed.json()["message"])
    assert names(event) == ["request_received", "llm_inference_start"]
    assert event["summary"]["tokens"] is None


def test_neither_messages_nor_answers_are_kept(client: TestClient) -> None:
    secret = "The combination is 31-7-22. " + "x" * 200
    assert_ok(client.post(CHAT, json=ask(secret, rag_enabled=False)))
    event = last_event(client)
    assert "31-7-22" not in str(event)
    assert (event["data"]["messages"], event["data"]["response"]) == (None, None)


def test_what_retrieval_found_is_cut_to_a_preview(client: TestClient) -> None:
    assert_ok(client.post(CHAT, json=ask("heron")))
    steps = {step["event_name"]: step["data"] for step in last_event(client)["events"]}
    assert all(len(each["content_preview"]) <= 100 for each in steps["rag_retrieval_complete"]["top_chunks"])


def test_messages_are_kept_where_the_operator_says_so(
    write_project: Callable[..., None],
    tmp_path: Path,
) -> None:
    write_project()
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", log_level="ERROR", event_log_content=True)
    with TestClient(create_app(settings, engine=chat_engine), base_url="http://localhost") as client:
        assert_ok(client.post(CHAT, json=ask("a question", rag_enabled=False)))
        data = last_event(client)["data"]
    assert data["messages"] == [{"role": "user", "content": "a question"}]
    assert data["response"]["role"] == "assistant"


def test_events_are_filtered_and_paged(client: TestClient) -> None:
    for number in range(5):
        assert_ok(client.post(CHAT, json=ask(f"question {number}", rag_enabled=False)))
    whole = assert_ok(client.get(LOGS, params={"limit": 100}))
    assert (whole["total"], whole["limit"], whole["offset"]) == (5, 100, 0)
    times = [each["timestamp"] for each in whole["events"]]
    assert times == sorted(times, reverse=True)
    page = assert_ok(client.get(LOGS, params={"limit": 2, "offset": 3}))
    assert (page["total"], page["events"]) == (5, whole["events"][3:])
    assert assert_ok(client.get(LOGS))["limit"] == 10
    assert assert_ok(client.get(LOGS, params={"type": "rag_processing"}))["total"] == 0
    assert assert_ok(client.get(LOGS, params={"type": "inference"}))["total"] == 5
    since = assert_ok(client.get(LOGS, params={"start_time": times[1]}))
    assert [each["timestamp"] for each in since["events"]] == times[:2]
    until = assert_ok(client.get(LOGS, params={"end_time": times[3], "start_time": "2020-01-01"}))
    assert [each["timestamp"] for each in until["events"]] == times[3:]
    assert assert_ok(client.get(LOGS, params={"end_time": "2020-01-01T00:00:00"}))["total"] == 0


@pytest.mark.parametrize(
    "moment",
    ["2024-01-15", "2024-01-15T10:30:00", "2024-01-15T10:30:00Z", "2024-01-15T10:30:00.5+02:00",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)  # fmt: skip
def test_moments_are_iso_8601(client: TestClient, moment: str) -> None:
    assert assert_ok(client.get(LOGS, params={"start_time": moment, "end_time": moment}))["total"] == 0


def test_a_plus_that_was_not_encoded_still_means_a_zone(client: TestClient) -> None:
    assert_ok(client.post(CHAT, json=ask(rag_enabled=False)))
    hour_ahead = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3600 - 60))
    assert assert_ok(client.get(f"{LOGS}?start_time={hour_ahead}+01:00"))["total"] == 1
    assert assert_ok(client.get(f"{LOGS}?start_time={hour_ahead}"))["total"] == 0


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "offset=-1", "offset=99999999999999999999", "start_time=yesterday",
     "end_time=2024-13-01", "type=" + "x" * 65],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(client: TestClient, query: str) -> None:
    assert_error(client.get(f"{LOGS}?{query}"), 422)


@pytest.mark.parametrize("project", ["org/none", "none/none", "org/%2e%2e", "org/a%00b", "org/" + "x" * 300])
def test_the_log_of_an_unknown_project_is_empty(client: TestClient, project: str) -> None:
    url = f"/v1/projects/{project}/event_logs"
    assert assert_ok(client.get(url)) == {"total": 0, "events": [], "limit": 10, "offset": 0}
    assert_error(client.get(f"{url}/evt_1"), 404, "Event 'evt_1' not found in project")


@pytest.mark.parametrize("event_id", ["evt_20240115_103000_inference_abc123", "%00", "x" * 5000, "%F0%9F%90%91"])
def test_an_unknown_event_is_not_found(client: TestClient, event_id: str) -> None:
    assert_error(client.get(f"{LOGS}/{event_id}"), 404, "not found in project 'org/bot'")


def test_an_event_of_another_project_is_not_found(client: TestClient) -> None:
    assert_ok(client.post(CHAT, json=ask(rag_enabled=False)))
    event_id = assert_ok(client.get(LOGS))["events"][0]["event_id"]
    assert_error(client.get(f"/v1/projects/org/cat/event_logs/{event_id}"), 404)


def test_another_configuration_has_another_hash(client: TestClient, write_project: Callable[..., None]) -> None:
    for changes in ({}, {}, {"prompts": []}):
        write_project(**changes)
        assert_ok(client.post(CHAT, json=ask(rag_enabled=False)))
    third, second, first = (each["config_hash"] for each in assert_ok(client.get(LOGS))["events"])
    assert first == second != third


def test_the_log_goes_with_its_project(client: TestClient, write_project: Callable[..., None]) -> None:
    assert_ok(client.post(CHAT, json=ask(rag_enabled=False)))
    assert_ok(client.delete(BASE))
    assert assert_ok(client.get(LOGS))["total"] == 0
    write_project()
    assert assert_ok(client.get(LOGS))["total"] == 0


class Broken(EventStore):
    """A state that does not answer, for a while."""

    def __init__(self) -> None:
        self.is_down = True
        self.written: list[NewEvent] = []

    def add(self, events: Any, is_wanted: Any) -> None:
        if self.is_down:
            raise UpstreamError("the state database does not answer")
        self.written += filter(is_wanted, events)


def event(number: float = 0.0, project: str = "bot") -> NewEvent:
    return NewEvent("org", project, "inference", number, number, ())


def test_events_wait_for_a_state_that_is_away_and_are_written_in_order() -> None:
    store = Broken()
    writer = EventWriter(store, lambda *_: True)
    for number in range(3):
        writer.submit(event(number))
    with pytest.raises(UpstreamError):
        writer.flush()
    writer.submit(event(3))
    store.is_down = False
    writer.flush()
    assert [each.started_at for each in store.written] == [0, 1, 2, 3]


def test_an_event_that_cannot_be_written_is_dropped_and_the_others_are_written(
    client: TestClient, app: FastAPI
) -> None:
    store = EventStore(app.state.services.engine.database)

    def is_known(_: str, project: str, __: float) -> bool:
        if project == "unreadable":
            raise OSError("the folder cannot be read")
        return True

    writer = EventWriter(store, is_known)
    writer.start()
    for each in (event(1), replace(event(2), token_count=10**30), event(3, "unreadable"), event(4)):
        writer.submit(each)
    deadline = time.monotonic() + 5
    while store.page("org", "bot", EventFilter(), limit=1, offset=0)[0] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    writer.submit(event(5))
    writer.flush()
    writer.close()
    found = store.page("org", "bot", EventFilter(), limit=9, offset=0)[1]
    assert [each.started_at for each in found] == [5, 4, 1]
    assert assert_ok(client.get("/v1/projects/org/bot/event_logs"))["total"] == 3


def test_the_thread_outlives_what_nobody_expected() -> None:
    class Failing(EventWriter):
        failures = 1

        def flush(self) -> None:
            if self.failures:
                self.failures -= 1
                raise MemoryError
            super().flush()

    store = Broken()
    store.is_down = False
    writer = Failing(store, lambda *_: True)
    writer.start()
    writer.submit(event(1))
    deadline = time.monotonic() + 5
    while not store.written:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    writer.close()


def test_what_waits_is_bounded_and_the_newest_stay() -> None:
    store = Broken()
    writer = EventWriter(store, lambda *_: True)
    for number in range(MAX_WAITING + 5):
        writer.submit(event(number))
    with pytest.raises(UpstreamError):
        writer.flush()
    writer.submit(event(MAX_WAITING + 5))
    store.is_down = False
    writer.flush()
    assert len(store.written) == MAX_WAITING
    assert store.written[-1].started_at == MAX_WAITING + 5


def test_closing_writes_what_waits_and_ends_the_thread() -> None:
    store = Broken()
    store.is_down = False
    before = threading.active_count()
    writer = EventWriter(store, lambda _, project, __: project == "bot")
    writer.start()
    writer.submit(event(1))
    writer.submit(event(2, project="deleted"))
    writer.close()
    assert [each.started_at for each in store.written] == [1]
    assert threading.active_count() == before


def test_submitting_does_not_wait_for_a_slow_state() -> None:
    gate = threading.Event()

    class Slow(Broken):
        def add(self, events: Any, is_wanted: Any) -> None:
            assert gate.wait(10)
            self.written += filter(is_wanted, events)

    store = Slow()
    writer = EventWriter(store, lambda *_: True)
    writer.start()
    for number in range(1000):
        writer.submit(event(number))
    gate.set()
    writer.close()
    assert len(store.written) == 1000


def test_a_trace_of_several_model_calls_adds_their_tokens_up() -> None:
    kept: list[NewEvent] = []
    project: Any = type("Project", (), {"namespace": "org", "name": "bot"})
    trace = EventTrace(project, "v", kept.append, has_content=False)
    for count in (1, 2):
        trace.note("llm_inference_start", {"model": "m"})
        usage = {"prompt_tokens": 10 * count, "completion_tokens": count, "total_tokens": 11 * count}
        trace.note("llm_inference_complete", usage)
    trace.close(None)
    assert (kept[0].token_count, kept[0].data["tokens"]) == (33, {"prompt": 30, "completion": 3, "total": 33})


def test_another_process_finds_an_event_soon(client: TestClient, app: FastAPI) -> None:
    assert_ok(client.post(CHAT, json=ask(rag_enabled=False)))
    store = EventStore(app.state.services.engine.database)  # asks nobody to write first
    deadline = time.monotonic() + 5
    while store.page("org", "bot", EventFilter(), limit=1, offset=0)[0] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("is_written_by", ["this process", "another process"])
def test_a_project_does_not_get_the_events_of_a_deleted_one_of_its_name(
    client: TestClient, app: FastAPI, is_written_by: str
) -> None:
    engine = app.state.services.engine
    assert_ok(client.post("/v1/projects/org", json={"name": "again"}))
    store = EventStore(engine.database)
    other = EventWriter(store, ProjectStore(engine.settings).has_since)
    late = replace(event(time.time(), "again"), data={"query": "what nobody is to see"})
    assert_ok(client.delete("/v1/projects/org/again"))
    if is_written_by == "this process":
        app.state.services.event_logs._writer.submit(late)
        assert_ok(client.post("/v1/projects/org", json={"name": "again"}))
    else:
        other.submit(late)
        assert_ok(client.post("/v1/projects/org", json={"name": "again"}))
        other.flush()
    assert assert_ok(client.get("/v1/projects/org/again/event_logs"))["total"] == 0
    other.submit(event(time.time(), "again"))
    other.flush()
    assert assert_ok(client.get("/v1/projects/org/again/event_logs"))["total"] == 1


def test_an_event_that_is_written_while_its_project_is_deleted_goes_with_it(client: TestClient, app: FastAPI) -> None:
    engine = app.state.services.engine
    assert_ok(client.post("/v1/projects/org", json={"name": "again"}))
    asked, gone_on = threading.Event(), threading.Event()

    def is_known(namespace: str, project: str, moment: float) -> bool:
        known = engine.projects.has_since(namespace, project, moment)
        asked.set()
        gone_on.wait(1.0)
        return bool(known)

    writer = EventWriter(EventStore(engine.database), is_known)
    writer.submit(event(time.time(), "again"))
    with ThreadPoolExecutor() as pool:
        written = pool.submit(writer.flush)
        assert asked.wait(10)
        assert_ok(client.delete("/v1/projects/org/again"))
        gone_on.set()
        written.result()
    assert_ok(client.post("/v1/projects/org", json={"name": "again"}))
    assert assert_ok(client.get("/v1/projects/org/again/event_logs"))["total"] == 0
