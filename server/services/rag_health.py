"""Probes one database for real: a search in its store, and one embedding."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import anyio
import numpy as np
from anyio import CapacityLimiter, to_thread

from config.loader import ProjectStore
from config.rag_section import DatabaseConfig
from rag.embedders.base import Embedder
from rag.errors import RagError
from rag.filters import Filter
from rag.stores.base import Store
from server.schemas.rag import RagComponentHealth, RagHealth, Status

PROBE_TIMEOUT_S = 10.0
"""Long enough to load a model for the first time."""
PROBE_THREADS = 8


class ProbedAssembly(Protocol):
    def embedder(self, database: DatabaseConfig) -> Embedder: ...

    def store(self, namespace: str, project: str, database: DatabaseConfig) -> Store: ...


class RagHealthService:
    def __init__(self, projects: ProjectStore, assembly: ProbedAssembly) -> None:
        self._projects = projects
        self._assembly = assembly
        self._threads = CapacityLimiter(PROBE_THREADS)

    async def check(self, namespace: str, project: str, database_name: str | None) -> RagHealth:
        """Healthy when both parts answer, unhealthy when none does; raises only for what does not exist."""
        config = await to_thread.run_sync(self._projects.load, namespace, project)
        database = config.database(database_name)
        components: dict[str, RagComponentHealth] = {}

        async def probe(name: str, work: Callable[[], str]) -> None:
            components[name] = await self._probed(name, work)

        async with anyio.create_task_group() as group:
            group.start_soon(probe, "vector_store", lambda: self._search(namespace, project, database))
            group.start_soon(probe, "embeddings", lambda: self._embed(database))
        issues = [f"{each.name}: {each.message}" for each in components.values() if each.status != "healthy"]
        statuses: tuple[Status, ...] = ("healthy", "degraded", "unhealthy")
        return RagHealth(
            status=statuses[len(issues)],
            database=database.name,
            components={name: components[name] for name in ("vector_store", "embeddings")},
            last_check=datetime.now(UTC),
            issues=issues or None,
        )

    def _search(self, namespace: str, project: str, database: DatabaseConfig) -> str:
        """Any vector will do. A count alone would not show that the server is down: it comes from the ledger."""
        store = self._assembly.store(namespace, project, database)
        vector = np.zeros(store.identity.dimension, np.float32)
        vector[0] = 1.0
        store.search_vector(vector, limit=1, where=Filter())
        stats = store.stats()
        return f"Vector store operational: {stats.chunk_count} chunks of {stats.file_count} files"

    def _embed(self, database: DatabaseConfig) -> str:
        embedder = self._assembly.embedder(database)
        vector = embedder.embed_query("health check")
        return f"Embedding service operational: {embedder.model_id}, dimension {len(vector)}"

    async def _probed(self, name: str, work: Callable[[], str]) -> RagComponentHealth:
        started_at = time.perf_counter()
        status: Status = "unhealthy"
        try:
            with anyio.fail_after(PROBE_TIMEOUT_S):
                message = await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
            status = "healthy"
        except TimeoutError:
            message = f"no answer within {PROBE_TIMEOUT_S:g} s"
        except RagError as error:
            message = error.message
        latency = round((time.perf_counter() - started_at) * 1000, 2)
        return RagComponentHealth(name=name, status=status, latency=latency, latency_ms=latency, message=message)
