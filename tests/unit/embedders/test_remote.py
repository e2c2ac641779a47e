from collections.abc import Iterator

import pytest

from rag.embedders import embedders, universal
from rag.errors import InvalidInputError, UpstreamError
from tests.unit.embedders.embedding_server import EmbeddingServer, running_server


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with running_server() as server:
        yield server


@pytest.mark.parametrize("suffix", ["", "/", "/v1"])
def test_ollama_is_reached_with_and_without_v1(suffix: str, server: EmbeddingServer) -> None:
    embedder = embedders.build("OllamaEmbedder", {"api_base": server.url + suffix})
    embedder.embed_documents(["one", "two"])
    assert server.paths == ["/api/embed"]
    embedder.close()


def test_ollama_refuses_to_cut_documents_and_cuts_queries(server: EmbeddingServer) -> None:
    embedder = embedders.build("OllamaEmbedder", {"base_url": server.url})
    embedder.embed_documents(["one"])
    embedder.embed_query("one")
    assert [body["truncate"] for body in server.bodies] == [False, True]
    embedder.close()


def test_texts_are_sent_in_batches(server: EmbeddingServer) -> None:
    embedder = embedders.build("OllamaEmbedder", {"base_url": server.url, "batch_size": 2})
    embedder.embed_documents(["one", "two", "three"])
    assert [body["input"] for body in server.bodies] == [["one", "two"], ["three"]]
    embedder.close()


def test_missing_ollama_model_is_pulled(server: EmbeddingServer) -> None:
    server.models.clear()
    embedder = embedders.build("OllamaEmbedder", {"base_url": server.url})
    assert embedder.embed_query("one").shape == (64,)
    assert server.paths == ["/api/embed", "/api/pull", "/api/embed"]
    embedder.close()


def test_missing_ollama_model_is_named_when_it_may_not_be_pulled(server: EmbeddingServer) -> None:
    server.models.clear()
    embedder = embedders.build("OllamaEmbedder", {"base_url": server.url, "auto_pull": False})
    with pytest.raises(InvalidInputError, match="ollama pull nomic-embed-text"):
        embedder.embed_query("one")
    embedder.close()


@pytest.mark.parametrize("name", ["OllamaEmbedder", "OpenAIEmbedder"])
def test_repeated_failures_open_the_circuit(name: str, server: EmbeddingServer) -> None:
    server.status = 500
    options = {"base_url": server.url, "max_retries": 0, "circuit_breaker": {"failure_threshold": 2}}
    embedder = embedders.build(name, options)
    for _ in range(2):
        with pytest.raises(UpstreamError, match="status 500"):
            embedder.embed_query("one")
    with pytest.raises(UpstreamError, match="failed repeatedly"):
        embedder.embed_query("one")
    assert len(server.paths) == 2
    assert embedder.breaker.state == "open"  # type: ignore[attr-defined]
    embedder.close()


def test_server_that_is_not_there_is_an_upstream_error() -> None:
    embedder = embedders.build("OllamaEmbedder", {"base_url": "http://127.0.0.1:9", "max_retries": 0})
    with pytest.raises(UpstreamError, match="is it running"):
        embedder.embed_query("one")
    embedder.close()


def test_openai_without_a_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InvalidInputError, match="api_key"):
        embedders.build("OpenAIEmbedder", {})


@pytest.mark.parametrize("name", ["OllamaEmbedder", "OpenAIEmbedder"])
def test_keys_of_the_process_do_not_leave_it(
    name: str, server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OLLAMA_API_KEY", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(variable, "process-secret")
    embedder = embedders.build(name, {"base_url": f"{server.url}/v1"})
    embedder.embed_query("one")
    assert "process-secret" not in str(server.headers)
    embedder.close()


def test_openai_without_a_key_does_not_take_the_one_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "process-secret")
    with pytest.raises(InvalidInputError, match="api_key"):
        embedders.build("OpenAIEmbedder", {})


def test_key_is_not_shown() -> None:
    options = embedders.options("OpenAIEmbedder", {"api_key": "sk-secret"})
    assert "sk-secret" not in repr(options)
    assert "sk-secret" not in options.model_dump_json()


def test_configured_dimension_is_expected_of_the_server(server: EmbeddingServer) -> None:
    embedder = embedders.build("OllamaEmbedder", {"base_url": server.url, "dimension": 768})
    with pytest.raises(UpstreamError, match=r"length 64; expected 768"):
        embedder.embed_query("one")
    embedder.close()


def test_universal_asks_the_server_once_a_minute(server: EmbeddingServer) -> None:
    options = {"base_url": server.url, "model": "all-MiniLM-L6-v2"}
    built = [embedders.build("UniversalEmbedder", options) for _ in range(2)]
    assert server.paths == ["/v1/embeddings"]
    assert {embedder.model_id for embedder in built} == {"sentence-transformers/all-MiniLM-L6-v2"}
    assert built[0].token_counter.max_tokens == 254
    for embedder in built:
        embedder.close()


def test_universal_without_server_and_without_weights_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(universal, "_probes", {})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UpstreamError, match=r"127.0.0.1:9/v1.*some/model"):
        embedders.build("UniversalEmbedder", {"base_url": "http://127.0.0.1:9", "model": "some/model"})
