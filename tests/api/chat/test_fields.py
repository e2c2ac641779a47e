"""What a request may say beside its messages: honoured, or refused with a sentence."""

import json
from collections.abc import Callable
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from tests.api.helpers import assert_error, assert_ok
from tests.api.test_chat import BASE, CHAT, ask, content_of, events, prompt_of
from tests.fixtures.fake_ollama import FakeOllama

PNG = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": PNG}}


class Bird(BaseModel):
    name: str
    legs: Literal[2]


class TestVariables:
    @pytest.fixture(autouse=True)
    def _project(self, client: TestClient, write_project: Callable[..., None], ollama: FakeOllama) -> None:
        tool = {
            "type": "function",
            "name": "look_up",
            "description": "Looks into {{source | the shelf}}.",
            "parameters": {"type": "object", "properties": {"kind": {"type": "string", "enum": ["{{ kind }}"]}}},
        }
        model = {"name": "m", "provider": "ollama", "model": "x", "base_url": ollama.url, "tools": [tool]}
        messages = [
            {"role": "system", "content": "You help {{name}}, a {{ job | guest }}."},
            {"role": "user", "content": "I am {{name}}."},
        ]
        prompts = [{"name": "house", "messages": messages}]
        write_project(runtime={"models": [model]}, prompts=prompts, rag=None, datasets=[])

    def test_they_fill_in_prompts_and_configured_tools(self, client: TestClient, ollama: FakeOllama) -> None:
        assert_ok(client.post(CHAT, json=ask("Hi {{name}}", variables={"name": "Ada", "kind": "heron", "job": None})))
        function = ollama.requests()[-1]["body"]["tools"][0]["function"]

        assert [message["content"] for message in prompt_of(ollama)] == [
            "You help Ada, a guest.",
            "I am Ada.",
            "Hi {{name}}",
        ]
        assert function["description"] == "Looks into the shelf."
        assert function["parameters"]["properties"]["kind"]["enum"] == ["heron"]

    @pytest.mark.parametrize(
        ("variables", "description"), [({"name": "Ada", "kind": 1}, "For Ada."), (None, "For {{name}}.")]
    )
    def test_they_fill_in_the_requests_tools_when_it_has_variables(
        self,
        client: TestClient,
        write_project: Callable[..., None],
        ollama: FakeOllama,
        variables: dict[str, Any] | None,
        description: str,
    ) -> None:
        write_project()
        tool = {"type": "function", "function": {"name": "f", "description": "For {{name}}."}}
        assert_ok(client.post(CHAT, json=ask(tools=[tool], variables=variables)))
        assert ollama.requests()[-1]["body"]["tools"][0]["function"]["description"] == description

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("variables", [None, {}, {"kind": "heron"}, {"name": None, "kind": "heron"}])
    def test_one_that_is_missing_is_a_400(
        self, client: TestClient, variables: dict[str, Any] | None, stream: bool
    ) -> None:
        response = client.post(CHAT, json=ask(variables=variables, stream=stream))
        assert_error(response, 400, "Template resolution failed: the variable 'name' is missing")

    @pytest.mark.parametrize("value", [[1], {"a": 1}])
    def test_only_simple_values_are_taken(self, client: TestClient, value: Any) -> None:
        assert_error(client.post(CHAT, json=ask(variables={"name": value})), 422, "variables")


