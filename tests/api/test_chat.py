"""Chat over HTTP: the app with real state and configs, documents in memory, and a fake Ollama behind it."""

import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from config.runtime import ModelConfig
from config.settings import Settings
from rag.errors import UpstreamError
from rag.llms import llms
from rag.llms.base import LLM
from server.app import create_app
from server.parts import Engine
from tests.api.conftest import PROJECT
from tests.api.fakes import FakeAssembly, fake_engine
from tests.api.helpers import assert_error, assert_ok
from tests.fixtures.fake_ollama import FakeOllama

BASE = "/v1/projects/org/bot"
CHAT = f"{BASE}/chat/completions"
SESSIONS = f"{BASE}/chat/sessions"
TEXTS = ["The heron nests in the old alder by the weir.", "The mill was rebuilt in 1843 after the flood."]
FRAME = re.compile(r"(?:: ping|data: (?P<data>[^\n]+))\n\n")


class ChatAssembly(FakeAssembly):
    """Adds what chat needs: clients of the configured models."""

    def __init__(self) -> None:
        super().__init__()
        self._llms: dict[str, LLM] = {}

    def llm(self, model: ModelConfig) -> LLM:
        if model.name not in self._llms:
            values = {"model": model.model, "base_url": model.base_url, "timeout_s": 10}
            values |= {"extra_body": model.extra_body, "tool_call_strategy": model.tool_call_strategy}
            self._llms[model.name] = llms.build(model.provider, values)
        return self._llms[model.name]

    async def aclose(self) -> None:
        await super().aclose()
        for llm in self._llms.values():
            await llm.aclose()


@asynccontextmanager
async def chat_engine(settings: Settings) -> AsyncIterator[Engine]:
    async with fake_engine(settings) as engine:
        assembly = ChatAssembly()
        yield Engine(
            settings=settings,
            database=engine.database,
            projects=engine.projects,
            generations=engine.generations,
            assembly=assembly,  # type: ignore[arg-type]
            dispatcher=engine.dispatcher,
            warm_up=engine.warm_up,
        )
        await assembly.aclose()


@pytest.fixture(scope="module")
def ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


@pytest.fixture
def write_project(tmp_path: Path, ollama: FakeOllama) -> Callable[..., None]:
    """Writes the project's config; every model but `quote` is served by the fake Ollama."""

    def write(**changes: Any) -> None:
        local = {
            "name": "local",
            "provider": "ollama",
            "model": "llama3.2:3b",
            "base_url": ollama.url,
            "model_api_parameters": {"temperature": 0.5, "top_p": 0.9, "top_k": None},
        }
        remote = {"name": "remote", "provider": "openai", "model": "gpt-x", "base_url": f"{ollama.url}/v1"}
        models = [local, remote | {"api_key": "sk-secret"}, {"name": "quote", "provider": "extractive"}]
        prompts = [{"name": "house", "messages": [{"role": "system", "content": "Be brief."}]}]
        config = {**PROJECT, "runtime": {"models": models}, "prompts": prompts, **changes}
        folder = tmp_path / "data" / "projects" / "org" / "bot"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "llamafarm.yaml").write_text(json.dumps(config), encoding="utf-8")

    ollama.behave()
    return write


@pytest.fixture
def app(tmp_path: Path, write_project: Callable[..., None]) -> FastAPI:
    write_project()
    settings = Settings(
        _env_file=None, data_dir=tmp_path / "data", log_level="ERROR", allowed_host_names=["testserver"]
    )
    return create_app(settings, engine=chat_engine)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        fill(app)
        yield client


