"""The clients that people already have, against the running system: `openai`, `ollama`, `mcp` and plain `requests`."""

import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import anyio
import ollama
import openai
import pytest
import requests
from mcp.client import Client
from mcp.types import CallToolResult
from openai import OpenAI
from pydantic import BaseModel

from tests.e2e.system import ProjectClient, System
from tests.fixtures.fake_ollama import FakeOllama
from tests.fixtures.make_files import pdf_file

PAGES = [
    "Crane manual. The crane K-12 lifts 3,200 kilograms.",
    "Ropes. Rope RX-9 is replaced every 18 months.",
]
LIFT = "How much does the crane lift?"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
Result = TypeVar("Result")


class Load(BaseModel):
    crane: str
    kilograms: int


@pytest.fixture(scope="module")
def project(system: System, tmp_path_factory: pytest.TempPathFactory) -> ProjectClient:
    project = system.project("clients", "cranes")
    project.create_dataset("manuals")
    file = pdf_file(tmp_path_factory.mktemp("files") / "crane.pdf", PAGES)
    project.upload("manuals", "crane.pdf", file.read_bytes())
    assert project.process("manuals")["state"] == "SUCCESS"
    return project


@pytest.fixture(params=["project", "root"])
def sdk(request: pytest.FixtureRequest, system: System, project: ProjectClient) -> tuple[OpenAI, str]:
    """An official client, and how it names the model, at a project's address and at the server's."""
    if request.param == "project":
        return OpenAI(base_url=f"{system.url}{project.path}", api_key="unused", max_retries=0), ""
    return OpenAI(base_url=f"{system.url}/v1", api_key="unused", max_retries=0), "clients/cranes/"


@pytest.fixture
def model_server(fake_ollama: FakeOllama) -> Iterator[FakeOllama]:
    yield fake_ollama
    fake_ollama.behave()


def asked(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_openai_chat_answers_from_the_files(sdk: tuple[OpenAI, str]) -> None:
    client, prefix = sdk
    reply = client.chat.completions.create(model=f"{prefix}default", messages=asked(LIFT))
    assert "3,200 kilograms" in (reply.choices[0].message.content or "")
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


def test_openai_stream_comes_in_pieces_and_ends_with_usage(sdk: tuple[OpenAI, str]) -> None:
    client, prefix = sdk
    stream = client.chat.completions.create(
        model=f"{prefix}ollama", messages=asked(LIFT), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(pieces) == LIFT
    assert len(pieces) > 1
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_openai_tools_are_called_and_answered(sdk: tuple[OpenAI, str], model_server: FakeOllama) -> None:
    client, prefix = sdk
    model_server.behave(tool_call={"name": "weather", "arguments": {"place": "Ulm"}})
    tools: list[Any] = [WEATHER]
    reply = client.chat.completions.create(model=f"{prefix}ollama", messages=asked("Weather?"), tools=tools)
    assert reply.choices[0].finish_reason == "tool_calls"
    (call,) = reply.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"place": "Ulm"})
    model_server.behave()
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    assistant: Any = reply.choices[0].message.model_dump(exclude_none=True)
    messages = [*asked("Weather?"), assistant, result]
    after = client.chat.completions.create(model=f"{prefix}ollama", messages=messages, tools=tools)
    assert after.choices[0].finish_reason == "stop"
    sent = model_server.requests("/api/chat")[-1]["body"]["messages"]
    assert [each["role"] for each in sent][-3:] == ["user", "assistant", "tool"]
    assert sent[-1]["content"] == "rain"


def test_openai_streamed_tool_call_is_assembled_by_the_sdk(sdk: tuple[OpenAI, str], model_server: FakeOllama) -> None:
    client, prefix = sdk
    model_server.behave(tool_call={"name": "weather", "arguments": {"place": "Ulm"}})
    tools: list[Any] = [WEATHER]
    with client.chat.completions.stream(model=f"{prefix}ollama", messages=asked("Weather?"), tools=tools) as stream:
        message = stream.get_final_completion().choices[0].message
    (call,) = message.tool_calls or []
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"place": "Ulm"})


def test_openai_parse_gives_an_object_of_the_schema(sdk: tuple[OpenAI, str], model_server: FakeOllama) -> None:
    client, prefix = sdk
    model_server.behave(answer='{"crane": "K-12", "kilograms": 3200}')
    reply = client.chat.completions.parse(model=f"{prefix}ollama", messages=asked(LIFT), response_format=Load)
    assert reply.choices[0].message.parsed == Load(crane="K-12", kilograms=3200)
    sent = model_server.requests("/api/chat")[-1]["body"]
    assert set(sent["format"]["properties"]) == {"crane", "kilograms"}


