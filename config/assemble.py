"""A validated project → its live components: the one place that knows both the YAML and the components."""

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar, cast

import orjson
import structlog

from config.options import choose_options
from config.processing import ProcessingPlan, fingerprints, plan_processing
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig, EmbeddingStrategy
from config.runtime import ModelConfig
from config.settings import Settings
from rag.chunkers.base import TokenCounter
from rag.embedders import counter_for, embedders
from rag.embedders.base import Embedder
from rag.embedders.batching import BatchingEmbedder
from rag.errors import NotFoundError, RagError, UpstreamError
from rag.llms import llms
from rag.llms.base import LLM
from rag.parsers.base import ParseLimits
from rag.retrievers import retrievers
from rag.retrievers.base import Retriever
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity
from rag.stores.live import LiveStore

log = structlog.get_logger(__name__)

Part = TypeVar("Part")
LiveCheck = Callable[[set[tuple[str, str]]], set[tuple[str, str]]]

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
        self._parts: dict[Hashable, Any] = {}
        self._building: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def processing(self, config: ProjectConfig, strategy_name: str, database: DatabaseConfig) -> ProcessingPlan:
        """Needs no model in memory, only its tokenizer."""
        strategy, embedding = config.strategy(strategy_name), database.embedding_strategy_in_use()
        key = ("plan", *fingerprints(strategy, embedding))
        return self._kept(key, lambda: plan_processing(strategy, embedding, self._counter(embedding)))

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
        return self._kept(key, lambda: BatchingEmbedder(embedders.build(strategy.type, values)))

    def raw_store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        """The store as it is, chunks that are not live included: for those who write."""
        embedder = self.embedder(database)
        identity = StoreIdentity(
            namespace, project, database.name, embedder.model_id, embedder.dimension, database.metric
        )
        return self._store(database, identity)

    def store_to_delete_from(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        """`raw_store`, also while the embedder cannot be had: what was stored can always be removed."""
        try:
            self.embedder(database)
        except RagError as error:
            log.warning("store.without_embedder", database=database.name, error=error.message)
        else:
            return self.raw_store(namespace, project, database)
        identity = StoreIdentity(namespace, project, database.name, "unknown", 1, database.metric)
        return self._store(database, identity)

    def store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        """The store as queries see it: live chunks only."""
        inner = self.raw_store(namespace, project, database)
        return LiveStore(inner, self._live_check(namespace, project, database.name))

    def retriever(self, config: ProjectConfig, database: DatabaseConfig, name: str | None) -> tuple[str, Retriever]:
        """(name of the strategy in use, retriever). Raises NotFoundError for a name that nothing answers to."""
        name, type_name, options = self._strategy(database, name)
        values = choose_options(retrievers, type_name, options).values
        store = self.store(config.namespace, config.name, database)
        key = ("retriever", store.identity, database.type, _frozen(database.config), type_name, _frozen(values))
        # Kept, because some hold threads, and threads hold connections to the ledger.
        return name, self._kept(
            key, lambda: retrievers.build(type_name, values, embedder=self.embedder(database), store=store)
        )

    def llm(self, model: ModelConfig) -> LLM:
        """A client of the model's server; one per configuration."""
        raw = {**model.model_dump(exclude_none=True), **self._provider_defaults(model)}
        values = choose_options(llms, model.provider, raw).values
        return self._kept(("llm", model.provider, _frozen(values)), lambda: llms.build(model.provider, values))

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

    async def aclose(self) -> None:
        """Release clients, models and connections."""
        with self._lock:
            parts, self._parts = list(self._parts.values()), {}
        for part in parts:
            if hasattr(part, "aclose"):
                await part.aclose()
            elif hasattr(part, "close"):
                part.close()

    def _kept(self, key: Hashable, build: Callable[[], Part]) -> Part:
        """One caller builds; who wants another part meanwhile does not wait for it: a model may take minutes."""
        with self._lock:
            if key in self._parts:
                return cast("Part", self._parts[key])
            building = self._building.setdefault(key, threading.Lock())
        with building:
            with self._lock:
                if key in self._parts:
                    return cast("Part", self._parts[key])
            part = build()
            with self._lock:
                self._parts[key] = part
                self._building.pop(key, None)
            return part

    def _counter(self, embedding: EmbeddingStrategy) -> TokenCounter:
        return counter_for(embedding.type, self._embedder_options(embedding))

    def _embedder_options(self, strategy: EmbeddingStrategy) -> dict[str, Any]:
        chosen = choose_options(embedders, strategy.type, strategy.config).values
        process = {"device": self._settings.embed_device, "precision": self._settings.embed_precision}
        known = choose_options(embedders, strategy.type, process).values
        if strategy.type == "OllamaEmbedder":
            known["base_url"] = self._settings.ollama_host
        return {**known, **chosen}

    def _store(self, database: DatabaseConfig, identity: StoreIdentity) -> Store:
        values = choose_options(stores, database.type, database.config).values
        key = ("store", identity, database.type, _frozen(values))
        return self._kept(key, lambda: self._build_store(database.type, values, identity))

    def _build_store(self, type_name: str, values: dict[str, Any], identity: StoreIdentity) -> Store:
        if type_name == "ChromaStore" and self._settings.chroma_url is None:
            raise UpstreamError(
                "no Chroma server is configured: start with `lf server start`, which runs one, or set LF_CHROMA_URL"
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

    def _provider_defaults(self, model: ModelConfig) -> dict[str, Any]:
        settings = self._settings
        defaults = {
            "ollama": {"base_url": settings.ollama_host, "model": settings.ollama_model},
            "universal": {"base_url": settings.universal_url},
            "lemonade": {"base_url": settings.lemonade_url},
        }
        given = model.model_dump(exclude_none=True)
        missing = {key: value for key, value in defaults.get(model.provider, {}).items() if not given.get(key)}
        return {
            **missing,
            "timeout_s": settings.llm_timeout_s,
            "connect_timeout_s": settings.llm_connect_timeout_s,
        }


def _frozen(values: Mapping[str, Any]) -> str:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS, default=str).decode()
