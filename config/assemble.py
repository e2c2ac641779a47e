"""A validated project → its live components: the one place that knows both the YAML and the components."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

import orjson

from config.kept import KeptParts
from config.models import ProjectModels
from config.options import choose_options, option_names
from config.processing import ProcessingPlan, fingerprints, plan_processing
from config.project import McpServer, ProjectConfig
from config.providers import provider_defaults
from config.rag_section import DatabaseConfig, DataProcessingStrategy, EmbeddingStrategy
from config.requested import check_requested
from config.retrieval import without_unknown
from config.runtime import ModelConfig
from config.settings import Settings
from config.stages import Needs, around, chosen, named_models, split
from config.urls import check_url
from rag.chunkers.base import TokenCounter
from rag.embedders import counter_for, embedders
from rag.embedders.base import Embedder
from rag.embedders.batching import BatchingEmbedder
from rag.embedders.resilience import open_circuit
from rag.errors import BadRequestError, NotFoundError, UpstreamError
from rag.llms import llms
from rag.llms.base import LLM
from rag.parsers.base import ParseLimits
from rag.registry import Registry
from rag.retrievers import retrievers
from rag.retrievers.base import Retriever
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity, VectorFacts
from rag.stores.live import LiveStore
from rag.tools import tool_sources
from rag.tools.base import ToolSource

LiveCheck = Callable[[set[tuple[str, str]]], set[tuple[str, str]]]

ADDRESS_OPTIONS = ("base_url", "api_base")
"""Every spelling of the option that says where a model server is."""

KEPT = {"plan": 256, "store": 1024, "retriever": 1024, "embedder": 64, "llm": 256, "tools": 64}
"""Parts of each kind that are kept while nobody uses them."""
CLOSED = frozenset({"embedder", "llm", "tools"})
"""Kinds with threads, connections or programs of their own. Stores and retrievers let go of theirs by themselves."""

GENERIC_RETRIEVERS = ("semantic", "vector", "bm25", "keyword", "hybrid", "mmr")
"""Names that a query may use for a way to search when no strategy of the database has that name."""


class Assembly:
    """Builds components once and keeps them: two databases with the same embedder share one model.

    Args:
        live_check: (namespace, project, database name) → the check that hides chunks which are not live.
    """

    def __init__(self, settings: Settings, live_check: Callable[[str, str, str], LiveCheck]) -> None:
        self._settings = settings
        self._live_check = live_check
        self._kept = KeptParts(KEPT, closed=CLOSED)

    def processing(self, config: ProjectConfig, strategy_name: str, database: DatabaseConfig) -> ProcessingPlan:
        """Needs no model in memory, only its tokenizer."""
        return self.plan_of(config.strategy(strategy_name), database)

    def plan_of(self, strategy: DataProcessingStrategy, database: DatabaseConfig) -> ProcessingPlan:
        """The same for a strategy that stands in no configuration: one with options of its own."""
        embedding = database.embedding_strategy_in_use()
        key = ("plan", *fingerprints(strategy, embedding, database.place))
        return self._kept.get(key, lambda: self._plan(strategy, embedding, database.place))

    @property
    def parse_limits(self) -> ParseLimits:
        return ParseLimits(
            max_pages=self._settings.max_pages,
            max_text_chars=self._settings.max_text_chars,
            max_uncompressed_bytes=self._settings.max_uncompressed_bytes,
            max_compression_ratio=self._settings.max_compression_ratio,
            max_archive_entries=self._settings.max_archive_entries,
        )

    def embedder(self, database: DatabaseConfig) -> Embedder:
        """The database's embedder, behind a batcher that joins the texts of all callers in this process."""
        strategy = database.embedding_strategy_in_use()
        values = self._embedder_options(strategy)
        key = ("embedder", strategy.type, _frozen(values))
        return self._kept.get(key, lambda: self._build_embedder(strategy, values))

    def raw_store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        """The store as it is, chunks that are not live included: for those who write."""
        embedder = self.embedder(database)
        identity = StoreIdentity(
            namespace, project, database.name, embedder.model_id, embedder.dimension, database.metric
        )
        return self._store(database, identity)

    def store_to_delete_from(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        """The store without its embedder, which may be away: what was stored can be removed whatever it means.

        One that is open already is taken: there is no other way to what it holds in memory only.
        """
        values = _frozen(choose_options(stores, database.type, database.config).values)
        place = (namespace, project, database.name, database.metric)
        for key, part in reversed(self._kept.of_kind("store")):
            match key:
                case ("store", StoreIdentity() as at, database.type, str() as options):
                    if (at.namespace, at.project, at.database, at.metric) == place and options == values:
                        return cast("Store", part)
        identity = StoreIdentity(namespace, project, database.name, "unknown", 1, database.metric)
        return self._store(database, identity)

    def store_made_with(self, namespace: str, project: str, database: DatabaseConfig, facts: VectorFacts) -> Store:
        """The store for vectors that are there already, without the embedder that made them."""
        identity = StoreIdentity(namespace, project, database.name, facts.model_id, facts.dimension, facts.metric)
        return self._store(database, identity)

    def store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        """The store as queries see it: live chunks only."""
        inner = self.raw_store(namespace, project, database)
        return LiveStore(inner, self._live_check(namespace, project, database.name))

    def retriever(
        self,
        config: ProjectConfig,
        database: DatabaseConfig,
        name: str | None,
        stages: Mapping[str, Any] | None = None,
    ) -> tuple[str, Retriever]:
        """(name of the strategy in use, retriever with its stages).

        Args:
            stages: of a request, in the place of those of the strategy.

        Raises:
            NotFoundError: nothing answers to the name.
            BadRequestError: a stage names a model that the project does not have.
            InvalidInputError: a stage of the request would have weights loaded that it may not choose.
        """
        check_requested(stages or {}, config)
        name, type_name, raw = self._strategy(database, name)
        options, configured = split(raw)
        around_it = {**chosen(configured, self._chosen), **(stages or {})}
        for stage_type, model in named_models(around_it):
            if stage_type == "remote":  # refused here when it cannot rerank; when it is asked it may only be away
                self.models(config).reranker(model, timeout_s=1.0)
            else:
                config.model(model)
        values = without_unknown(type_name, self._chosen(retrievers, type_name, options))
        store = self.store(config.namespace, config.name, database)
        key: tuple[Hashable, ...] = (
            "retriever", store.identity, database.type, _frozen(database.config), type_name, _frozen(values)
        )  # fmt: skip
        needs: dict[str, Any] = {"store": store}
        if getattr(retrievers.load(type_name), "asks_models", False):
            needs["models"] = self.models(config)
            key = (*key, _frozen(config.runtime.model_dump(mode="json")))
        # Kept, because some hold threads, and threads hold connections to the ledger.
        strategy = self._kept.get(
            key, lambda: retrievers.build(type_name, values, embedder=self.embedder(database), **needs)
        )
        own = retrievers.options(type_name, values)
        parts = Needs(self.embedder(database), store, self.models(config), self._stage_defaults)
        return name, around(strategy, own, around_it, parts)

    @property
    def _stage_defaults(self) -> dict[str, Any]:
        """What the process says about models that stages load."""
        found = {"device": self._settings.embed_device, "hf_token": self._settings.hf_token}
        return {key: value for key, value in found.items() if value is not None}

    def models(self, config: ProjectConfig) -> ProjectModels:
        """The models of the project for those who ask them from a thread: strategies that rerank or split."""
        return ProjectModels(config, self._settings, lambda model: self._build_llm(model, self._llm_options(model)))

    def llm(self, model: ModelConfig) -> LLM:
        """A client of the model's server; one per configuration."""
        values = self._llm_options(model)
        return self._kept.get(("llm", model.provider, _frozen(values)), lambda: self._build_llm(model, values))

    def _llm_options(self, model: ModelConfig) -> dict[str, Any]:
        timeouts = {
            "timeout_s": self._settings.llm_timeout_s,
            "connect_timeout_s": self._settings.llm_connect_timeout_s,
        }
        raw = {**model.model_dump(exclude_none=True), **provider_defaults(model, self._settings), **timeouts}
        return self._chosen(llms, model.provider, raw)

    def tool_source(self, server: McpServer) -> ToolSource:
        """A client of an MCP server; one per configuration.

        Raises:
            BadRequestError: the server would have to be started here, and the operator does not allow that.
        """
        if server.transport == "stdio" and not self._settings.starts_mcp_servers:
            raise BadRequestError(
                f"MCP server '{server.name}' is a program to be started here (stdio), which this server does not allow "
                "to projects; the operator can set LF_MCP_STDIO=true"
            )
        given = server.model_dump(include=set(McpServer.model_fields), exclude_none=True)
        values = self._chosen(tool_sources, server.transport, given)
        values["timeout_s"] = self._settings.mcp_timeout_s
        return self._kept.get(("tools", server.transport, _frozen(values)), lambda: self._build_source(server, values))

    def warm_up(self) -> None:
        """Load the model that most projects use; every embedder of the process that names it shares it.

        Raises:
            RagError: it is not on this machine and cannot be had. Nothing else depends on this call.
        """
        if self._settings.warm_model:
            strategy = EmbeddingStrategy(
                name="warm", type="SentenceTransformerEmbedder", config={"model": self._settings.warm_model}
            )
            embedders.build(strategy.type, self._embedder_options(strategy)).embed_query("warm up")

    def open_circuits(self) -> list[str]:
        """Servers that failed repeatedly and are not asked for a while, as this process saw them."""
        inner = [getattr(part, "inner", None) for _, part in self._kept.of_kind("embedder")]
        return sorted({name for each in inner if (name := open_circuit(each)) is not None})

    def forget_project(self, namespace: str, project: str) -> None:
        """Let go of what belongs to a project that was deleted."""

        def is_its(key: tuple[Hashable, ...]) -> bool:
            at = key[1] if len(key) > 1 else None
            return isinstance(at, StoreIdentity) and (at.namespace, at.project) == (namespace, project)

        self._kept.forget(is_its)

    async def aclose(self) -> None:
        """Release clients, models and connections."""
        await self._kept.aclose()

    def _chosen(self, registry: Registry[Any], name: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        return choose_options(registry, name, raw, env_allowed=self._settings.project_variables).values

    def _plan(self, strategy: DataProcessingStrategy, embedding: EmbeddingStrategy, place: str) -> ProcessingPlan:
        variables = self._settings.project_variables
        return plan_processing(strategy, embedding, self._counter(embedding), place=place, env_allowed=variables)

    def _build_embedder(self, strategy: EmbeddingStrategy, values: dict[str, Any]) -> Embedder:
        self._check_addresses(strategy.config, values)
        return BatchingEmbedder(embedders.build(strategy.type, values))

    def _build_llm(self, model: ModelConfig, values: dict[str, Any]) -> LLM:
        self._check_addresses({"base_url": model.base_url}, values)
        return llms.build(model.provider, values)

    def _build_source(self, server: McpServer, values: dict[str, Any]) -> ToolSource:
        self._check_addresses({"base_url": server.base_url}, values)
        return tool_sources.build(server.transport, values)

    def _check_addresses(self, given: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """What the project itself says; the defaults of the process are the operator's choice."""
        for key in ADDRESS_OPTIONS:
            if given.get(key) and isinstance(values.get(key), str):
                check_url(values[key], settings=self._settings)

    def _counter(self, embedding: EmbeddingStrategy) -> TokenCounter:
        return counter_for(embedding.type, self._embedder_options(embedding))

    def _embedder_options(self, strategy: EmbeddingStrategy) -> dict[str, Any]:
        settings = self._settings
        chosen = self._chosen(embedders, strategy.type, strategy.config)
        process = {
            "device": settings.embed_device,
            "precision": settings.embed_precision,
            "hf_token": settings.hf_token,
        }
        known = option_names(embedders, strategy.type)
        defaults = {key: value for key, value in process.items() if key in known and value is not None}
        if strategy.type == "OllamaEmbedder" and not any(chosen.get(key) for key in ADDRESS_OPTIONS):
            defaults["base_url"] = settings.ollama_host
        return {**defaults, **chosen}

    def _store(self, database: DatabaseConfig, identity: StoreIdentity) -> Store:
        values = self._chosen(stores, database.type, database.config)
        key = ("store", identity, database.type, _frozen(values))
        return self._kept.get(key, lambda: self._build_store(database.type, values, identity))

    def _build_store(self, type_name: str, values: dict[str, Any], identity: StoreIdentity) -> Store:
        if type_name == "ChromaStore" and self._settings.chroma_url is None:
            raise UpstreamError(
                "no Chroma server is configured: start with `lf server start`, which runs one, or set LF_CHROMA_URL"
            )
        if values.get("url") or values.get("host"):
            check_url(
                values.get("url") or f"http://{values['host']}:{values.get('port', 6333)}", settings=self._settings
            )
        return stores.build(
            type_name, values, identity=identity, url=self._settings.chroma_url, data_dir=self._settings.data_dir
        )

    def _strategy(self, database: DatabaseConfig, name: str | None) -> tuple[str, str, Mapping[str, Any]]:
        try:
            found = database.retrieval_strategy_in_use(name)
        except NotFoundError:
            if name not in GENERIC_RETRIEVERS:
                raise
            return name, name, {}
        return found.name, found.type, found.config


def _frozen(values: Mapping[str, Any]) -> str:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS, default=str).decode()
