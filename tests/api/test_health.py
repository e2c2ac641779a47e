import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from rag.errors import UpstreamError
from server.parts import Engine
from state.workers import WorkerInfo
from tests.api.helpers import assert_ok

ALL_QUEUES = ("parse", "embed", "default")


def worker(*queues: str) -> WorkerInfo:
    return WorkerInfo(name="w1", queues=queues, host="h", pid=7, seen_s_ago=1.0)


def health_of(client: TestClient) -> tuple[dict[str, Any], dict[str, Any]]:
    body = assert_ok(client.get("/health"))
    return body, {each["name"]: each for each in body["components"]}


def test_health_has_what_its_clients_decode(client: TestClient) -> None:
    body, components = health_of(client)
    assert {"server", "storage", "universal-runtime", "rag-service", "redis", "chroma", "ollama"} <= set(components)
    assert components["server"]["status"] == "healthy"
    assert isinstance(components["server"]["details"]["pid"], int)
    assert type(body["timestamp"]) is int
    assert all(type(each["latency_ms"]) is int for each in body["components"])
    assert '"uptime"' not in json.dumps(body)
    assert "server=healthy" in body["summary"]
    assert set(body["services"]) == {"api", "celery", "redis"}
    assert isinstance(body["seeds"], list)


def test_no_worker_is_told_with_its_remedy(client: TestClient) -> None:
    body, components = health_of(client)
    assert components["rag-service"]["status"] == "unhealthy"
    assert "lf server start" in components["rag-service"]["message"]
    assert body["services"]["celery"] == "unhealthy"
    assert body["status"] == "degraded"


@pytest.mark.parametrize("missing", ALL_QUEUES)
def test_queue_without_a_worker_is_told(client: TestClient, engine: Engine, missing: str) -> None:
    engine.dispatcher.workers_alive = [worker(each) for each in ALL_QUEUES if each != missing]  # type: ignore[misc]
    _, components = health_of(client)
    assert components["rag-service"]["status"] == "unhealthy"
    assert missing in components["rag-service"]["message"]


def test_workers_for_every_queue_are_healthy(client: TestClient, engine: Engine) -> None:
    engine.dispatcher.workers_alive = [worker(*ALL_QUEUES)]  # type: ignore[misc]
    body, components = health_of(client)
    assert components["rag-service"]["status"] == "healthy"
    assert body["services"]["celery"] == "healthy"


def test_broker_that_is_down_is_told(client: TestClient, engine: Engine) -> None:
    engine.dispatcher.broker_failure = UpstreamError("the broker does not answer")  # type: ignore[attr-defined]
    body, components = health_of(client)
    assert components["redis"]["status"] == "unhealthy"
    assert body["services"]["redis"] == "unhealthy"
    assert body["status"] == "degraded"


def test_liveness_root_and_info(client: TestClient, engine: Engine) -> None:
    assert assert_ok(client.get("/health/liveness")) == {"status": "alive"}
    assert assert_ok(client.get("/")) == {"message": "Hello, World!"}
    info = assert_ok(client.get("/info"))
    assert info["data_directory"] == str(engine.settings.data_dir)
    assert info["version"]


@pytest.mark.parametrize("answer", [[1], "text", {"models": {"a": 1}}], ids=str)
def test_something_else_on_the_port_of_ollama_is_told(client: TestClient, answer: object) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=answer)

    services = client.app.state.services  # type: ignore[attr-defined]
    services.health._client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    _, components = health_of(client)
    assert components["ollama"]["status"] == "unhealthy"
    assert "is not Ollama" in components["ollama"]["message"]


def test_everything_but_the_optional_parts_decides_the_status(client: TestClient, engine: Engine) -> None:
    """The command line takes a server that is not healthy for one that is down."""
    services = client.app.state.services  # type: ignore[attr-defined]
    services.health._client = httpx.AsyncClient(transport=httpx.MockTransport(_without_ollama))
    services.health._settings = services.health._settings.model_copy(update={"chroma_url": "http://chroma"})
    engine.dispatcher.workers_alive = [worker(*ALL_QUEUES)]  # type: ignore[misc]
    engine.assembly.circuits = ["embedding server at http://x"]  # type: ignore[attr-defined]
    body, components = health_of(client)
    assert components["ollama"]["status"] == "unhealthy"
    assert components["embedding-servers"]["status"] == "degraded"
    assert body["status"] == "healthy"
    for name in ("server", "universal-runtime", "rag-service"):
        assert components[name]["status"] == "healthy"


def _without_ollama(request: httpx.Request) -> httpx.Response:
    if "/api/tags" in request.url.path:
        raise httpx.ConnectError("refused", request=request)
    return httpx.Response(200, json={})


def test_server_that_was_given_up_is_named(client: TestClient, engine: Engine) -> None:
    engine.assembly.circuits = ["embedding server at http://x"]  # type: ignore[attr-defined]
    _, components = health_of(client)
    assert "embedding server at http://x" in components["embedding-servers"]["message"]
    assert components["embedding-servers"]["details"]["open_circuits"] == ["embedding server at http://x"]


def test_disk_that_is_nearly_full_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(total=10**12, used=10**12 - 10**8, free=10**8)
    monkeypatch.setattr("server.services.health.shutil.disk_usage", lambda _: usage)
    body, components = health_of(client)
    assert components["storage"]["status"] == "degraded"
    assert "100 MB are free" in components["storage"]["message"]
    assert body["status"] == "degraded"


@pytest.mark.parametrize(("state", "words"), [("loading", "being loaded"), ("failed", "no weights")])
def test_embedding_model_that_is_not_there_is_told(client: TestClient, engine: Engine, state: str, words: str) -> None:
    engine.warm_up.state, engine.warm_up.message = state, "no weights"  # type: ignore[assignment]
    _, components = health_of(client)
    assert components["universal-runtime"]["status"] == "unhealthy"
    assert words in components["universal-runtime"]["message"]


def test_designer_that_is_not_configured_is_no_fault(client: TestClient) -> None:
    _, components = health_of(client)
    assert components["designer"]["status"] == "healthy"
    assert components["designer"]["details"] == {"is_served": False}


@pytest.mark.parametrize("path", ["/health", "/health/liveness"])
def test_monitors_may_ask_for_the_head_only(client: TestClient, path: str) -> None:
    assert client.head(path).status_code == 200
