"""Chat with tools that the server runs itself: real MCP servers, and a fake Ollama that calls their tools."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.api.helpers import assert_error, assert_ok
from tests.api.test_chat import BASE, CHAT, SESSIONS, TOOLS, ask, assembly_of, content_of, events, leave_when
from tests.fixtures.fake_ollama import FakeOllama
from tests.fixtures.mcp_server import McpServer, stdio_entry

ADD = {"name": "add", "arguments": {"a": 2, "b": 3}}
COUNT = {"name": "count", "arguments": {"what": "herons"}}
MODELS = ["local", "remote", "prompted"]


@pytest.fixture(scope="module")
def mcp() -> Iterator[McpServer]:
    with McpServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _project(app: FastAPI, write_project: Callable[..., None], mcp: McpServer, ollama: FakeOllama) -> None:
    use(write_project, ollama, [{"name": "far", "transport": "http", "base_url": mcp.url}])
    mcp.record.calls.clear()
    mcp.record.stopped = 0


def use(write: Callable[..., None], ollama: FakeOllama, servers: list[dict[str, Any]], **model: Any) -> None:
    """Write a project with these MCP servers; every model is served by the fake Ollama, `remote` in OpenAI's words."""
    native = {"provider": "ollama", "model": "llama3.2:3b", "base_url": ollama.url, **model}
    remote = {"provider": "openai", "model": "gpt-x", "base_url": f"{ollama.url}/v1", **model}
    models = [
        {"name": "local", **native},
        {"name": "remote", **remote},
        {"name": "prompted", **remote, "tool_call_strategy": "prompt_based"},
        {"name": "quote", "provider": "extractive"},
    ]
    write(runtime={"models": models}, mcp={"servers": servers})


def calling(model: str, *rounds: list[dict[str, Any]], answer: str = "It is 5.") -> list[dict[str, Any]]:
    """A script that calls tools in rounds, in the way of the model's strategy, and then answers."""
    if model != "prompted":
        return [*({"tool_calls": calls} for calls in rounds), {"answer": answer}]
    texts = ["".join(f"<tool_call>{json.dumps(call)}</tool_call>" for call in calls) for calls in rounds]
    return [{"answer": text} for text in (*texts, answer)]


def prompts(ollama: FakeOllama) -> list[list[dict[str, Any]]]:
    return [entry["body"]["messages"] for entry in ollama.requests() if "messages" in entry["body"]]


def offered(ollama: FakeOllama) -> list[str]:
    return [tool["function"]["name"] for tool in ollama.requests()[-1]["body"].get("tools") or []]


@pytest.mark.parametrize("model", MODELS)
def test_the_server_runs_its_tools_and_the_model_answers_from_the_results(
    client: TestClient, ollama: FakeOllama, model: str
) -> None:
    ollama.behave(script=calling(model, [ADD]))
    body = assert_ok(client.post(CHAT, json=ask("2 + 3?", model=model, rag_enabled=False)))
    last = prompts(ollama)[-1][-1]

    assert body["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "It is 5."}, "finish_reason": "stop"}
    ]
    assert body["usage"]["total_tokens"] > 0
    assert last["content"] == ("<tool_response>5</tool_response>" if model == "prompted" else "5")


@pytest.mark.parametrize("model", MODELS)
def test_several_calls_in_several_rounds_are_all_answered(client: TestClient, ollama: FakeOllama, model: str) -> None:
    more = {"name": "add", "arguments": {"a": 5, "b": 5}}
    ollama.behave(script=calling(model, [ADD, more], [{"name": "fail", "arguments": {}}]))
    assert_ok(client.post(CHAT, json=ask("sums?", model=model, rag_enabled=False)))
    said = [str(message.get("content")) for message in prompts(ollama)[-1]]

    assert [text for text in said if text in ("5", "10") or "tool_response>" in text][:2] == (
        ["<tool_response>5</tool_response>", "<tool_response>10</tool_response>"]
        if model == "prompted"
        else ["5", "10"]
    )
    assert "Error: Error executing tool fail: the owl is asleep" in said[-1]


