"""An engine whose workers and models are fakes: state, projects and files are the real ones."""

import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from config.loader import ProjectStore
from config.project import McpServer, ProjectConfig
from config.rag_section import DatabaseConfig
from config.runtime import ModelConfig
from config.settings import Settings
from config.stages import Needs, around
from rag.embedders.base import Embedder
from rag.embedders.hash import HashEmbedder
from rag.errors import NotFoundError
from rag.llms import llms
from rag.llms.base import LLM
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval, Retriever
from rag.retrievers.models import Models, NoModels
from rag.stores.base import Store, StoreIdentity
from rag.stores.memory import MemoryStore
from rag.stores.options import StoreOptions
from rag.tools import tool_sources
from rag.tools.base import ToolSource
from rag.types import Record
from server.parts import Engine
from server.services.warm_up import WarmUp
from state.database import StateDatabase
from state.file_names import StoredFile
from state.generations import GenerationStore
from state.tables import Base
from state.workers import WorkerInfo


class FakeAssembly:
    """Hash vectors in memory. `delay_s` and `failure` apply to every retrieval and probe."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.failure: Exception | None = None
        self.notes: tuple[str, ...] = ()
        self.circuits: list[str] = []
        self._embedder = HashEmbedder(HashEmbedder.Options())
        self.tool_sources: dict[str, ToolSource] = {}
        self._stores: dict[tuple[str, str, str], Store] = {}

    def embedder(self, database: DatabaseConfig) -> Embedder:
        return self._embedder

    def raw_store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        return self.store(namespace, project, database)

    def store_to_delete_from(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        return self.store(namespace, project, database)

    def store(self, namespace: str, project: str, database: DatabaseConfig) -> Store:
        if self.failure is not None:
            raise self.failure
        key = (namespace, project, database.name)
        if key not in self._stores:
            identity = StoreIdentity(*key, self._embedder.model_id, self._embedder.dimension, database.metric)
            self._stores[key] = MemoryStore(StoreOptions(), identity=identity)
        return self._stores[key]

    def retriever(
        self, config: ProjectConfig, database: DatabaseConfig, name: str | None, stages: Mapping[str, Any] | None = None
    ) -> tuple[str, Retriever]:
        strategy = name if name in ("semantic", "vector") else database.retrieval_strategy_in_use(name).name
        store = self.store(config.namespace, config.name, database)
        options = retrievers.options("BasicSimilarityStrategy", {})
        inner = retrievers.build("BasicSimilarityStrategy", {}, embedder=self._embedder, store=store)
        needs = Needs(self._embedder, store, self.models(config))
        return strategy, around(_Slow(inner, self), options, stages or {}, needs)

    def models(self, config: ProjectConfig) -> Models:
        return NoModels()

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

    def tool_source(self, server: McpServer) -> ToolSource:
        """Kept, as by the real one, in `tool_sources`."""
        if server.name not in self.tool_sources:
            values = server.model_dump(exclude={"transport"}, exclude_defaults=True)
            self.tool_sources[server.name] = tool_sources.build(server.transport, values)
        return self.tool_sources[server.name]

    def open_circuits(self) -> list[str]:
        return self.circuits

    async def aclose(self) -> None:
        for source in self.tool_sources.values():
            await source.aclose()


class _Slow:
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
    options: list[dict[str, Any]] = field(default_factory=list)
    removed: list[tuple[str, ...]] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    announced: list[str] = field(default_factory=list)
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
        overrides: Any = None,
        force: bool = False,
    ) -> str:
        self._fail()
        self.options.append({"overrides": overrides, "force": force})
        task_id = str(uuid.uuid4())
        self.started[task_id] = list(files)
        self._places[task_id] = (namespace, project)
        return task_id

    def start_evaluation(self, *, namespace: str, project: str, request: dict[str, Any], **options: Any) -> str:
        self._fail()
        self.options.append({"request": request, **options})
        task_id = str(uuid.uuid4())
        self._places[task_id] = (namespace, project)
        return task_id

    def announce_jobs(self, stages: Sequence[str]) -> None:
        self.announced.extend(stages)

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

    def task_stamp(self, namespace: str, project: str, task_id: str) -> tuple[Any, ...]:
        return tuple(self.task_status(namespace, project, task_id)["meta"].values())

    def task_list(self, namespace: str, project: str, *, states: Any, limit: int, offset: int) -> dict[str, Any]:
        mine = [task_id for task_id, place in self._places.items() if place == (namespace, project)]
        moment = {"created_at": "2026-01-01T00:00:00+00:00", "finished_at": None}
        tasks = [{**self.task_status(namespace, project, each), **moment} for each in mine]
        found = [task for task in tasks if not states or task["state"] in states]
        return {"total": len(found), "tasks": found[offset : offset + limit], "limit": limit, "offset": offset}

    def failed_files(self, namespace: str, project: str, dataset: str) -> set[str]:
        return self.failed

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

    def forget_project(self, namespace: str, project: str) -> None:
        self.generations.forget(namespace, project)

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
