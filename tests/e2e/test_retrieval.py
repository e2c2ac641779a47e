"""The page on retrieval, and stages that ask models: a real Chroma, real workers, the real embedding model."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.e2e.system import ProjectClient, System
from tests.e2e.test_readme import run_requests
from tests.fixtures.fake_ollama import FakeOllama
from tests.fixtures.tiny_cross_encoder import make_cross_encoder

PAGE = ROOT / "docs/retrieval.md"
RULES = (
    b"# Horses\n\nHorses are fed at six in the morning. At noon they get hay and a bucket of oats each.\n\n"
    b"# Goats\n\nGoats are milked at five and brought in at dusk. Their milk costs four crowns a litre.\n\n"
    b"# Wool\n\nAlpaca wool is sold at the market in Cusco, for ninety crowns a fleece.\n"
)


@pytest.fixture(scope="module")
def farm(system: System, fake_ollama: FakeOllama) -> ProjectClient:
    project = system.project("acme", "farm")
    config = project.client.get(project.path).json()["project"]["config"]
    model = {"name": "local", "provider": "ollama", "model": "llama3.2:3b", "base_url": fake_ollama.url}
    config["runtime"] = {"models": [model], "default_model": "local"}
    config["rag"]["databases"][0]["retrieval_strategies"] = [
        {"name": "plain", "type": "HybridRetriever", "default": True},
        {"name": "talk", "type": "HybridRetriever", "config": {"query_transform": "conversational", "top_k": 1}},
    ]
    response = project.client.put(project.path, json={"config": config})
    assert response.status_code == 200, response.text
    project.create_dataset("rules")
    project.upload("rules", "rules.md", RULES)
    assert project.process("rules")["state"] == "SUCCESS"
    return project


def ask(project: ProjectClient, query: str, **fields: Any) -> dict[str, Any]:
    response = project.client.post(f"{project.path}/rag/query", json={"query": query, **fields})
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_the_requests_of_the_page_answer(
    system: System, farm: ProjectClient, fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    fake_ollama.behave(answer=json.dumps({"question": "When are the horses fed at noon?"}))
    printed = run_requests(blocks("requests", PAGE), system, tmp_path)
    for stage in ("multi_query", "vectors", "words", "merge", "collapse", "rerank", "expand"):
        assert f'"stage":"{stage}"' in printed
    assert "late_interaction' was skipped" not in printed
    assert "conversational: asked 'When are the horses fed at noon?'" in printed


def test_chat_searches_for_what_the_conversation_is_about(farm: ProjectClient, fake_ollama: FakeOllama) -> None:
    rewritten = json.dumps({"question": "what does alpaca wool cost at the market in Cusco?"})
    fake_ollama.behave(script=[{"answer": rewritten}, {"answer": "Ninety crowns [1]."}])
    messages = [
        {"role": "user", "content": "Where is alpaca wool sold?"},
        {"role": "assistant", "content": "At the market in Cusco."},
        {"role": "user", "content": "and how much is it?"},
    ]
    body = {"messages": messages, "rag_retrieval_strategy": "talk", "include_sources": True}
    answer = farm.client.post(f"{farm.path}/chat/completions", json=body).json()
    assert "Alpaca wool" in answer["sources"][0]["content"]
    asked = fake_ollama.requests("/api/chat")[-2]["body"]
    assert json.loads(asked["messages"][1]["content"])["conversation"][0]["text"] == "Where is alpaca wool sold?"
    assert asked["format"]["required"] == ["question"]


def test_a_chat_model_grades_what_was_found(farm: ProjectClient, fake_ollama: FakeOllama) -> None:
    fake_ollama.behave(answer=json.dumps({str(number): 10 - number for number in range(1, 21)}))
    found = ask(farm, "milk", reranker="llm", explain=True)
    assert found["notes"] == []
    assert next(stage for stage in found["stages"] if stage["stage"] == "rerank")["candidates_in"] > 0
    assert found["results"][0]["scores"]["relevance"] == 1.0
    fake_ollama.behave(hang=True)
    slow = ask(farm, "milk", reranker={"type": "llm", "timeout_s": 0.3})
    assert slow["results"][0]["content"] == ask(farm, "milk")["results"][0]["content"]
    assert "reranker 'llm' was skipped" in slow["notes"][0]
    fake_ollama.behave()


def test_a_cross_encoder_is_read_from_a_folder(farm: ProjectClient, tmp_path: Path) -> None:
    reranker = {"type": "cross_encoder", "model": str(make_cross_encoder(tmp_path)), "timeout_s": 60}
    body = {"query": "where is wool sold?", "reranker": reranker}
    refused = farm.client.post(f"{farm.path}/rag/query", json=body)
    assert refused.status_code == 422
    assert "which no retrieval strategy of the project names" in refused.json()["detail"]
    config = farm.client.get(farm.path).json()["project"]["config"]
    strategies = config["rag"]["databases"][0]["retrieval_strategies"]
    strategies.append({"name": "read", "type": "HybridRetriever", "config": {"reranker": reranker}})
    assert farm.client.put(farm.path, json={"config": config}).status_code == 200
    found = ask(farm, "where is wool sold?", reranker=reranker)
    assert found["notes"] == []
    assert {hit["content"] for hit in found["results"]} == {hit["content"] for hit in ask(farm, "wool?")["results"]}
