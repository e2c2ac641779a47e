"""An engine whose workers and models are fakes: state, projects and files are the real ones."""

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from config.loader import ProjectStore
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from config.runtime import ModelConfig
from config.settings import Settings
from rag.embedders.base import Embedder
from rag.embedders.hash import HashEmbedder
from rag.errors import NotFoundError
from rag.llms import llms
from rag.llms.base import LLM
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval, Retriever
from rag.stores.base import Store, StoreIdentity
from rag.stores.memory import MemoryStore
from rag.stores.options import StoreOptions
from rag.types import Record
from server.parts import Engine
from server.services.warm_up import WarmUp
from state.database import StateDatabase
from state.generations import GenerationStore
from state.tables import Base
from state.workers import WorkerInfo
from workers.dispatch import StoredFile


class FakeAssembly:
    """Hash vectors in memory. `delay_s` and `failure` apply to every retrieval and probe."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.failure: Exception | None = None
        self.notes: tuple[str, ...] = ()
        self._embedder = HashEmbedder(HashEmbedder.Options())
        self._stores: dict[tuple[str, str, str], Store] = {}

    def embedder(self, database: DatabaseConfig) -> Embedder:
        return self._embedder

    def store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        if self.failure is not None:
            raise self.failure
        key = (namespace, project, database.name)
        if key not in self._stores:
            identity = StoreIdentity(*key, self._embedder.model_id, self._embedder.dimension, database.metric)
            self._stores[key] = MemoryStore(StoreOptions(), identity=identity)
        return self._stores[key]

    def retriever(self, config: ProjectConfig, database: DatabaseConfig, name: str | None) -> tuple[str, Retriever]:
        strategy = name if name in ("semantic", "vector") else database.retrieval_strategy_in_use(name).name
        store = self.store(config.namespace, config.name, database)
        inner = retrievers.build("BasicSimilarityStrategy", {}, embedder=self._embedder, store=store)
        return strategy, _Staged(inner, self)

    def fill(self, namespace: str, project: str, database: DatabaseConfig, texts: Sequence[str], **extra: Any) -> None:
        """Store `texts` as the chunks of one file."""
        file_hash = "ab" * 32
        vectors = self._embedder.embed_documents(list(texts))
        records = [
            Record(
                id=f"docs/{file_hash}/g/{index:06d}",
                text=text,
                vector=vectors[index],
                file_key=f"docs/{file_hash}",
                generation="g",
                metadata={
                    "filename": "letter.pdf",
                    "file_hash": file_hash,
                    "document_id": file_hash,
                    "chunk_id": f"{file_hash[:16]}_{index:04d}",
                    "chunk_index": index,
                    "page_number": index + 1,
                    **extra,
                },
            )
            for index, text in enumerate(texts)
        ]
        self.store(namespace, project, database).upsert(records)

    def llm(self, model: ModelConfig) -> LLM:
        return llms.build(model.provider, {"model": model.model})

    async def aclose(self) -> None:
        return None


class _Staged:
    def __init__(self, inner: Retriever, assembly: FakeAssembly) -> None:
        self._inner = inner
        self._assembly = assembly

    def retrieve(self, query: Query) -> Retrieval:
        time.sleep(self._assembly.delay_s)
        found = self._inner.retrieve(query)
        return Retrieval(found.hits, (*found.notes, *self._assembly.notes))


@dataclass
class FakeDispatcher:
    """Remembers what it was asked to do."""

    generations: GenerationStore
    failure: Exception | None = None
    broker_failure: Exception | None = None
    workers_alive: list[WorkerInfo] = field(default_factory=list)
    started: dict[str, list[StoredFile]] = field(default_factory=dict)
    removed: list[tuple[str, ...]] = field(default_factory=list)
    _places: dict[str, tuple[str, str]] = field(default_factory=dict)

    def start_ingest(
        self,
        *,
        namespace: str,
        project: str,
        dataset: str,
        config: ProjectConfig,
        files: Sequence[StoredFile],
        request_id: str | None = None,
    ) -> str:
        self._fail()
        task_id = str(uuid.uuid4())
        self.started[task_id] = list(files)
        self._places[task_id] = (namespace, project)
        return task_id

    def task_status(self, namespace: str, project: str, task_id: str) -> dict[str, Any]:
        if self._places.get(task_id) != (namespace, project):
            raise NotFoundError(f"Task {task_id} not found")
        return {
            "task_id": task_id,
            "state": "SUCCESS",
            "meta": {"current": 0, "total": 0},
            "result": {"details": []},
            "error": None,
            "traceback": None,
            "cancelled": False,
        }

    def cancel(self, namespace: str, project: str, task_id: str) -> dict[str, Any]:
        self.task_status(namespace, project, task_id)
        return {"message": "Task already success", "task_id": task_id, "cancelled": False, "already_completed": True}

    def remove_chunks(self, namespace: str, project: str, config: ProjectConfig, dataset: str, file_hash: str) -> int:
        self._fail()
        self.removed.append(("chunks", namespace, project, dataset, file_hash))
        return 3

    def remove_file(self, namespace: str, project: str, config: ProjectConfig, dataset: str, file_hash: str) -> int:
        self._fail()
        self.removed.append(("file", namespace, project, dataset, file_hash))
        self.generations.forget(namespace, project, dataset, file_hash)
        return 3

    def remove_dataset(self, namespace: str, project: str, config: ProjectConfig, dataset: str) -> int:
        self._fail()
        self.removed.append(("dataset", namespace, project, dataset))
        self.generations.forget(namespace, project, dataset)
        return 3

    def remove_project(self, namespace: str, project: str, config: ProjectConfig | None) -> None:
        self._fail()
        self.removed.append(("project", namespace, project))

    def check_broker(self) -> None:
        if self.broker_failure is not None:
            raise self.broker_failure

    def workers(self) -> list[WorkerInfo]:
        return self.workers_alive

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


@asynccontextmanager
async def fake_engine(settings: Settings) -> AsyncIterator[Engine]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = StateDatabase(settings.state_url)
    Base.metadata.create_all(database.engine)
    generations = GenerationStore(database)
    warm_up = WarmUp(lambda: None)
    warm_up.state = "ready"
    try:
        yield Engine(
            settings=settings,
            database=database,
            projects=ProjectStore(settings),
            generations=generations,
            assembly=FakeAssembly(),  # type: ignore[arg-type]
            dispatcher=FakeDispatcher(generations),  # type: ignore[arg-type]
            warm_up=warm_up,
        )
    finally:
        database.close()
