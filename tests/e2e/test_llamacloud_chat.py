"""Retrieval and chat of the LlamaCloud API: a real Chroma, real workers, the real embedding model."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.system import System
from tests.fixtures.fake_ollama import FakeOllama

PROJECT = "7d9d0c1e-3f0a-4f5e-9a51-cf2c0b1f9e01"
QUERY = {"project_id": PROJECT}
FILES = {
    "horses.md": "# Horses\n\nHorses are fed at six in the morning. At noon they get hay and a bucket of oats each.\n",
    "goats.md": "# Goats\n\nGoats are milked at five and brought in at dusk. Their milk costs four crowns a litre.\n",
    "wool.md": "# Wool\n\nAlpaca wool of quality ZX4471Q is sold in Cusco 🐑, for ninety crowns a fleece.\n",
}


@pytest.fixture(scope="module")
def client(system: System) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{system.url}/api/v1", params=QUERY, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def index_id(client: httpx.Client) -> str:
    directory = ok(client.post("/beta/directories", json={"name": "farm"}))["id"]
    for name, text in FILES.items():
        ok(client.post(
            f"/beta/directories/{directory}/files/upload",
            files={"upload_file": (name, text.encode())},
            data={"metadata": json.dumps({"animal": name.removesuffix(".md")})},
        ))  # fmt: skip
    made = str(ok(client.post("/indexes", json={"source_directory_id": directory}))["id"])
    deadline = time.monotonic() + 90
    while ok(client.get(f"/indexes/{made}"))["last_exported_at"] is None:
        assert time.monotonic() < deadline, ok(client.get(f"/indexes/{made}"))
        time.sleep(0.2)
    return made


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def events(client: httpx.Client, session: str, index_id: str, prompt: str) -> list[dict[str, Any]]:
    body = {"index_ids": [index_id], "prompt": prompt}
    with client.stream("POST", f"/chat/{session}/messages/stream", json=body) as answer:
        assert answer.status_code == 200
        return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]


def test_what_is_found_is_what_reading_gives(client: httpx.Client, index_id: str) -> None:
    def ask(**body: Any) -> list[dict[str, Any]]:
        answer = client.post("/retrieval/retrieve", json={"index_id": index_id, **body})
        return list(ok(answer)["results"])

    best = ask(query="When do the ponies eat?", full_text_pipeline_weight=0)[0]
    assert best["static_fields"]["file_name"] == "horses.md"
    (wool,) = ask(query="ZX4471Q", vector_pipeline_weight=0)
    assert wool["metadata"] == {"animal": "wool"}
    place = wool["static_fields"]
    file = {"index_id": index_id, "file_id": place["parsed_directory_file_id"]}
    text = ok(client.post("/retrieval/files/read", json=file))["content"]
    assert text[place["chunk_start_char"] : place["chunk_end_char"]] == wool["content"]
    (match,) = ok(client.post("/retrieval/files/grep", json={**file, "pattern": "for \\w+ crowns"}))["matches"]
    assert text[match["start_char"] : match["end_char"]] == match["content"] == "for ninety crowns"
    goats = {"animal": {"operator": "eq", "value": "goats"}}
    names = {each["static_fields"]["file_name"] for each in ask(query="crowns for a fleece", custom_filters=goats)}
    assert names == {"goats.md"}


def test_a_model_looks_into_the_files_and_the_session_remembers(
    client: httpx.Client, system: System, index_id: str, fake_ollama: FakeOllama
) -> None:
    session = str(ok(client.post("/chat", json={"index_ids": [index_id]}))["session_id"])
    quoted = events(client, session, index_id, "What does the milk of goats cost?")
    assert "four crowns a litre" in next(each["content"] for each in quoted if each["type"] == "text")

    use_model(system, fake_ollama.url)
    fake_ollama.behave(
        script=[
            {"tool_call": {"name": "retrieve", "arguments": {"query": "price of goat milk"}}},
            {"answer": "Four crowns a litre [1]."},
        ]
    )
    told = events(client, session, index_id, "And once more?")
    kinds = [each["type"] for each in told if not each["type"].endswith("_delta")]
    assert kinds == ["user_input", "tool_call", "tool_result", "text", "stop"]
    result = next(each["result"] for each in told if each["type"] == "tool_result")
    assert result["passages"][0]["file_name"] == "goats.md"
    kept = ok(client.get(f"/chat/{session}"))
    assert [each["type"] for each in kept["events"]].count("stop") == 2
    assert kept["job_metadata"]["is_error"] is False


def use_model(system: System, url: str) -> None:
    path = f"{system.url}/v1/projects/llamacloud/{PROJECT}"
    config = httpx.get(path).json()["project"]["config"]
    model = {"name": "local", "provider": "ollama", "model": "qwen3:8b", "base_url": url}
    config["runtime"] = {"models": [model], "default_model": "local"}
    answer = httpx.put(path, json={"config": config})
    assert answer.status_code == 200, answer.text