@pytest.mark.parametrize("model", ["local", "remote"])
def test_a_stream_shows_the_call_whole_and_goes_on_with_the_answer(
    client: TestClient, ollama: FakeOllama, model: str
) -> None:
    ollama.behave(script=[{"answer": "Let me see.", "tool_calls": [ADD]}, {"answer": "It is 5."}])
    found = events(client.post(CHAT, json=ask("2 + 3?", model=model, stream=True, rag_enabled=False)).text)
    deltas = [event["choices"][0]["delta"] for event in found]
    shown = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]

    ((call,),) = shown
    assert (call["index"], call["type"], call["function"]["name"]) == (0, "function", "add")
    assert json.loads(call["function"]["arguments"]) == {"a": 2, "b": 3}
    assert content_of(found) == "Let me see.\n\nIt is 5."
    assert [event["choices"][0]["finish_reason"] for event in found][-1] == "stop"
    assert deltas[0]["role"] == "assistant"


@pytest.mark.parametrize("stream", [False, True])
def test_the_session_remembers_calls_and_results(client: TestClient, ollama: FakeOllama, stream: bool) -> None:
    ollama.behave(script=calling("local", [ADD]))
    session = {"X-Session-ID": "mine"}
    client.post(CHAT, json=ask("2 + 3?", stream=stream, rag_enabled=False), headers=session)
    history = assert_ok(client.get(f"{SESSIONS}/mine/history"))["messages"]
    client.post(CHAT, json=ask("And now?", rag_enabled=False), headers=session)

    assert [message["role"] for message in history] == ["user", "assistant", "tool", "assistant"]
    assert history[1]["tool_calls"][0]["function"]["name"] == "add"
    assert history[2] == {"role": "tool", "tool_call_id": history[1]["tool_calls"][0]["id"], "content": "5"}
    assert [message["role"] for message in prompts(ollama)[-1]][-5:] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]


def test_a_client_that_sends_everything_again_does_not_double_it(client: TestClient, ollama: FakeOllama) -> None:
    ollama.behave(script=[{"answer": "Let me see.", "tool_calls": [ADD]}, {"answer": "It is 5."}])
    session = {"X-Session-ID": "full"}
    first = assert_ok(client.post(CHAT, json=ask("2 + 3?"), headers=session))["choices"][0]["message"]
    again = [{"role": "user", "content": "2 + 3?"}, first, {"role": "user", "content": "And now?"}]
    assert_ok(client.post(CHAT, json={"messages": again}, headers=session))
    history = assert_ok(client.get(f"{SESSIONS}/full/history"))["messages"]

    assert [message["role"] for message in history] == ["user", "assistant", "tool", "assistant", "user", "assistant"]


def test_a_call_of_the_clients_own_tool_is_returned(client: TestClient, ollama: FakeOllama) -> None:
    ollama.behave(script=calling("local", [ADD], [COUNT]))
    choice = assert_ok(client.post(CHAT, json=ask("?", tools=TOOLS, rag_enabled=False)))["choices"][0]

    assert choice["finish_reason"] == "tool_calls"
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["count"]


@pytest.mark.parametrize("model", ["local", "remote"])
@pytest.mark.parametrize("stream", [False, True])
def test_calls_of_both_kinds_in_one_turn_are_shared_out(
    client: TestClient, ollama: FakeOllama, model: str, stream: bool
) -> None:
    ollama.behave(script=calling(model, [ADD, COUNT], answer="Both known."))
    session = {"X-Session-ID": "both"}
    response = client.post(CHAT, json=ask("?", model=model, tools=TOOLS, stream=stream), headers=session)
    call_id, name = _last_call(response, stream=stream)
    result = {"role": "tool", "tool_call_id": call_id, "content": "three"}
    assert_ok(client.post(CHAT, json={"messages": [result], "model": model}, headers=session))
    tail = prompts(ollama)[-1][-3:]

    assert name == "count"
    assert [call["function"]["name"] for call in tail[0]["tool_calls"]] == ["add", "count"]
    assert [message["content"] for message in tail[1:]] == ["5", "three"]


def _last_call(response: Any, *, stream: bool) -> tuple[str, str]:
    if not stream:
        (call,) = assert_ok(response)["choices"][0]["message"]["tool_calls"]
        return call["id"], call["function"]["name"]
    found = [event["choices"][0] for event in events(response.text)]
    calls: dict[int, list[dict[str, Any]]] = {}
    for choice in found:
        for call in choice["delta"].get("tool_calls", []):
            calls.setdefault(call["index"], []).append(call)
    assert found[-1]["finish_reason"] == "tool_calls"
    assert found[-1]["delta"] == {}
    assert sorted(calls) == [0, 1]  # the client's was begun first, the server's is shown when all is known
    first = calls[0][0]
    assert "".join(call["function"]["arguments"] for call in calls[0]) == '{"what": "herons"}' or model_is_compact(
        calls
    )
    return first["id"], first["function"]["name"]