def test_openai_models_are_listed(sdk: tuple[OpenAI, str]) -> None:
    client, prefix = sdk
    known = {model.id for model in client.models.list()}
    assert f"{prefix}default".rstrip("/") in known or "clients/cranes" in known


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_openai_embeddings_are_the_models_own(system: System, encoding: Any) -> None:
    client = OpenAI(base_url=f"{system.url}/v1", api_key="unused", max_retries=0)
    model = "sentence-transformers/all-MiniLM-L6-v2"
    answer = client.embeddings.create(model=model, input=["a crane", "a crane", "soup"], encoding_format=encoding)
    assert [each.index for each in answer.data] == [0, 1, 2]
    plain = client.embeddings.create(model=model, input="a crane")  # the SDK asks for base64 and decodes it
    assert len(plain.data[0].embedding) == 384
    if encoding == "float":
        assert plain.data[0].embedding == pytest.approx(answer.data[0].embedding, abs=1e-5)


def test_openai_errors_say_what_was_wrong(sdk: tuple[OpenAI, str]) -> None:
    client, prefix = sdk
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model=f"{prefix}no-such-model", messages=asked(LIFT))
    assert raised.value.status_code in (400, 404)
    message = raised.value.response.json()["message"]
    assert "no-such-model" in message
    assert "default" in message


def test_a_preview_shows_the_chunks_and_stores_nothing(system: System, project: ProjectClient) -> None:
    database = system.client.get(f"{project.path}/rag/databases").json()["default_database"]
    text = "The spare hook hangs in bay 9. " * 40
    body = {"file_content": base64.b64encode(text.encode()).decode(), "filename": "hook.txt", "chunk_size": 200}
    response = system.client.post(f"{project.path}/rag/databases/{database}/preview", json=body)
    assert response.status_code == 200, response.text
    shown = response.json()
    assert shown["total_chunks"] == len(shown["chunks"]) > 1
    for chunk in shown["chunks"]:
        assert chunk["content"] == shown["original_text"][chunk["start_position"] : chunk["end_position"]]
    assert "hook.txt" not in {hit["metadata"]["filename"] for hit in project.query("Where is the spare hook?")}


def test_sessions_are_listed_with_the_last_used_first(system: System, project: ProjectClient) -> None:
    for session_id in ("first", "second"):
        body = {"messages": asked(LIFT)}
        headers = {"X-Session-ID": session_id}
        assert system.client.post(f"{project.path}/chat/completions", json=body, headers=headers).status_code == 200
    listed = system.client.get(f"{project.path}/chat/sessions", params={"limit": 2}).json()
    assert [each["session_id"] for each in listed["sessions"]] == ["second", "first"]
    assert listed["total"] >= 2


def test_ollama_gets_what_its_own_client_sends(
    system: System, project: ProjectClient, model_server: FakeOllama
) -> None:
    """Our native call and that of the official package differ in nothing a server would notice."""
    options = {"temperature": 0.2, "seed": 7, "num_predict": 300}
    tool = WEATHER
    schema = Load.model_json_schema()
    ollama.Client(host=model_server.url).chat(
        model="llama3.2:3b", messages=asked("Hello"), tools=[tool], format=schema, options=options, think=False
    )
    theirs = model_server.requests("/api/chat")[-1]["body"]
    body = {
        "model": "ollama", "messages": asked("Hello"), "tools": [tool], "rag_enabled": False,
        "temperature": 0.2, "seed": 7, "max_tokens": 300,
        "response_format": {"type": "json_schema", "json_schema": {"name": "load", "schema": schema}},
    }  # fmt: skip
    response = system.client.post(f"{project.path}/chat/completions", json=body, headers={"X-No-Session": "1"})
    assert response.status_code == 200, response.text
    ours = model_server.requests("/api/chat")[-1]["body"]
    assert ours["model"] == theirs["model"]
    assert ours["format"] == theirs["format"]
    assert ours["messages"][-1] == theirs["messages"][-1]
    assert {key: ours["options"][key] for key in options} == theirs["options"]
    assert ours["tools"][0]["function"]["name"] == theirs["tools"][0]["function"]["name"]
    assert ours["tools"][0]["function"]["parameters"]["required"] == ["place"]


def test_ollama_thinks_when_it_is_asked_to(system: System, project: ProjectClient, model_server: FakeOllama) -> None:
    model_server.behave(think="3,200 it says.", answer="3,200 kg")
    body = {"model": "ollama", "messages": asked(LIFT), "think": True}
    answer = system.client.post(f"{project.path}/chat/completions", json=body).json()
    assert answer["thinking"]["content"] == "3,200 it says."
    assert answer["choices"][0]["message"]["content"] == "3,200 kg"
    assert model_server.requests("/api/chat")[-1]["body"]["think"] is True


