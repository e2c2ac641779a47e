import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from huggingface_hub import constants
from starlette.testclient import TestClient

from rag.embedders.hash import HashEmbedder
from rag.errors import UpstreamError
from server.parts import Engine
from tests.api.conftest import MakeClient
from tests.api.helpers import assert_error, assert_ok
from tests.fixtures.fake_hub import put_into_cache

MODEL = "org/bot"
USER = [{"role": "user", "content": "How long is the parental leave?"}]
EMBEDDER = HashEmbedder(HashEmbedder.Options())


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def sdk(client: TestClient, project: str) -> openai.OpenAI:
    """OpenAI's own client, whose requests go through the test client."""
    return openai.OpenAI(base_url="http://testserver/v1", api_key="any", http_client=client, max_retries=0)


@pytest.fixture(autouse=True)
def _filled(project: str, engine: Engine) -> None:
    config = engine.projects.load("org", "bot")
    engine.assembly.fill("org", "bot", config.database(), ["Parental leave lasts 90 days."])  # type: ignore[attr-defined]


def chat(client: TestClient, model: str | None, **more: Any) -> Any:
    return client.post("/v1/chat/completions", json={"model": model, "messages": USER, **more})


# -- chat ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["org/bot", "org/bot/default", "org/bot/extractive"])
def test_a_project_answers_under_its_name(client: TestClient, model: str) -> None:
    response = chat(client, model, include_sources=True)
    answer = assert_ok(response)
    assert "90 days" in answer["choices"][0]["message"]["content"]
    assert answer["sources"][0]["source"] == "letter.pdf"
    assert response.headers["x-session-id"]


def test_the_answer_at_the_root_is_that_of_the_project_route(client: TestClient, project: str) -> None:
    body = {"messages": USER}
    headers = {"X-No-Session": "1"}
    at_root = assert_ok(client.post("/v1/chat/completions", json={**body, "model": MODEL}, headers=headers))
    of_project = assert_ok(client.post(f"{project}/chat/completions", json=body, headers=headers))
    changing = {"id", "created"}
    assert {key: at_root[key] for key in at_root.keys() - changing} == {
        key: of_project[key] for key in of_project.keys() - changing
    }


def test_session_of_the_root_is_the_session_of_the_project(client: TestClient, project: str) -> None:
    response = client.post(
        "/v1/chat/completions", json={"model": MODEL, "messages": USER}, headers={"X-Session-ID": "mine"}
    )
    assert response.headers["x-session-id"] == "mine"
    history = assert_ok(client.get(f"{project}/chat/sessions/mine/history"))["messages"]
    assert [message["role"] for message in history] == ["user", "assistant"]


def test_stream_ends_with_done(client: TestClient) -> None:
    response = chat(client, MODEL, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    chunks = [json.loads(each) for each in data[:-1]]
    assert "90 days" in "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-4o", "org/bot/default"),
        ("org/missing", "org/bot"),
        ("nobody/bot", "org/bot"),
        ("org/bot/other", "org/bot/default"),
        ("../bot", "org/bot"),
        ("org/..", "org/bot"),
        ("a\u0000/b", "org/bot"),
        ("/", "org/bot"),
    ],
)
def test_unknown_model_is_404_with_what_is_known(client: TestClient, model: str, known: str) -> None:
    assert_error(chat(client, model), 404, known, code="ModelNotFound")


def test_missing_model_is_400_with_the_form(client: TestClient) -> None:
    assert_error(chat(client, None), 400, "'namespace/project'")


def test_broken_project_is_422(client: TestClient, engine: Engine) -> None:
    folder = engine.settings.projects_dir / "org" / "broken"
    folder.mkdir()
    (folder / "llamafarm.yaml").write_text("runtime: 3\n")
    assert_error(chat(client, "org/broken"), 422, code="ProjectConfigError")


# -- models -------------------------------------------------------------------------------------------------


def test_openai_client_lists_what_it_can_name(sdk: openai.OpenAI) -> None:
    models = sdk.models.list().data
    ids = [model.id for model in models]
    assert ids[:2] == ["org/bot", "org/bot/default"]
    assert all(model.object == "model" and model.owned_by and model.created for model in models)


@pytest.mark.parametrize("params", [{}, {"provider": "universal"}])
def test_others_get_the_cached_models_alone(client: TestClient, params: dict[str, str]) -> None:
    headers = {"Authorization": "Bearer x"} if params else {}
    entries = assert_ok(client.get("/v1/models", params=params, headers=headers))["data"]
    assert all("size_bytes" in entry for entry in entries)


def test_openai_client_retrieves_a_model(sdk: openai.OpenAI) -> None:
    assert sdk.models.retrieve("org/bot/default").owned_by == "org"
    with pytest.raises(openai.NotFoundError) as refusal:
        sdk.models.retrieve("org/none")
    assert "Available: org/bot, org/bot/default" in refusal.value.response.json()["message"]


def test_models_of_a_project_are_a_list_for_openai_too(sdk: openai.OpenAI, project: str) -> None:
    of_project = sdk.with_options(base_url=f"http://testserver{project}")
    assert [model.id for model in of_project.models.list().data] == ["default"]