def model_is_compact(calls: dict[int, list[dict[str, Any]]]) -> bool:
    return "".join(call["function"]["arguments"] for call in calls[0]) == '{"what":"herons"}'


def test_the_loop_ends_after_ten_rounds_with_a_sentence(client: TestClient, ollama: FakeOllama, mcp: McpServer) -> None:
    ollama.behave(tool_call=ADD)
    asked_before = len(prompts(ollama))
    session = {"X-Session-ID": "long"}
    body = assert_ok(client.post(CHAT, json=ask("?", rag_enabled=False), headers=session))
    history = assert_ok(client.get(f"{SESSIONS}/long/history"))["messages"]

    assert "10 rounds of tool calls" in body["choices"][0]["message"]["content"]
    assert body["choices"][0]["finish_reason"] == "stop"
    assert len(prompts(ollama)) - asked_before == 10
    assert len(mcp.record.calls) == 9
    assert "tool_calls" not in history[-1]


def test_the_request_wins_over_the_config_and_the_config_over_a_server(
    client: TestClient, ollama: FakeOllama, write_project: Callable[..., None], mcp: McpServer
) -> None:
    configured = [{"type": "function", "name": name, "description": "C", "parameters": {"type": "object"}}
                  for name in ("add", "slow")]  # fmt: skip
    servers = [{"name": name, "transport": "http", "base_url": mcp.url} for name in ("far", "other far")]
    use(write_project, ollama, servers, tools=configured)
    own = [{"type": "function", "function": {"name": "add", "description": "R", "parameters": {"type": "object"}}}]
    ollama.behave(script=calling("local", [ADD]))
    choice = assert_ok(client.post(CHAT, json=ask("?", tools=own)))["choices"][0]
    names = offered(ollama)

    assert choice["finish_reason"] == "tool_calls"
    assert mcp.record.calls == []
    assert names[:3] == ["add", "slow", "echo_env"]
    assert len(names) == len(set(names))
    assert "other_far_echo_env" in names
    assert ollama.requests()[-1]["body"]["tools"][0]["function"]["description"] == "R"


def test_a_name_that_models_may_not_use_is_changed_and_found_again(client: TestClient, ollama: FakeOllama) -> None:
    ollama.behave(script=calling("local", [{"name": "dotted_name", "arguments": {}}]))
    assert_ok(client.post(CHAT, json=ask("?")))
    assert prompts(ollama)[-1][-1]["content"] == "dotted"


@pytest.mark.parametrize(("wanted", "is_offered"), [(["far"], True), ([], False), (["none"], False)])
def test_a_model_gets_the_servers_that_it_names(
    client: TestClient,
    ollama: FakeOllama,
    write_project: Callable[..., None],
    mcp: McpServer,
    wanted: list[str],
    is_offered: bool,
) -> None:
    server = {"name": "far", "transport": "http", "base_url": mcp.url}
    use(write_project, ollama, [server], mcp_servers=wanted)
    assert_ok(client.post(CHAT, json=ask("?")))
    assert ("add" in offered(ollama)) is is_offered


def test_tool_choice_none_offers_nothing(client: TestClient, ollama: FakeOllama) -> None:
    assert_ok(client.post(CHAT, json=ask("?", tool_choice="none")))
    assert offered(ollama) == []


def test_a_forced_call_is_forced_once(client: TestClient, ollama: FakeOllama) -> None:
    ollama.behave(script=calling("remote", [ADD]))
    choice = {"type": "function", "function": {"name": "add"}}
    assert_ok(client.post(CHAT, json=ask("?", model="remote", tool_choice=choice)))
    bodies = [entry["body"] for entry in ollama.requests("/v1/chat/completions")[-2:]]

    assert bodies[0]["tool_choice"] == choice
    assert "tool_choice" not in bodies[1]