def with_mcp(system: System, mode: str, work: Callable[[Client], Awaitable[Result]]) -> Result:
    async def connected() -> Result:
        async with Client(f"{system.url}/mcp", mode=mode) as client:
            return await work(client)

    return anyio.run(connected)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_an_mcp_agent_goes_from_nothing_to_a_cited_answer(system: System, tmp_path: Path, mode: str) -> None:
    pdf = base64.b64encode(pdf_file(tmp_path / "crane.pdf", PAGES).read_bytes()).decode()
    place = {"namespace": "agents", "project": f"cranes-{mode}"}

    async def work(client: Client) -> str:
        async def call(name: str, /, **arguments: Any) -> Any:
            result = await client.call_tool(name, {**place, **arguments})
            assert isinstance(result, CallToolResult)
            assert not result.is_error, result.content
            return result

        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"project_create", "dataset_create", "dataset_data_upload", "task_get", "rag_query"} <= names
        created = {"namespace": "agents", "name": place["project"], "config_template": "rag"}
        assert not (await client.call_tool("project_create", created)).is_error
        accepted = (await call("dataset_strategies_list")).structured_content
        strategy, database = accepted["data_processing_strategies"][0], accepted["databases"][0]
        await call("dataset_create", name="manuals", data_processing_strategy=strategy, database=database)
        await call("dataset_data_upload", dataset="manuals", filename="crane.pdf", content_base64=pdf)
        await call("dataset_data_upload", dataset="manuals", filename="note.md", text="# Note\n\nThe yard opens at 6.")
        task_id = (await call("dataset_actions", dataset="manuals", action_type="process")).structured_content[
            "task_id"
        ]
        with anyio.fail_after(120):
            while (await call("task_get", task_id=task_id)).structured_content["state"] not in ("SUCCESS", "FAILURE"):
                await anyio.sleep(0.2)
        found = await call("rag_query", query="When is rope RX-9 replaced?", top_k=3)
        return str(found.content[0].text)

    text = with_mcp(system, mode, work)
    assert "18 months" in text
    assert "crane.pdf, page 2" in text


def test_an_mcp_agent_reads_why_something_failed(system: System) -> None:
    async def work(client: Client) -> Any:
        return await client.call_tool("rag_query", {"namespace": "agents", "project": "nowhere", "query": "x"})

    result = with_mcp(system, "auto", work)
    assert result.is_error
    assert result.content[0].text == "404: Project agents/nowhere not found"


class RequestsClient:
    """The two calls of the published Python example, as a reader would write them."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()

    def chat(self, namespace: str, project: str, message: str, session_id: str | None = None) -> Any:
        answer = self.session.post(
            f"{self.base_url}/v1/projects/{namespace}/{project}/chat/completions",
            headers={"X-Session-ID": session_id} if session_id else {},
            json={"messages": [{"role": "user", "content": message}]},
        )
        answer.raise_for_status()
        return answer.json()

    def query_rag(self, namespace: str, project: str, query: str, database: str | None = None, top_k: int = 5) -> Any:
        answer = self.session.post(
            f"{self.base_url}/v1/projects/{namespace}/{project}/rag/query",
            json={"query": query, "database": database, "top_k": top_k},
        )
        answer.raise_for_status()
        return answer.json()


@pytest.mark.usefixtures("project")
def test_the_published_python_client_works_as_printed(system: System) -> None:
    client = RequestsClient(system.url)
    with client.session:
        answer = client.chat("clients", "cranes", LIFT)
        assert "3,200 kilograms" in answer["choices"][0]["message"]["content"]
        found = client.query_rag("clients", "cranes", LIFT)
        assert found["total_results"] == len(found["results"]) > 0
        assert "3,200 kilograms" in found["results"][0]["content"]
        for question in (LIFT, "And the rope?"):
            client.chat("clients", "cranes", question, session_id="requests-client")
        history = client.session.get(
            f"{system.url}/v1/projects/clients/cranes/chat/sessions/requests-client/history"
        ).json()
        assert [each["role"] for each in history["messages"]] == ["user", "assistant"] * 2
        with pytest.raises(requests.HTTPError, match="404"):
            client.chat("clients", "no-such-project", "Hello!")


@pytest.mark.usefixtures("project")
def test_the_calls_of_the_published_browser_example_pass_cors(system: System) -> None:
    """`fetch` asks first, then sends exactly `Content-Type` and, in a session, `X-Session-ID`."""
    url = f"{system.url}/v1/projects/clients/cranes/chat/completions"
    origin = {"Origin": "http://localhost:5173"}
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-session-id"}
    preflight = requests.options(url, headers={**origin, **asking}, timeout=10)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    sent = {**origin, "Content-Type": "application/json", "X-Session-ID": "browser"}
    answer = requests.post(url, headers=sent, data=json.dumps({"messages": asked(LIFT)}), timeout=60)
    assert answer.json()["choices"][0]["message"]["content"]
    assert answer.headers["x-session-id"] == "browser"
    exposed = answer.headers["access-control-expose-headers"]
    assert exposed == "*" or "x-session-id" in exposed.lower()
