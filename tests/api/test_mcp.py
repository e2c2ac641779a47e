"""`/mcp`, through the official client."""

import base64
import json

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from rag.errors import UpstreamError
from server.mcp import asgi, results
from server.parts import Engine
from tests.api.agent import Agent, text_of
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok

PUBLISHED = {
    "projects_list", "project_create", "project_get", "project_update", "project_delete", "models_list",
    "dataset_list", "dataset_strategies_list", "dataset_create", "dataset_delete", "dataset_actions",
    "dataset_data_upload", "rag_query", "database_create", "database_get", "database_update", "database_delete",
    "task_get",
}  # fmt: skip
"""What the published API reference lists under MCP."""
BOT = {"namespace": "org", "project": "bot"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(params=["legacy", "auto"])
def agent(client: TestClient, request: pytest.FixtureRequest) -> Agent:
    """In the protocol that begins with a handshake, and in the one without."""
    return Agent(client, mode=request.param)


def fill(engine: Engine, *texts: str) -> None:
    config = engine.projects.load("org", "bot")
    engine.assembly.fill("org", "bot", config.database("main_db"), texts)  # type: ignore[attr-defined]


def test_every_published_operation_is_a_tool(agent: Agent) -> None:
    assert set(agent.tools()) >= PUBLISHED | {"task_cancel", "chat_completions"}


def test_tools_have_schemas_that_stand_alone_and_say_what_they_do(agent: Agent) -> None:
    for name, tool in agent.tools().items():
        Draft202012Validator.check_schema(tool.input_schema)
        Draft202012Validator.check_schema(tool.output_schema or {})
        shown = json.dumps([tool.input_schema, tool.output_schema])
        assert "$ref" not in shown, name
        assert len(tool.description or "") > 40, f"{name} has no useful description: {tool.description!r}"
        for argument, schema in tool.input_schema["properties"].items():
            assert {"type", "anyOf", "enum", "const", "allOf"} & set(schema), f"{name}.{argument} has no type"


def test_arguments_of_path_query_and_body_are_flat_and_typed(agent: Agent) -> None:
    schema = agent.tools()["rag_query"].input_schema
    assert {"namespace", "project", "query"} <= set(schema["required"])
    assert schema["properties"]["top_k"]["type"] == "integer"
    assert schema["properties"]["top_k"]["maximum"] == 100
    assert schema["additionalProperties"] is False
    assert agent.tools()["dataset_data_delete"].input_schema["properties"]["remove_from_disk"]["type"] == "boolean"


def test_hints_tell_reading_from_destroying(agent: Agent) -> None:
    hints = {name: tool.annotations for name, tool in agent.tools().items()}
    assert all(each is not None for each in hints.values())
    reading = {name for name, each in hints.items() if each and each.read_only_hint}
    destroying = {name for name, each in hints.items() if each and each.destructive_hint}
    assert {"rag_query", "projects_list", "task_get"} <= reading
    assert {"project_delete", "dataset_delete", "project_update", "dataset_actions"} <= destroying
    assert not reading & destroying
    assert "dataset_data_upload" not in reading | destroying


def test_a_project_is_created_and_read_through_tools(agent: Agent) -> None:
    created = agent.ok("project_create", namespace="org", name="new", config_template="default")
    assert created["project"]["name"] == "new"
    assert agent.ok("project_get", namespace="org", project="new")["project"]["config"]["name"] == "new"
    assert agent.ok("projects_list", namespace="org")["total"] == 1


@pytest.mark.usefixtures("project")
def test_query_gives_citable_passages_and_the_json_beside_them(agent: Agent, engine: Engine) -> None:
    fill(engine, "The brake pads last 40,000 km.", "The horn is loud.")
    result = agent.call("rag_query", **BOT, query="How long do brake pads last?", top_k=2)
    assert text_of(result).startswith("2 passages from database main_db:")
    assert "[1] letter.pdf, page 1 (score" in text_of(result)
    assert result.structured_content["results"][0]["content"] == "The brake pads last 40,000 km."


@pytest.mark.usefixtures("project")
def test_the_projects_model_answers_and_nothing_is_remembered(agent: Agent, engine: Engine) -> None:
    fill(engine, "The brake pads last 40,000 km.")
    messages = [{"role": "user", "content": "How long do brake pads last?"}]
    result = agent.call("chat_completions", **BOT, messages=messages, include_sources=True)
    assert "40,000 km" in text_of(result)
    assert "[1] letter.pdf" in text_of(result)
    agent.ok("chat_completions", **BOT, messages=messages, x_session_id="kept")
    assert_ok(agent.client.get("/v1/projects/org/bot/chat/sessions/kept/history"))["messages"]
    counted = assert_ok(agent.client.delete("/v1/projects/org/bot/chat/sessions"))
    assert counted["count"] == 1


@pytest.mark.parametrize(
    "content",
    [{"text": "Grüße"}, {"content_base64": base64.b64encode("Grüße".encode()).decode()}],
    ids=["text", "base64"],
)
@pytest.mark.usefixtures("project")
def test_a_file_is_uploaded_as_text_or_base64(agent: Agent, engine: Engine, content: dict[str, str]) -> None:
    uploaded = agent.ok("dataset_data_upload", **BOT, dataset="docs", filename="brief.txt", **content)
    assert uploaded["filename"] == "brief.txt"
    assert uploaded["skipped"] is False
    raw = engine.settings.projects_dir / "org/bot/lf_data/datasets/docs/raw" / uploaded["hash"]
    assert raw.read_text(encoding="utf-8") == "Grüße"


@pytest.mark.parametrize(
    "content",
    [{}, {"text": "a", "content_base64": "YQ=="}, {"content_base64": "not base64!"}],
    ids=["none", "both", "bad"],
)
@pytest.mark.usefixtures("project")
def test_a_file_without_one_readable_content_is_refused(agent: Agent, content: dict[str, str]) -> None:
    assert "base64" in agent.refused("dataset_data_upload", **BOT, dataset="docs", filename="a.txt", **content)


@pytest.mark.usefixtures("project")
def test_processing_is_started_and_polled(agent: Agent) -> None:
    agent.ok("dataset_data_upload", **BOT, dataset="docs", filename="a.txt", text="alpha")
    started = agent.ok("dataset_actions", **BOT, dataset="docs", action_type="process")
    assert agent.ok("task_get", **BOT, task_id=started["task_id"])["state"] == "SUCCESS"
    assert started["task_uri"].startswith("http://127.0.0.1:8000/v1/projects/org/bot/tasks/")


def test_errors_of_the_api_are_tool_errors_with_their_text(agent: Agent) -> None:
    assert agent.refused("project_get", namespace="org", project="nope") == "404: Project org/nope not found"
    assert "422: body.name: " in agent.refused("project_create", namespace="org", name=7)
    assert "accepted are" in agent.refused("project_create", namespace="org", name="no slash/allowed")


@pytest.mark.usefixtures("project")
def test_a_failing_upstream_is_a_tool_error(agent: Agent, engine: Engine) -> None:
    engine.assembly.failure = UpstreamError("Chroma does not answer")  # type: ignore[attr-defined]
    assert agent.refused("rag_query", **BOT, query="anything") == "503: Chroma does not answer"


def test_wrong_names_are_refused_with_the_right_ones(agent: Agent) -> None:
    assert "rag_query" in agent.refused("rag_qeury", **BOT, query="x")
    assert "top_k" in agent.refused("rag_query", **BOT, query="x", limit=3)
    assert agent.refused("rag_query", namespace="org", query="x") == "rag_query needs project"


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../../org/bot", "docs/data/ab", "x\0y", "x\r\ny"])
@pytest.mark.usefixtures("project")
def test_a_name_cannot_lead_to_another_operation(agent: Agent, engine: Engine, name: str) -> None:
    before = (engine.settings.projects_dir / "org/bot/llamafarm.yaml").read_bytes()
    assert "is not a name" in agent.refused("dataset_delete", **BOT, dataset=name)
    assert "is not a name" in agent.refused("project_delete", namespace="org", project=name)
    assert (engine.settings.projects_dir / "org/bot/llamafarm.yaml").read_bytes() == before


def test_encoded_dots_stay_a_name(agent: Agent) -> None:
    assert agent.refused("project_get", namespace="org", project="%2e%2e").startswith(("404", "422", "400"))


@pytest.mark.usefixtures("project")
def test_long_answers_are_cut_and_say_so(agent: Agent, engine: Engine) -> None:
    fill(engine, *(f"{number} " + "long " * 1_000 for number in range(60)))
    result = agent.call("rag_query", **BOT, query="long", top_k=60)
    assert "too long" in text_of(result)
    assert len(json.dumps(result.structured_content)) <= results.MAX_RESULT_CHARS * 1.1
    assert result.structured_content["total_results"] == 60


def test_an_answer_beyond_all_bounds_is_refused(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "MAX_ANSWER_BYTES", 10)
    assert "larger than" in agent.refused("projects_list", namespace="org")


def test_both_slash_forms_answer(client: TestClient) -> None:
    assert Agent(client, path="/mcp/").ok("projects_list", namespace="org") == {"total": 0, "projects": []}


def test_no_session_is_kept_so_any_process_can_answer(client: TestClient) -> None:
    response = client.post("/mcp", json=INITIALIZE, headers=ACCEPT)
    assert response.status_code == 200
    assert "mcp-session-id" not in response.headers
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    assert "rag_query" in client.post("/mcp", json=listing, headers=ACCEPT).text


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_only_post_is_served(client: TestClient, method: str) -> None:
    response = client.request(method, "/mcp", headers=ACCEPT)
    assert_error(response, 405, "this is an MCP endpoint")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b'{"jsonrpc": "2.0"}', b'{"jsonrpc":"2.0","id":1,"method":"no/such"}', b""]
)
@pytest.mark.parametrize("version", [None, "2025-06-18", "2026-07-28", "1999-01-01", "x" * 500])
def test_malformed_messages_are_refused_not_crashed(client: TestClient, body: bytes, version: str | None) -> None:
    headers = {**ACCEPT, "Content-Type": "application/json"} | ({"MCP-Protocol-Version": version} if version else {})
    response = client.post("/mcp", content=body, headers=headers)
    assert response.status_code < 500, response.text
    assert response.status_code >= 400 or "error" in response.text


