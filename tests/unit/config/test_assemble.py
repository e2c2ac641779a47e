"""One part per configuration, built once, and never in the way of another."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from config.assemble import Assembly
from config.project import McpServer, ProjectConfig
from config.rag_section import DatabaseConfig
from config.runtime import ModelConfig
from config.settings import Settings
from rag.embedders.hash import HashEmbedder
from rag.errors import (
    BadRequestError,
    ConfigError,
    InvalidInputError,
    NotFoundError,
    UnknownComponentError,
    UpstreamError,
)


def live_check(*_: str) -> Callable[[set[tuple[str, str]]], set[tuple[str, str]]]:
    return lambda pairs: pairs


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    return Assembly(Settings(_env_file=None, data_dir=tmp_path), live_check)


def database(name: str = "main", *, dimension: int = 16, **values: Any) -> DatabaseConfig:
    embedding = {"name": "e", "type": "HashEmbedder", "config": {"dimension": dimension}}
    return DatabaseConfig.model_validate(
        {"name": name, "type": "MemoryStore", "embedding_strategies": [embedding], **values}
    )


def project(*databases: DatabaseConfig) -> ProjectConfig:
    return ProjectConfig.parse(
        {
            "version": "v1",
            "name": "p",
            "namespace": "n",
            "runtime": {"models": [{"name": "m", "provider": "extractive", "model": "x"}]},
            "rag": {"databases": [each.model_dump() for each in databases]},
        }
    )


def test_databases_with_the_same_embedder_share_it_and_have_stores_of_their_own(assembly: Assembly) -> None:
    one, two, other = database("one"), database("two"), database("one", dimension=32)
    assert assembly.embedder(one) is assembly.embedder(two)
    assert assembly.embedder(one) is not assembly.embedder(other)
    assert assembly.raw_store("n", "p", one) is assembly.raw_store("n", "p", one)
    stores = [
        assembly.raw_store("n", "p", one),
        assembly.raw_store("n", "p", two),
        assembly.raw_store("n", "q", one),
        assembly.raw_store("m", "p", one),
    ]
    assert len({id(store) for store in stores}) == 4


def test_a_plan_is_made_once_per_set_of_options(assembly: Assembly) -> None:
    config = project(database())
    first = assembly.processing(config, "universal_rag", database())
    assert assembly.processing(config, "universal_rag", database("other")) is first
    assert assembly.processing(config, "universal_rag", database(dimension=17)) is not first


def test_a_slow_model_keeps_nobody_else_waiting(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    original = HashEmbedder.__init__

    def slow(self: Any, options: Any) -> None:
        if options.dimension == 99:
            begun.set()
            assert go_on.wait(10)
        original(self, options)

    monkeypatch.setattr(HashEmbedder, "__init__", slow)
    with ThreadPoolExecutor(2) as pool:
        loading = pool.submit(assembly.embedder, database(dimension=99))
        assert begun.wait(10)
        assert pool.submit(assembly.embedder, database(dimension=16)).result(5).dimension == 16
        go_on.set()
        assert loading.result(10).dimension == 99


def test_callers_of_one_part_at_once_get_the_same(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    original = HashEmbedder.__init__

    def counted(self: Any, options: Any) -> None:
        built.append(1)
        original(self, options)

    monkeypatch.setattr(HashEmbedder, "__init__", counted)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: assembly.embedder(database()), range(16)))
    assert (len({id(each) for each in found}), len(built)) == (1, 1)


def test_a_part_that_could_not_be_built_is_tried_again(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    original = HashEmbedder.__init__
    failures = [UpstreamError("the model cannot be had")]

    def failing(self: Any, options: Any) -> None:
        if failures:
            raise failures.pop()
        original(self, options)

    monkeypatch.setattr(HashEmbedder, "__init__", failing)
    with pytest.raises(UpstreamError):
        assembly.embedder(database())
    assert assembly.embedder(database()).dimension == 16


def test_without_a_chroma_server_the_message_says_what_to_do(assembly: Assembly) -> None:
    with pytest.raises(UpstreamError, match=r"lf server start.*LF_CHROMA_URL"):
        assembly.raw_store("n", "p", database(type="ChromaStore"))


def test_an_unknown_store_embedder_or_strategy_is_named(assembly: Assembly) -> None:
    with pytest.raises(UnknownComponentError, match="NoStore"):
        assembly.raw_store("n", "p", database(type="NoStore"))
    with pytest.raises(UnknownComponentError, match="NoEmbedder"):
        assembly.embedder(database(embedding_strategies=[{"name": "e", "type": "NoEmbedder"}]))
    with pytest.raises(NotFoundError, match="no such"):
        assembly.retriever(project(database()), database(), "no such")


def test_a_generic_way_to_search_needs_no_strategy_of_its_name(assembly: Assembly) -> None:
    config = project(database())
    assert assembly.retriever(config, database(), "bm25")[0] == "bm25"
    assert assembly.retriever(config, database(), None)[0] == "default"


def test_what_was_stored_can_be_deleted_without_its_embedder(
    assembly: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = assembly.raw_store("n", "p", database())
    assert assembly.store_to_delete_from("n", "p", database()) is opened
    broken = database(embedding_strategies=[{"name": "e", "type": "NoEmbedder"}])
    assert assembly.store_to_delete_from("n", "p", broken).delete("docs/x") == 0


def test_clients_of_models_are_kept(assembly: Assembly) -> None:
    model = ModelConfig.model_validate({"name": "m", "provider": "extractive", "model": "x"})
    assert assembly.llm(model) is assembly.llm(model)


def test_closing_releases_everything_and_can_be_repeated(assembly: Assembly) -> None:
    embedder = assembly.embedder(database())
    asyncio.run(assembly.aclose())
    asyncio.run(assembly.aclose())
    with pytest.raises(UpstreamError, match="closed"):
        embedder.embed_documents(["text"])


def embedding(type_name: str, **config: Any) -> DatabaseConfig:
    return database(embedding_strategies=[{"name": "e", "type": type_name, "config": config}])


@pytest.mark.parametrize("spelling", ["base_url", "api_base"])
def test_the_address_of_ollama_may_be_given_in_both_spellings(assembly: Assembly, spelling: str) -> None:
    assert assembly.embedder(embedding("OllamaEmbedder", **{spelling: "http://127.0.0.1:9"})).token_counter
    with pytest.raises(InvalidInputError, match="never a model server"):
        assembly.embedder(embedding("OllamaEmbedder", **{spelling: "http://169.254.169.254"}))


def test_the_address_of_a_model_is_checked(assembly: Assembly) -> None:
    model = {"name": "m", "provider": "openai", "model": "x", "base_url": "http://169.254.169.254/v1"}
    with pytest.raises(InvalidInputError, match="never a model server"):
        assembly.llm(ModelConfig.model_validate(model))


def test_a_variable_is_not_shown_by_the_message_that_refuses_it(
    assembly: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_SECRET", "s3cr3t")
    for name in ("batch_size", "api_key", "circuit_breaker"):
        with pytest.raises(InvalidInputError, match=name) as caught:
            assembly.embedder(embedding("OpenAIEmbedder", **{name: "${SOME_SECRET}" if name != "api_key" else 3}))
        assert "s3cr3t" not in str(caught.value)


def test_variables_are_not_for_projects_of_a_public_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "s3cr3t")
    public = {"data_dir": tmp_path, "host": "0.0.0.0", "api_key": "k"}
    wanted = embedding("OpenAIEmbedder", api_key="${SOME_SECRET}")
    with pytest.raises(ConfigError, match="LF_ENV_ALLOWED"):
        Assembly(Settings(_env_file=None, **public), live_check).embedder(wanted)
    assert Assembly(Settings(_env_file=None, **public, env_allowed=["SOME_SECRET"]), live_check).embedder(wanted)


def test_the_token_for_downloads_reaches_the_embedder(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, hf_token="hf-1")
    strategy = embedding("SentenceTransformerEmbedder").embedding_strategy_in_use()
    assert Assembly(settings, live_check)._embedder_options(strategy)["hf_token"].get_secret_value() == "hf-1"


def mcp_server(**values: Any) -> McpServer:
    return McpServer.model_validate({"name": "s", "transport": "http", "base_url": "http://127.0.0.1:1/mcp", **values})


def test_an_mcp_server_has_one_client_per_configuration(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETS_TOKEN", "t-1")
    one = mcp_server(headers={"Authorization": "Bearer ${env:TICKETS_TOKEN}"})

    source: Any = assembly.tool_source(one)
    assert assembly.tool_source(one) is source
    assert assembly.tool_source(mcp_server()) is not source
    assert source._remote.headers == {"Authorization": "Bearer t-1"}


def test_a_program_is_started_only_where_the_operator_allows_it(tmp_path: Path) -> None:
    program = mcp_server(transport="stdio", command="x", base_url=None)
    with pytest.raises(BadRequestError, match="the operator can set LF_MCP_STDIO=true"):
        Assembly(Settings(_env_file=None, data_dir=tmp_path), live_check).tool_source(program)

    allowing = Settings(_env_file=None, data_dir=tmp_path, mcp_stdio=True)
    assert Assembly(allowing, live_check).tool_source(program).name == "s"


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("http://169.254.169.254/mcp", InvalidInputError),
        ("file:///etc", InvalidInputError),
        ("http://${NOPE}/mcp", ConfigError),
    ],
)
def test_an_mcp_server_must_not_lead_anywhere_else(assembly: Assembly, address: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        assembly.tool_source(mcp_server(base_url=address))