class TestFormat:
    SCHEMA: dict[str, Any] = Bird.model_json_schema()

    @pytest.mark.parametrize(
        ("wanted", "sent"),
        [
            ({"type": "json_object"}, "json"),
            ({"type": "json_schema", "json_schema": {"name": "Bird", "schema": SCHEMA}}, SCHEMA),
            ({"type": "text"}, None),
        ],
        ids=["object", "schema", "text"],
    )
    def test_ollama_gets_it_as_its_format(
        self, client: TestClient, ollama: FakeOllama, wanted: dict[str, Any], sent: Any
    ) -> None:
        assert_ok(client.post(CHAT, json=ask(response_format=wanted)))
        assert ollama.requests()[-1]["body"].get("format") == sent

    def test_other_servers_get_it_as_it_is(self, client: TestClient, ollama: FakeOllama) -> None:
        wanted = {"type": "json_schema", "json_schema": {"name": "Bird", "strict": True, "schema": self.SCHEMA}}
        assert_ok(client.post(CHAT, json=ask(model="remote", response_format=wanted)))
        assert ollama.requests()[-1]["body"]["response_format"] == wanted

    @pytest.mark.parametrize("model", ["local", "remote"])
    @pytest.mark.parametrize(
        "wanted",
        [{"type": "xml"}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": {"schema": []}}],
        ids=["xml", "no-schema", "list"],
    )
    def test_another_form_is_refused_before_anything_is_asked(
        self, client: TestClient, ollama: FakeOllama, model: str, wanted: dict[str, Any]
    ) -> None:
        asked_before = len(ollama.requests())
        assert_error(client.post(CHAT, json=ask(model=model, response_format=wanted)), 400, "response_format must be")
        assert len(ollama.requests()) == asked_before

    def test_the_extractive_model_refuses_it_by_name(self, client: TestClient) -> None:
        response = client.post(CHAT, json=ask(model="quote", response_format={"type": "json_object"}))
        assert_error(response, 400, "response_format: model 'quote' (extractive)")

    @pytest.mark.parametrize("model", ["local", "remote"])
    def test_openais_client_parses_the_answer(self, live_url: str, ollama: FakeOllama, model: str) -> None:
        ollama.behave(answer=json.dumps({"name": "heron", "legs": 2}))
        question: Any = [{"role": "user", "content": "Which bird?"}]
        with openai.OpenAI(base_url=live_url + BASE, api_key="none", max_retries=0) as sdk:
            parsed = sdk.chat.completions.parse(model=model, messages=question, response_format=Bird)
            with sdk.chat.completions.stream(model=model, messages=question, response_format=Bird) as stream:
                streamed = stream.get_final_completion()

        assert parsed.choices[0].message.parsed == streamed.choices[0].message.parsed == Bird(name="heron", legs=2)


class TestThinking:
    @pytest.mark.parametrize(
        ("values", "limit"),
        [
            ({}, 1024 + 512),
            ({"thinking_budget": 512, "max_tokens": 200}, 712),
            ({"max_completion_tokens": 200}, 1224),
            ({"thinking_budget": 0}, 512),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("model", ["local", "remote"])
    def test_what_may_be_generated_is_the_budget_and_the_answer(
        self, client: TestClient, ollama: FakeOllama, model: str, values: dict[str, Any], limit: int
    ) -> None:
        assert_ok(client.post(CHAT, json=ask(model=model, think=True, **values)))
        body = ollama.requests()[-1]["body"]

        assert (body["options"]["num_predict"] if model == "local" else body["max_tokens"]) == limit
        assert body["think"] is True

    def test_a_budget_without_thinking_limits_nothing(self, client: TestClient, ollama: FakeOllama) -> None:
        assert_ok(client.post(CHAT, json=ask(thinking_budget=5)))
        assert "num_predict" not in ollama.requests()[-1]["body"]["options"]

    @pytest.mark.parametrize("model", ["local", "remote"])
    def test_it_is_streamed_in_tags_before_the_answer(self, client: TestClient, ollama: FakeOllama, model: str) -> None:
        ollama.behave(think="hm, hm")
        found = events(client.post(CHAT, json=ask(model=model, stream=True, think=True)).text)

        assert content_of(found) == "<think>hm, hm</think>one two"
        assert all("reasoning" not in event["choices"][0]["delta"] for event in found)


class TestParts:
    def test_texts_are_joined_and_images_go_beside_them(self, client: TestClient, ollama: FakeOllama) -> None:
        parts = [{"type": "text", "text": "one"}, IMAGE, {"type": "text", "text": "two"}]
        assert_ok(client.post(CHAT, json={"messages": [{"role": "user", "content": parts}]}))
        message = prompt_of(ollama)[-1]

        assert message["content"] == "one\ntwo"
        assert message["images"] == ["iVBORw0KGgo="]

    @pytest.mark.parametrize(
        ("model", "part", "words"),
        [
            ("local", {"type": "input_audio", "input_audio": {}}, "'local' (ollama) cannot take"),
            ("quote", IMAGE, "'quote' (extractive) cannot take a content part of type 'image_url'"),
            ("local", {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}, "data URL"),
        ],
        ids=["audio", "image", "address"],
    )
    def test_what_a_model_cannot_take_is_refused(
        self, client: TestClient, model: str, part: dict[str, Any], words: str
    ) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]}
        assert_error(client.post(CHAT, json=body), 400, words)


class TestUsage:
    @pytest.mark.parametrize("model", ["local", "remote", "quote"])
    def test_it_is_always_there(self, client: TestClient, model: str) -> None:
        usage = assert_ok(client.post(CHAT, json=ask("heron", model=model)))["usage"]
        assert min(usage.values()) > 0

    @pytest.mark.parametrize("model", ["local", "remote"])
    def test_openais_client_gets_it_last_when_it_asks(self, live_url: str, model: str) -> None:
        question: Any = [{"role": "user", "content": "one two"}]
        options: Any = {"include_usage": True}
        with openai.OpenAI(base_url=live_url + BASE, api_key="none", max_retries=0) as sdk:
            chunks = list(
                sdk.chat.completions.create(model=model, messages=question, stream=True, stream_options=options)
            )
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert all(chunk.usage is None for chunk in chunks[:-1])


class TestQueries:
    def test_several_are_merged_without_copies_and_cut(self, client: TestClient) -> None:
        queries = ["heron alder weir", "mill rebuilt flood", "", "heron alder weir"]
        values = {"rag_queries": queries, "include_sources": True}
        all_of_them = assert_ok(client.post(CHAT, json=ask("?", **values)))["sources"]
        best = assert_ok(client.post(CHAT, json=ask("?", rag_top_k=1, **values)))["sources"]

        assert sorted(source["content"][:8] for source in all_of_them) == ["The hero", "The mill"]
        assert [source["score"] for source in all_of_them] == sorted(
            (source["score"] for source in all_of_them), reverse=True
        )
        assert len(best) == 1

    def test_only_blank_ones_fall_back_to_the_question(self, client: TestClient) -> None:
        values = {"rag_queries": ["", "  "], "include_sources": True, "rag_top_k": 1}
        found = assert_ok(client.post(CHAT, json=ask("mill rebuilt flood", **values)))["sources"]
        assert found[0]["content"].startswith("The mill")

    def test_without_a_question_nothing_is_searched(self, client: TestClient) -> None:
        body = {"messages": [{"role": "assistant", "content": "Hello."}], "include_sources": True}
        assert "sources" not in assert_ok(client.post(CHAT, json=body))