# -- embeddings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["org/bot", "org/bot/main_db", "all-MiniLM-L6-v2"])
def test_openai_client_gets_the_vectors_of_the_embedder(sdk: openai.OpenAI, model: str) -> None:
    """It asks for base64 unless told otherwise."""
    texts = ["first text", "second"]
    answer = sdk.embeddings.create(model=model, input=texts)
    vectors = np.array([item.embedding for item in answer.data], dtype=np.float32)
    np.testing.assert_allclose(vectors, EMBEDDER.embed_documents(texts), atol=1e-6)
    assert [item.index for item in answer.data] == [0, 1]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(EMBEDDER.token_counter.count_batch(texts))


def test_base64_and_float_are_the_same_vector(client: TestClient) -> None:
    body = {"model": MODEL, "input": "text"}
    as_text = assert_ok(client.post("/v1/embeddings", json={**body, "encoding_format": "base64"}))
    as_list = assert_ok(client.post("/v1/embeddings", json={**body, "encoding_format": "float"}))
    packed = np.frombuffer(base64.b64decode(as_text["data"][0]["embedding"]), dtype="<f4")
    np.testing.assert_allclose(packed, as_list["data"][0]["embedding"], atol=1e-7)
    assert as_list["object"] == "list"
    assert as_list["data"][0]["object"] == "embedding"


def test_many_texts_keep_their_order(client: TestClient) -> None:
    texts = [f"text number {number}" for number in range(200)]
    answer = assert_ok(client.post("/v1/embeddings", json={"model": MODEL, "input": texts}))
    vectors = [item["embedding"] for item in answer["data"]]
    np.testing.assert_allclose(vectors, EMBEDDER.embed_documents(texts), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"input": [1, 2, 3]}, 422, "send the text"),
        ({"input": [[1, 2], [3]]}, 422, "send the text"),
        ({"input": []}, 422, "at least 1 item"),
        ({"input": ["x"] * 2049}, 422, "2048"),
        ({"input": ""}, 400, "input[0] is empty"),
        ({"input": ["a", " "]}, 400, "input[1] is empty"),
        ({"input": "word " * 600}, 400, "input[0] has"),
        ({"dimensions": 64}, 400, "have 256"),
        ({"encoding_format": "int8"}, 422, "encoding_format"),
        ({"model": "text-embedding-3-small"}, 404, "sentence-transformers/all-MiniLM-L6-v2"),
        ({"model": "org/none"}, 404, "GET /v1/models"),
        ({"model": "org/bot/none"}, 404, "main_db"),
        ({"model": "/etc"}, 404, "not found"),
        ({"model": "../.."}, 404, "not found"),
        ({"model": "~/model"}, 404, "not found"),
    ],
)
def test_what_cannot_be_embedded_is_refused_with_a_reason(
    client: TestClient, change: dict[str, Any], status: int, words: str
) -> None:
    response = client.post("/v1/embeddings", json={"model": MODEL, "input": "text", **change})
    assert_error(response, status, words)


def test_embedding_model_of_the_cache_may_be_named(client: TestClient, tmp_path: Path) -> None:
    weights = {"model.safetensors": b"w", "config.json": b"{}"}
    put_into_cache(tmp_path / "hub", "org/embedder", {**weights, "modules.json": b"[]"})
    put_into_cache(tmp_path / "hub", "org/writer", weights)
    assert_ok(client.post("/v1/embeddings", json={"model": "org/embedder", "input": "text"}))
    refused = client.post("/v1/embeddings", json={"model": "org/writer", "input": "text"})
    assert_error(refused, 404, "nor an embedding model")


def test_own_dimension_may_be_stated(client: TestClient) -> None:
    assert_ok(client.post("/v1/embeddings", json={"model": MODEL, "input": "text", "dimensions": 256}))


def test_embedder_that_fails_is_503(client: TestClient, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise UpstreamError("the embedding server does not answer")

    monkeypatch.setattr(engine.assembly, "embedder", fail)
    response = client.post("/v1/embeddings", json={"model": MODEL, "input": "text"})
    assert_error(response, 503, "does not answer")


# -- errors -------------------------------------------------------------------------------------------------


def test_openai_client_is_told_what_is_wrong(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.chat.completions.create(model="org/nope", messages=USER)  # type: ignore[arg-type]
    assert "org/nope" in caught.value.message
    assert "org/nope" in str(caught.value)
    assert caught.value.code == "ModelNotFound"
    assert caught.value.type == "invalid_request_error"


def test_openai_client_of_a_project_is_told_what_is_wrong(client: TestClient, project: str) -> None:
    sdk = openai.OpenAI(base_url=f"http://testserver{project}", api_key="any", http_client=client, max_retries=0)
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        sdk.chat.completions.create(model="default", messages=USER, temperature="hot")  # type: ignore[call-overload]
    assert "body.temperature" in caught.value.message
    assert caught.value.code == "ValidationError"


def test_openai_client_without_the_key_is_told_so(make_client: MakeClient) -> None:
    sdk = openai.OpenAI(
        base_url="http://testserver/v1", api_key="wrong", http_client=make_client(api_key="right"), max_retries=0
    )
    with pytest.raises(openai.AuthenticationError, match="not known, or was revoked") as caught:
        sdk.models.list()
    assert caught.value.type == "authentication_error"


def test_other_clients_keep_the_plain_code(client: TestClient, project: str) -> None:
    assert client.get("/v1/projects/org/nope").json()["error"] == "ProjectNotFound"
    assert client.post(f"{project}/chat/completions", json={}).json()["error"] == "ValidationError"
    at_root = client.post("/v1/embeddings", json={}).json()
    assert at_root["error"]["message"] == at_root["message"]
