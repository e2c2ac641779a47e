"""The page about models, run as it is printed, and what only a running server shows of it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.docs.blocks import ROOT, blocks
from tests.e2e.system import ProjectClient, System, assert_error, wait_for
from tests.e2e.test_readme import PRINTED, run_requests
from tests.fixtures.fake_ollama import FakeOllama

PAGE = ROOT / "docs/models.md"


@pytest.fixture(scope="module")
def library(system: System) -> ProjectClient:
    """The project that the page speaks of."""
    project = system.project("acme", "library")
    project.create_dataset("rules")
    project.upload("rules", "rules.md", b"# Loans\n\nA book may be kept for 28 days.\n")
    assert project.process("rules")["state"] == "SUCCESS"
    return project


def test_the_requests_of_the_page_answer(
    system: System, library: ProjectClient, fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    try:
        printed = run_requests(blocks("requests", PAGE), system, tmp_path)
    finally:
        fake_ollama.behave()  # the page deletes a model that other tests need
    assert '"bundled":true' in printed
    assert '"percent_free":' in printed
    assert '"can_download":false' in printed  # this system has no network
    assert '"event": "error"' in printed
    pulled = printed[printed.index('"event": "init"') :]
    assert re.search(r'"event": "complete".*\n\ndata: \{"event": "done"', pulled)
    assert '"provider":"ollama"' in pulled
    assert '"model_name":"llama3.2:3b"' in pulled


def test_the_client_of_the_page_answers(system: System, library: ProjectClient) -> None:
    (client,) = blocks("client", PAGE)
    program = client.text.replace(PRINTED, system.url)
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    models, *answer, vectors = printed.splitlines()
    assert "'acme/library'" in models
    assert "28 days" in " ".join(answer)
    assert vectors == "2 384"


@pytest.mark.parametrize("is_streamed", [True, False], ids=["stream", "whole"])
def test_leaving_the_root_ends_the_work_of_ollama_within_a_second(
    system: System, library: ProjectClient, fake_ollama: FakeOllama, *, is_streamed: bool
) -> None:
    body = {
        "model": "acme/library/ollama",
        "stream": is_streamed,
        "rag_enabled": False,
        "messages": [{"role": "user", "content": "one two three"}],
    }
    fake_ollama.behave(delay_first_s=30, delay_token_s=30)
    try:
        known = len(fake_ollama.departures())
        with pytest.raises(httpx.TimeoutException), httpx.Client(base_url=system.url, timeout=1.0) as client:
            client.post("/v1/chat/completions", json=body)
        wait_for(lambda: len(fake_ollama.departures()) > known, 1.5, "Ollama was told that nobody listens")
    finally:
        fake_ollama.behave()


def test_leaving_a_pull_ends_it_at_ollama(system: System, fake_ollama: FakeOllama) -> None:
    fake_ollama.behave(delay_token_s=30)
    try:
        known = len(fake_ollama.departures())
        with pytest.raises(httpx.TimeoutException), httpx.Client(base_url=system.url, timeout=1.0) as client:
            client.post("/v1/models/download", json={"provider": "ollama", "model_name": "llama3.2:3b"})
        wait_for(lambda: len(fake_ollama.departures()) > known, 1.5, "Ollama was told that nobody listens")
    finally:
        fake_ollama.behave()


def test_vectors_of_the_server_are_those_of_its_model(system: System) -> None:
    """Two texts that mean the same are nearer to each other than to a third."""
    texts = ["The cat sleeps on the sofa.", "A kitten naps on the couch.", "Interest rates rose in May."]
    body = {"model": "sentence-transformers/all-MiniLM-L6-v2", "input": texts}
    answer = system.client.post("/v1/embeddings", json=body).json()
    first, second, third = (item["embedding"] for item in answer["data"])
    near = sum(a * b for a, b in zip(first, second, strict=True))
    far = sum(a * b for a, b in zip(first, third, strict=True))
    assert near > 0.5 > far
    assert answer["usage"]["total_tokens"] > 10


def test_foreign_names_reach_nothing_of_the_running_server(system: System) -> None:
    response = system.client.get("/v1/projects/acme", headers={"Host": "rebound.example"})
    assert_error(response, 421, "LF_ALLOWED_HOST_NAMES")


def test_health_has_what_the_command_line_needs(system: System) -> None:
    system.wait_healthy()
    body = system.client.get("/health").json()
    components = {each["name"]: each for each in body["components"]}
    for name in ("server", "universal-runtime", "rag-service"):
        assert components[name]["status"] == "healthy"
    assert type(body["timestamp"]) is int
    assert all(type(each["latency_ms"]) is int for each in body["components"])
    assert type(components["server"]["details"]["pid"]) is int
    assert '"uptime"' not in json.dumps(body)