def test_a_server_that_is_away_is_left_out_with_a_note(
    client: TestClient, ollama: FakeOllama, write_project: Callable[..., None], mcp: McpServer
) -> None:
    servers = [
        {"name": "gone", "transport": "http", "base_url": "http://127.0.0.1:9/mcp"},
        {"name": "far", "transport": "http", "base_url": mcp.url},
    ]
    use(write_project, ollama, servers)
    body = assert_ok(client.post(CHAT, json=ask("one two")))

    assert body["choices"][0]["message"]["content"] == "one two"
    assert len(body["notes"]) == 1
    assert "MCP server 'gone' are left out" in body["notes"][0]
    assert "add" in offered(ollama)


def test_a_note_comes_with_the_first_chunk_of_a_stream(
    client: TestClient, ollama: FakeOllama, write_project: Callable[..., None]
) -> None:
    use(write_project, ollama, [{"name": "gone", "transport": "sse", "base_url": "http://127.0.0.1:9/sse"}])
    found = events(client.post(CHAT, json=ask("one two", stream=True)).text)
    assert "'gone'" in found[0]["notes"][0]


def test_a_tool_that_fails_is_told_to_the_model(
    client: TestClient, ollama: FakeOllama, mcp: McpServer, write_project: Callable[..., None]
) -> None:
    with McpServer() as short_lived:
        use(write_project, ollama, [{"name": "short", "transport": "http", "base_url": short_lived.url}])
        assert_ok(client.post(CHAT, json=ask("?")))
    ollama.behave(script=calling("local", [ADD]))
    body = assert_ok(client.post(CHAT, json=ask("?")))

    assert body["choices"][0]["message"]["content"] == "It is 5."
    assert prompts(ollama)[-1][-1]["content"].startswith("Error: MCP server 'short'")


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_breaks_off_after_its_tools_leaves_nothing_behind(
    client: TestClient, ollama: FakeOllama, stream: bool
) -> None:
    ollama.behave(script=[{"tool_calls": [ADD]}, {"die_mid_stream": 0}])
    response = client.post(CHAT, json=ask("?", stream=stream), headers={"X-Session-ID": "broken"})

    if stream:
        assert events(response.text)[-1]["error"]["type"] == "UpstreamUnavailable"
    else:
        assert_error(response, 503, ollama.url)
    assert assert_ok(client.get(f"{SESSIONS}/broken/history")) == {"messages": []}


def test_an_answer_that_is_cut_runs_no_half_call(client: TestClient, ollama: FakeOllama, mcp: McpServer) -> None:
    ollama.behave(script=[{"answer": "one two three", "tool_calls": [ADD]}])
    session = {"X-Session-ID": "cut"}
    choice = assert_ok(client.post(CHAT, json=ask("?", max_tokens=2), headers=session))["choices"][0]
    history = assert_ok(client.get(f"{SESSIONS}/cut/history"))["messages"]

    assert (choice["finish_reason"], choice["message"]) == ("length", {"role": "assistant", "content": "one two"})
    assert history[-1] == choice["message"]
    assert mcp.record.calls == []


def test_a_call_that_the_client_never_answers_does_not_stop_the_conversation(
    client: TestClient, ollama: FakeOllama
) -> None:
    session = {"X-Session-ID": "open"}
    ollama.behave(script=calling("remote", [COUNT]))
    client.post(CHAT, json=ask("?", model="remote", tools=TOOLS), headers=session)
    assert_ok(client.post(CHAT, json=ask("Never mind.", model="remote"), headers=session))
    tail = prompts(ollama)[-1][-3:]

    assert [message["role"] for message in tail] == ["assistant", "tool", "user"]
    assert tail[1]["tool_call_id"] == tail[0]["tool_calls"][0]["id"]


def test_a_model_that_cannot_call_tools_is_told_apart_with_the_remedy(client: TestClient, ollama: FakeOllama) -> None:
    ollama.behave(no_tools=True)
    assert_error(client.post(CHAT, json=ask("?")), 400, "set tool_call_strategy: prompt_based")
    assert_ok(client.post(CHAT, json=ask("?", tool_choice="none")))
    assert_ok(client.post(CHAT, json=ask("?", model="prompted")))