def test_tools_need_the_api_key_and_pass_it_on(make_client: MakeClient) -> None:
    client = make_client(api_key="secret-key")
    assert_error(client.post("/mcp", json=INITIALIZE, headers=ACCEPT), 401)
    agent = Agent(client, headers={"Authorization": "Bearer secret-key"})
    assert agent.ok("projects_list", namespace="org") == {"total": 0, "projects": []}


def test_a_foreign_host_name_reaches_no_tool(client: TestClient) -> None:
    """A page whose own name resolves to this machine could else call tools in its visitor's place."""
    assert_error(client.post("/mcp", json=INITIALIZE, headers={**ACCEPT, "Host": "evil.example"}), 421)


def test_browsers_may_ask_before_they_post(client: TestClient) -> None:
    asking = {"Origin": "http://ui", "Access-Control-Request-Method": "POST"}
    response = client.options("/mcp", headers={**asking, "Access-Control-Request-Headers": "mcp-protocol-version"})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.usefixtures("project")
def test_several_files_are_uploaded_in_one_call(agent: Agent) -> None:
    files = [{"filename": "a.txt", "text": "alpha"}, {"filename": "b.bin", "content_base64": "AAEC"}]
    counted = agent.ok("dataset_data_bulk_upload", **BOT, dataset="docs", files=files)
    assert (counted["uploaded"], counted["skipped"], counted["failed"]) == (2, 0, 0)
    assert agent.ok("dataset_list", **BOT)["datasets"][0]["details"]["total_files"] == 2


def test_no_argument_makes_a_tool_crash(client: TestClient, project: str) -> None:
    agent = Agent(client)
    assert project
    for name, tool in agent.tools().items():
        odd = {key: {"odd": [7]} for key in tool.input_schema["properties"]}
        known = {key: value for key, value in BOT.items() if key in odd}
        assert not text_of(agent.call(name, **{**odd, **known})).startswith("500"), name