@pytest.fixture
def live_url(app: FastAPI) -> Iterator[str]:
    """The app behind a real server on a loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    fill(app)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def assembly_of(app: Any) -> ChatAssembly:
    found = app.state.services.engine.assembly
    assert isinstance(found, ChatAssembly)
    return found


def fill(app: FastAPI) -> None:
    database = app.state.services.engine.projects.load("org", "bot").database("main_db")
    assembly_of(app).fill("org", "bot", database, TEXTS)


def ask(text: str = "one two", **values: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **values}


def events(body: str) -> list[Any]:
    """The events of a stream whose every byte is accounted for."""
    assert "".join(match.group() for match in FRAME.finditer(body)) == body
    data = [match["data"] for match in FRAME.finditer(body) if match["data"]]
    assert data[-1] == "[DONE]"
    return [json.loads(each) for each in data[:-1]]


def content_of(found: list[Any]) -> str:
    choices = [event["choices"][0] for event in found if event.get("choices")]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def leave_when(is_time: Callable[[], object], live_url: str, body: dict[str, Any]) -> None:
    """Ask, and close the connection at the right moment, whatever has come by then."""
    content = json.dumps(body).encode()
    host, _, port = live_url.removeprefix("http://").partition(":")
    head = f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(content)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + content)
        deadline = time.monotonic() + 10
        while not is_time():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)


def prompt_of(ollama: FakeOllama) -> list[dict[str, Any]]:
    prompt: list[dict[str, Any]] = ollama.requests()[-1]["body"]["messages"]
    return prompt


class TestJson:
    def test_an_answer_has_openais_shape(self, client: TestClient) -> None:
        response = client.post(CHAT, json=ask())
        body = assert_ok(response)

        assert body["object"] == "chat.completion"
        assert body["id"].startswith("chatcmpl-")
        assert body["model"] == "llama3.2:3b"
        message = {"role": "assistant", "content": "one two"}
        assert body["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
        assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"] > 0
        assert {"thinking", "sources", "notes"}.isdisjoint(body)

    def test_without_a_model_sentences_are_quoted_and_cited(self, client: TestClient) -> None:
        body = assert_ok(client.post(CHAT, json=ask("Where does the heron nest?", model="quote", include_sources=True)))
        answer = body["choices"][0]["message"]["content"]

        assert "“The heron nests in the old alder by the weir.” [1]" in answer
        assert "quote" in answer
        assert body["sources"][0]["number"] == 1
        assert body["sources"][0]["content"] == TEXTS[0]
        assert body["sources"][0]["source"] == "letter.pdf"
        assert body["usage"]["prompt_tokens"] > 0

    def test_the_prompt_holds_the_configured_words_and_the_fenced_sources(
        self, client: TestClient, ollama: FakeOllama
    ) -> None:
        client.post(CHAT, json=ask("Where does the heron nest?"))
        system, user = prompt_of(ollama)

        assert system["role"] == "system"
        assert system["content"].startswith("Be brief.")
        assert f'<source number="1" file="letter.pdf" page="1" score="' in system["content"]  # noqa: F541
        assert TEXTS[0] in system["content"]
        assert user == {"role": "user", "content": "Where does the heron nest?"}

    def test_rag_disabled_searches_nothing(self, client: TestClient, ollama: FakeOllama) -> None:
        body = assert_ok(client.post(CHAT, json=ask("heron", rag_enabled=False, include_sources=True)))

        assert prompt_of(ollama)[0] == {"role": "system", "content": "Be brief."}
        assert "sources" not in body

    def test_own_queries_replace_the_question(self, client: TestClient) -> None:
        body = assert_ok(
            client.post(
                CHAT, json=ask("And then?", rag_queries=[" ", "mill rebuilt flood"], rag_top_k=1, include_sources=True)
            )
        )
        assert [source["content"] for source in body["sources"]] == [TEXTS[1]]

    def test_no_hit_gives_an_empty_list_of_sources(self, client: TestClient) -> None:
        body = assert_ok(client.post(CHAT, json=ask("heron", rag_score_threshold=1.0, include_sources=True)))
        assert body["sources"] == []

    def test_sources_are_limited_and_numbered(self, client: TestClient) -> None:
        body = assert_ok(client.post(CHAT, json=ask("heron mill", include_sources=True, sources_limit=1)))
        assert [source["number"] for source in body["sources"]] == [1]

    def test_a_stage_that_was_skipped_is_named(self, client: TestClient) -> None:
        assembly_of(client.app).notes = ("the reranker did not answer",)
        assert assert_ok(client.post(CHAT, json=ask()))["notes"] == ["the reranker did not answer"]

    def test_a_project_without_databases_just_chats(
        self, client: TestClient, write_project: Callable[..., None]
    ) -> None:
        write_project(rag=None, datasets=[])
        body = assert_ok(client.post(CHAT, json=ask(rag_enabled=True)))
        assert body["choices"][0]["message"]["content"] == "one two"

    def test_the_provider_id_also_names_a_model(self, client: TestClient) -> None:
        assert assert_ok(client.post(CHAT, json=ask(model="gpt-x")))["model"] == "gpt-x"

    def test_the_request_wins_over_configured_parameters_and_nulls_vanish(
        self, client: TestClient, ollama: FakeOllama
    ) -> None:
        client.post(CHAT, json=ask(temperature=0.1, stop="END", max_tokens=None, modalities=["text"]))
        options = ollama.requests()[-1]["body"]["options"]

        assert options == {"num_ctx": 8192, "temperature": 0.1, "top_p": 0.9, "stop": ["END"]}

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ({"logprobs": True}, "logprobs"),
            ({"top_logprobs": 3}, "logprobs"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
            ({"logit_bias": {"1": 2.0}}, "logit_bias"),
        ],
        ids=str,
    )
    def test_what_the_model_cannot_do_is_refused(self, client: TestClient, values: dict[str, Any], text: str) -> None:
        assert_error(client.post(CHAT, json=ask(**values)), 400, text)

    def test_openais_parameters_stay_out_of_ollamas_options(self, client: TestClient, ollama: FakeOllama) -> None:
        assert_ok(client.post(CHAT, json=ask(user="u", parallel_tool_calls=True, logprobs=False, tool_choice="auto")))
        assert {"user", "parallel_tool_calls"}.isdisjoint(ollama.requests()[-1]["body"]["options"])

    def test_too_many_messages_are_422(self, client: TestClient) -> None:
        body = {"messages": [{"role": "user", "content": "x"}] * 10_001}
        assert_error(client.post(CHAT, json=body), 422, "messages")

    def test_a_long_conversation_is_answered_too(self, client: TestClient) -> None:
        messages = [{"role": "user", "content": "x" * 100_000}, {"role": "assistant", "content": "y" * 300_000}]
        body = {"messages": [*messages, {"role": "user", "content": "one two"}], "rag_enabled": False, "n_ctx": 300_000}
        assert assert_ok(client.post(CHAT, json=body))["choices"][0]["message"]["content"] == "one two"

    def test_a_reply_that_was_cut_says_so(self, client: TestClient) -> None:
        choice = assert_ok(client.post(CHAT, json=ask("one two three", max_tokens=1)))["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("one", "length")


class TestAssistant:
    def test_it_sees_the_active_project_without_its_secrets(
        self, client: TestClient, tmp_path: Path, ollama: FakeOllama
    ) -> None:
        projects = tmp_path / "data" / "projects"
        config = json.loads((projects / "org" / "bot" / "llamafarm.yaml").read_text(encoding="utf-8"))
        seed = {**config, "name": "project_seed", "namespace": "llamafarm", "rag": None, "datasets": []}
        (projects / "llamafarm" / "project_seed").mkdir(parents=True, exist_ok=True)
        (projects / "llamafarm" / "project_seed" / "llamafarm.yaml").write_text(json.dumps(seed), encoding="utf-8")
        url = "/v1/projects/llamafarm/project_seed/chat/completions"

        client.post(url, json=ask(), headers={"X-Active-Project": "org/bot"})
        seen = prompt_of(ollama)[0]["content"]
        for wrong in ("org/none", "org", "../..", ""):
            assert_ok(client.post(url, json=ask(), headers={"X-Active-Project": wrong}))
            assert prompt_of(ollama)[0]["content"] == "Be brief."

        assert "org/bot" in seen
        assert "main_db" in seen
        assert "sk-secret" not in seen

    def test_other_projects_do_not_listen(self, client: TestClient, ollama: FakeOllama) -> None:
        client.post(CHAT, json=ask(rag_enabled=False), headers={"X-Active-Project": "org/bot"})
        assert prompt_of(ollama)[0]["content"] == "Be brief."


class TestStream:
    def test_the_bytes_are_exactly_those_of_the_protocol(self, client: TestClient) -> None:
        response = client.post(CHAT, json=ask(stream=True))
        found = events(response.text)

        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        head = {key: found[0][key] for key in ("id", "object", "created", "model")}
        assert head["object"] == "chat.completion.chunk"
        usage = found[-1].pop("usage")
        assert usage["completion_tokens"] == 2
        assert [event["choices"] for event in found] == [
            [{"index": 0, "delta": {"role": "assistant", "content": "one"}, "finish_reason": None}],
            [{"index": 0, "delta": {"content": " two"}, "finish_reason": None}],
            [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        ]
        assert all({key: event[key] for key in head} == head for event in found)
        assert response.text.endswith("}\n\ndata: [DONE]\n\n")

    def test_sources_come_before_the_first_word(self, client: TestClient) -> None:
        response = client.post(CHAT, json=ask("heron", stream=True, include_sources=True))
        first = events(response.text)[0]

        assert first["type"] == "sources"
        assert "choices" not in first
        assert {"content", "source", "score", "metadata", "number"} == set(first["sources"][0])

    def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(self, client: TestClient) -> None:
        found = events(client.post(CHAT, json=ask(stream=True, stream_options={"include_usage": True})).text)

        assert found[-1]["choices"] == []
        assert found[-1]["usage"]["total_tokens"] > 0
        assert "usage" not in found[-2]

    def test_a_failure_in_mid_stream_is_an_event(self, client: TestClient, ollama: FakeOllama) -> None:
        ollama.behave(die_mid_stream=2)
        response = client.post(CHAT, json=ask("one two three", stream=True), headers={"X-Session-ID": "s"})
        found = events(response.text)

        assert response.status_code == 200
        assert content_of(found) == "one two"
        assert found[-1]["error"]["type"] == "UpstreamUnavailable"
        assert ollama.url in found[-1]["error"]["message"]
        assert assert_ok(client.get(f"{SESSIONS}/s/history")) == {"messages": []}

    def test_thinking_is_shown_in_tags_only_when_asked_for(self, client: TestClient, ollama: FakeOllama) -> None:
        ollama.behave(inline_think="hm")

        asked = events(client.post(CHAT, json=ask(stream=True, think=True)).text)
        unasked = events(client.post(CHAT, json=ask(stream=True)).text)

        assert content_of(asked) == "<think>hm</think>one two"
        assert content_of(unasked) == "one two"


class TestThinking:
    @pytest.mark.parametrize("model", ["local", "remote"])
    def test_it_stands_beside_the_answer(self, client: TestClient, ollama: FakeOllama, model: str) -> None:
        ollama.behave(think="15% of 85 is 12.75")
        body = assert_ok(client.post(CHAT, json=ask(model=model, think=True)))

        assert body["thinking"] == {"content": "15% of 85 is 12.75", "tokens": None}
        assert body["choices"][0]["message"]["content"] == "one two"

    def test_it_is_absent_when_not_asked_for(self, client: TestClient, ollama: FakeOllama) -> None:
        ollama.behave(inline_think="hm")
        body = assert_ok(client.post(CHAT, json=ask()))

        assert "thinking" not in body
        assert body["choices"][0]["message"]["content"] == "one two"


TOOLS = [
    {"type": "function", "function": {"name": "count", "description": "Counts.", "parameters": {"type": "object"}}}
]


class TestTools:
    @pytest.fixture(autouse=True)
    def _calling(self, client: TestClient, ollama: FakeOllama) -> None:
        ollama.behave(tool_call={"name": "count", "arguments": {"what": "herons"}})

    @pytest.mark.parametrize("model", ["local", "remote"])
    def test_a_call_is_returned_whole(self, client: TestClient, model: str) -> None:
        choice = assert_ok(client.post(CHAT, json=ask(model=model, tools=TOOLS)))["choices"][0]
        (call,) = choice["message"]["tool_calls"]

        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
        assert (call["type"], call["function"]["name"]) == ("function", "count")
        assert json.loads(call["function"]["arguments"]) == {"what": "herons"}

    @pytest.mark.parametrize("model", ["local", "remote"])
    def test_a_call_is_streamed_name_first(self, client: TestClient, model: str) -> None:
        found = events(client.post(CHAT, json=ask(model=model, tools=TOOLS, stream=True)).text)
        choices = [event["choices"][0] for event in found]
        first, *more = [choice["delta"]["tool_calls"][0] for choice in choices if choice["delta"].get("tool_calls")]

        assert first["id"]
        assert first["function"] == {"name": "count", "arguments": ""}
        assert json.loads("".join(call["function"]["arguments"] for call in more)) == {"what": "herons"}
        assert choices[-1] == {"index": 0, "delta": {}, "finish_reason": "tool_calls"}

    def test_a_result_is_sent_without_repeating_the_call(self, client: TestClient, ollama: FakeOllama) -> None:
        session = {"X-Session-ID": "tools"}
        body = assert_ok(client.post(CHAT, json=ask(tools=TOOLS), headers=session))
        call_id = body["choices"][0]["message"]["tool_calls"][0]["id"]
        ollama.behave(answer="three herons")
        result = {"role": "tool", "tool_call_id": call_id, "content": ""}
        assert_ok(client.post(CHAT, json={"messages": [result]}, headers=session))

        assert [message["role"] for message in prompt_of(ollama)[1:]] == ["user", "assistant", "tool"]
        assert prompt_of(ollama)[-1]["tool_name"] == "count"

    def test_a_tool_without_a_name_is_refused(self, client: TestClient) -> None:
        assert_error(client.post(CHAT, json=ask(tools=[{"type": "function", "function": {}}])), 422, "name")


class TestSessions:
    def test_without_a_header_a_session_is_made_and_named(self, client: TestClient) -> None:
        session_id = client.post(CHAT, json=ask()).headers["x-session-id"]
        messages = assert_ok(client.get(f"{SESSIONS}/{session_id}/history"))["messages"]

        assert messages == [{"role": "user", "content": "one two"}, {"role": "assistant", "content": "one two"}]

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_session_remembers(self, client: TestClient, ollama: FakeOllama, stream: bool) -> None:
        for text in ("my name is Ada", "what is my name"):
            response = client.post(CHAT, json=ask(text, stream=stream), headers={"X-Session-ID": "mine"})
            assert response.headers["x-session-id"] == "mine"

        assert [message["content"] for message in prompt_of(ollama)[1:]] == [
            "my name is Ada",
            "my name is Ada",
            "what is my name",
        ]

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("value", ["true", ""])
    def test_no_session_leaves_nothing_behind(self, client: TestClient, stream: bool, value: str) -> None:
        headers = {"X-No-Session": value, "X-Session-ID": "mine"}
        response = client.post(CHAT, json=ask(stream=stream), headers=headers)

        assert "x-session-id" not in response.headers
        assert assert_ok(client.get(f"{SESSIONS}/mine/history")) == {"messages": []}

    def test_a_client_that_resends_everything_does_not_double_it(self, client: TestClient) -> None:
        session = {"X-Session-ID": "full"}
        first = {"role": "user", "content": "one"}
        client.post(CHAT, json={"messages": [first]}, headers=session)
        transcript = [first, {"role": "assistant", "content": "one"}, {"role": "user", "content": "two"}]
        client.post(CHAT, json={"messages": transcript}, headers=session)
        messages = assert_ok(client.get(f"{SESSIONS}/full/history"))["messages"]

        assert [message["content"] for message in messages] == ["one", "one", "two", "two"]

    def test_system_messages_are_kept_but_not_shown(self, client: TestClient, ollama: FakeOllama) -> None:
        session = {"X-Session-ID": "sys"}
        system = {"role": "system", "content": "Speak like a heron."}
        client.post(CHAT, json={"messages": [system, {"role": "user", "content": "hi"}]}, headers=session)
        client.post(CHAT, json=ask("again"), headers=session)
        messages = assert_ok(client.get(f"{SESSIONS}/sys/history"))["messages"]

        assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
        assert "Speak like a heron." in prompt_of(ollama)[0]["content"]
        assert len([message for message in prompt_of(ollama) if message["role"] == "system"]) == 1

    def test_deleting_is_idempotent(self, client: TestClient) -> None:
        client.post(CHAT, json=ask(), headers={"X-Session-ID": "mine"})
        for _ in range(2):
            assert assert_ok(client.delete(f"{SESSIONS}/mine")) == {"message": "Session mine deleted"}
        assert assert_ok(client.get(f"{SESSIONS}/mine/history")) == {"messages": []}

    def test_deleting_all_counts(self, client: TestClient) -> None:
        for name in ("a", "b"):
            client.post(CHAT, json=ask(), headers={"X-Session-ID": name})
        assert assert_ok(client.delete(SESSIONS)) == {"message": "Deleted 2 session(s)", "count": 2}
        assert assert_ok(client.delete(SESSIONS))["count"] == 0

    @pytest.mark.parametrize("name", ["a/b", "..", "x" * 201, "tab\there"], ids=["slash", "dots", "long", "control"])
    def test_an_unsafe_id_is_refused(self, client: TestClient, name: str) -> None:
        assert_error(client.post(CHAT, json=ask(), headers={"X-Session-ID": name}), 400, "session id")


class TestFailures:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("model", ["local", "remote"])
    def test_a_model_server_that_is_down_is_named_within_two_seconds(
        self, client: TestClient, ollama: FakeOllama, model: str, stream: bool
    ) -> None:
        ollama.behave(refuse=True)
        started_at = time.monotonic()
        try:
            response = client.post(CHAT, json=ask(model=model, stream=stream), headers={"X-Session-ID": "s"})
        finally:
            ollama.behave()

        assert time.monotonic() - started_at < 2
        assert_error(response, 503, ollama.url, code="UpstreamUnavailable")
        assert assert_ok(client.get(f"{SESSIONS}/s/history")) == {"messages": []}

    @pytest.mark.parametrize("failure", ["busy_503", "garbage_line", "die_mid_stream", "end_without_done"])
    def test_a_failure_before_the_first_word_is_a_503(
        self, client: TestClient, ollama: FakeOllama, failure: str
    ) -> None:
        ollama.behave(**{failure: True if failure == "busy_503" else 0})
        assert_error(client.post(CHAT, json=ask(stream=True)), 503, ollama.url)

    def test_a_missing_model_says_what_to_run(self, client: TestClient, ollama: FakeOllama) -> None:
        ollama.behave(models=["other"])
        assert_error(client.post(CHAT, json=ask()), 503, "ollama pull llama3.2:3b")

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_store_that_is_down_is_never_answered_around(self, client: TestClient, stream: bool) -> None:
        assembly_of(client.app).failure = UpstreamError("Chroma does not answer")
        assert_error(client.post(CHAT, json=ask(stream=stream)), 503, "Chroma does not answer")
        assert_ok(client.post(CHAT, json=ask(rag_enabled=False)))

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            ({"messages": []}, 400, "No user message provided"),
            (ask(model="gpt-9"), 400, "Model 'gpt-9' not found. Available: local, remote, quote"),
            (ask(database="nowhere"), 404, "Database 'nowhere' not found"),
            (ask(rag_retrieval_strategy="nothing"), 404, "nothing"),
            (ask(n=2), 400, "n = 2"),
            (ask(temperature=2.5), 422, "temperature"),
            (ask(rag_top_k=0), 422, "rag_top_k"),
            ({"messages": [{"role": "owl", "content": "hu"}]}, 422, "role"),
            (ask(model="quote", response_format={"type": "json_object"}), 400, "extractive"),
            (ask("word " * 9000, rag_enabled=False), 400, "8192"),
        ],
        ids=["empty", "model", "database", "strategy", "n", "temperature", "top-k", "role", "json", "window"],
    )
    def test_what_cannot_be_done_is_said(
        self, client: TestClient, body: dict[str, Any], status: int, words: str
    ) -> None:
        assert_error(client.post(CHAT, json=body), status, words)

    def test_an_unknown_project_is_not_found(self, client: TestClient) -> None:
        assert_error(client.post("/v1/projects/org/none/chat/completions", json=ask()), 404, "none")

    def test_a_configured_parameter_out_of_range_is_named(
        self, client: TestClient, write_project: Callable[..., None]
    ) -> None:
        model = {"name": "m", "provider": "extractive", "model_api_parameters": {"temperature": 9}}
        write_project(runtime={"models": [model]})
        assert_error(client.post(CHAT, json=ask()), 422, "model_api_parameters.temperature = 9")


class TestLive:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("behaviour", [{"hang": True}, {"delay_token_s": 0.05, "answer": "word " * 400}],
                             ids=["before-the-first-word", "in-the-middle"])  # fmt: skip
    def test_a_client_that_leaves_stops_the_model_within_a_second(
        self, live_url: str, ollama: FakeOllama, stream: bool, behaviour: dict[str, Any]
    ) -> None:
        ollama.behave(**behaviour)
        gone_before = len(ollama.departures())
        leave_when(lambda: ollama.state.open_count, live_url, ask(stream=stream))

        assert ollama.wait_until(lambda: len(ollama.departures()) > gone_before, timeout_s=1)
        assert ollama.wait_until(lambda: ollama.state.open_count == 0, timeout_s=1)

    def test_nothing_leaks_when_many_clients_leave(self, live_url: str, app: FastAPI, ollama: FakeOllama) -> None:
        ollama.behave(hang=True)
        for stream in (False, True) * 10:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(live_url + CHAT, json=ask(stream=stream), timeout=0.05, headers={"X-Session-ID": "same"})

        assert ollama.wait_until(lambda: ollama.state.open_count == 0)
        ollama.behave()
        assert_ok(httpx.post(live_url + CHAT, json=ask(), headers={"X-Session-ID": "same"}))

    def test_a_silent_model_is_bridged_by_heartbeats(
        self, live_url: str, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch, app: FastAPI
    ) -> None:
        monkeypatch.setattr("server.sse.HEARTBEAT_S", 0.1)
        ollama.behave(delay_token_s=0.5)
        body = httpx.post(live_url + CHAT, json=ask(stream=True)).text

        assert body.count(": ping\n\n") >= 2
        assert content_of(events(body)) == "one two"

    def test_a_failure_after_a_long_silence_is_an_event(
        self, live_url: str, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch, app: FastAPI
    ) -> None:
        monkeypatch.setattr("server.sse.HEARTBEAT_S", 0.1)
        app.state.services.chat._first_delta_wait_s = 0.1
        ollama.behave(delay_first_s=0.6, die_mid_stream=0)
        response = httpx.post(live_url + CHAT, json=ask(stream=True))

        assert response.status_code == 200
        assert response.text.startswith(": ping\n\n")
        assert [list(event) for event in events(response.text)] == [["error"]]

    def test_chats_of_one_session_take_turns(self, live_url: str, ollama: FakeOllama) -> None:
        ollama.behave(delay_token_s=0.05)
        headers = {"X-Session-ID": "shared"}

        def chat(text: str) -> None:
            assert_ok(httpx.post(live_url + CHAT, json=ask(text), headers=headers))

        threads = [threading.Thread(target=chat, args=(f"a{index} b c",)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        messages = assert_ok(httpx.get(f"{live_url}{SESSIONS}/shared/history"))["messages"]
        prompts = [entry["body"]["messages"] for entry in ollama.requests("/api/chat")[-4:]]

        assert [message["role"] for message in messages] == ["user", "assistant"] * 4
        assert all(
            asked["content"] == answered["content"] for asked, answered in zip(*[iter(messages)] * 2, strict=True)
        )
        assert [len(prompt) for prompt in prompts] == [2, 4, 6, 8]

    def test_an_id_of_another_alphabet_is_the_same_in_header_and_path(self, live_url: str) -> None:
        response = httpx.post(live_url + CHAT, json=ask(), headers={"X-Session-ID": "сессия".encode()})
        history = httpx.get(f"{live_url}{SESSIONS}/сессия/history")

        assert dict(response.headers.raw)[b"x-session-id"].decode() == "сессия"
        assert len(assert_ok(history)["messages"]) == 2

    def test_openais_client_works(self, live_url: str) -> None:
        with openai.OpenAI(base_url=live_url + BASE, api_key="none", max_retries=0) as sdk:
            question: Any = [{"role": "user", "content": "one two"}]
            whole = sdk.chat.completions.create(model="local", messages=question)
            chunks = list(sdk.chat.completions.create(model="local", messages=question, stream=True))
            models = [model.id for model in sdk.models.list()]
            with pytest.raises(openai.BadRequestError) as refusal:
                sdk.chat.completions.create(model="none", messages=question)

        assert whole.choices[0].message.content == "one two"
        assert whole.usage is not None
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert models == ["local", "remote", "quote"]
        assert "Available: local" in refusal.value.response.json()["detail"]


class TestModels:
    def test_models_are_listed_with_default_address_and_without_secrets(
        self, client: TestClient, write_project: Callable[..., None], ollama: FakeOllama
    ) -> None:
        plain = {"name": "fast", "provider": "ollama", "model": "llama3.2:3b", "description": "Fast."}
        secret = {"name": "far", "provider": "openai", "model": "gpt-x", "api_key": "sk-secret"}
        write_project(runtime={"default_model": "far", "models": [plain, secret]})
        response = client.get(f"{BASE}/models")
        body = assert_ok(response)

        assert body["total"] == 2
        assert body["models"][0] == {**plain, "base_url": "http://localhost:11434/v1", "default": False}
        assert body["models"][1]["default"] is True
        assert body["models"][1]["base_url"] == "https://api.openai.com/v1"
        assert "sk-secret" not in response.text
        assert body["object"] == "list"
        assert body["data"][0] == {"id": "fast", "object": "model", "created": 0, "owned_by": "ollama"}

    def test_the_first_model_is_the_default_when_none_is_named(self, client: TestClient) -> None:
        assert [model["default"] for model in assert_ok(client.get(f"{BASE}/models"))["models"]] == [True, False, False]

    def test_every_route_has_its_operation_id(self, client: TestClient) -> None:
        paths = assert_ok(client.get("/openapi.json"))["paths"]
        ids = {operation["operationId"] for path in paths.values() for operation in path.values()}

        assert {"chat_completions", "chat_history", "chat_session_delete", "chat_sessions_delete", "models_list"} <= ids