def test_a_long_result_is_cut_to_the_window(client: TestClient, ollama: FakeOllama, monkeypatch: Any) -> None:
    calls = [{"name": "echo_env", "arguments": {"name": "LONG"}}] * 3
    monkeypatch.setenv("LONG", "word " * 15_000)
    ollama.behave(script=calling("local", calls, calls))
    body = assert_ok(client.post(CHAT, json=ask("?", rag_enabled=False)))
    results = [message["content"] for message in prompts(ollama)[-1] if message["role"] == "tool"]

    assert body["choices"][0]["message"]["content"] == "It is 5."
    assert len(results) == 6
    assert all("cut to fit" in result for result in results)


@pytest.mark.parametrize("arguments", ["[1]", "{", '"x"'])
def test_arguments_that_are_no_object_are_told_to_the_model(
    client: TestClient, ollama: FakeOllama, arguments: str
) -> None:
    call = f'<tool_call>{{"name": "add", "arguments": {json.dumps(arguments)}}}</tool_call>'
    ollama.behave(script=[{"answer": call}, {"answer": "Sorry."}])
    assert_ok(client.post(CHAT, json=ask("?", model="prompted")))
    assert "Error: the arguments are not a JSON object" in prompts(ollama)[-1][-1]["content"]


def test_the_extractive_model_says_that_it_calls_no_tools(client: TestClient) -> None:
    body = assert_ok(client.post(CHAT, json=ask("heron", model="quote", tools=TOOLS)))
    assert body["notes"] == ["tools were not offered: this model only quotes and cannot call any"]


def test_a_program_is_started_and_its_tools_used(
    client: TestClient, ollama: FakeOllama, write_project: Callable[..., None]
) -> None:
    use(write_project, ollama, [stdio_entry()])
    ollama.behave(script=calling("local", [ADD]))
    assert_ok(client.post(CHAT, json=ask("2 + 3?", rag_enabled=False)))
    assert prompts(ollama)[-1][-1]["content"] == "5"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_running_tool_within_a_second(
    live_url: str, ollama: FakeOllama, mcp: McpServer, stream: bool
) -> None:
    ollama.behave(script=calling("local", [{"name": "slow", "arguments": {"seconds": 60}}]))
    asked_before = len(prompts(ollama))
    leave_when(lambda: mcp.record.running, live_url, ask("?", stream=stream, rag_enabled=False))

    deadline = time.monotonic() + 1
    while mcp.record.running or not mcp.record.stopped:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(prompts(ollama)) == asked_before + 1


def test_chats_beside_a_slow_tool_go_on(live_url: str, ollama: FakeOllama, mcp: McpServer) -> None:
    ollama.behave(script=[{"tool_calls": [{"name": "slow", "arguments": {"seconds": 0.5}}]}, {"answer": "done"}])
    slow = threading.Thread(target=lambda: httpx.post(live_url + CHAT, json=ask("?"), timeout=20))
    slow.start()
    deadline = time.monotonic() + 10
    while not mcp.record.running:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    answer = assert_ok(httpx.post(live_url + CHAT, json=ask("?")))
    is_still_running = mcp.record.running == 1
    slow.join()

    assert answer["choices"][0]["message"]["content"] == "done"
    assert is_still_running


def test_openais_client_puts_streamed_calls_together(live_url: str, ollama: FakeOllama) -> None:
    ollama.behave(script=calling("remote", [ADD, COUNT]))
    question: Any = [{"role": "user", "content": "?"}]
    tools: Any = TOOLS
    with openai.OpenAI(base_url=live_url + BASE, api_key="none", max_retries=0) as sdk:
        with sdk.chat.completions.stream(model="remote", messages=question, tools=tools) as stream:
            final = stream.get_final_completion()
        whole = sdk.chat.completions.create(model="remote", messages=question, tools=tools)

    calls = final.choices[0].message.tool_calls or []
    assert final.choices[0].finish_reason == "tool_calls"
    assert {call.function.name: json.loads(call.function.arguments) for call in calls} == {
        "count": {"what": "herons"},
        "add": {"a": 2, "b": 3},
    }
    assert whole.choices[0].message.content == "It is 5."


def test_a_servers_client_is_made_with_the_first_chat_that_needs_it(app: FastAPI, client: TestClient) -> None:
    assert assembly_of(app).tool_sources == {}
    assert_ok(client.post(CHAT, json=ask("?")))
    assert list(assembly_of(app).tool_sources) == ["far"]
