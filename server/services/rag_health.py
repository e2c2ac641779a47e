"""Probes the parts of one database for real, each by itself, so that what is down is what is blamed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import anyio
from anyio import CapacityLimiter, to_thread

from config.rag_section import DatabaseConfig
from rag.embedders.resilience import open_circuit
from rag.errors import RagError
from rag.filters import Filter
from server.schemas.databases import RagComponentHealth, RagHealth
from server.schemas.rag import Status
from server.services.database_access import DatabaseAccess, OpenDatabase

PROBE_TIMEOUT_S = 10.0
"""Long enough to load a model for the first time."""
PROBE_THREADS = 8


class DegradedError(Exception):
    """The part answers, and something about it is not as it should be; never leaves this module."""


class RagHealthService:
    def __init__(self, access: DatabaseAccess) -> None:
        self._access = access
        self._threads = CapacityLimiter(PROBE_THREADS)

    async def check(self, namespace: str, project: str, database_name: str | None) -> RagHealth:
        """Unhealthy when no query can be answered; raises only for what does not exist."""
        database = await to_thread.run_sync(self._access.find, namespace, project, database_name)

        def opened() -> OpenDatabase:
            return self._access.open(namespace, project, database.name)

        probes: dict[str, Callable[[], str]] = {
            "vector_store": lambda: _vectors(opened()),
            "embeddings": lambda: self._embed(database),
            "lexical_index": lambda: _words(opened()),
        }
        found: dict[str, RagComponentHealth] = {}

        async def probe(name: str, work: Callable[[], str]) -> None:
            found[name] = await self._probed(name, work)

        async with anyio.create_task_group() as group:
            for name, work in probes.items():
                group.start_soon(probe, name, work)
        if found["vector_store"].status != "unhealthy" and found["embeddings"].status == "healthy":
            await probe("search", lambda: self._search(namespace, project, database))
        components = {name: found[name] for name in (*probes, "search") if name in found}
        issues = [f"{each.name}: {each.message}" for each in components.values() if each.status != "healthy"]
        return RagHealth(
            status=_overall(components),
            database=database.name,
            components=components,
            last_check=datetime.now(UTC),
            issues=issues or None,
        )

    def _embed(self, database: DatabaseConfig) -> str:
        embedder = self._access.assembly.embedder(database)
        # As a document, because what is asked for again and again as a query is answered from a cache.
        vector = embedder.embed_documents(["health check"])[0]
        circuit = open_circuit(getattr(embedder, "inner", embedder))
        if circuit is not None:
            raise DegradedError(f"{circuit} failed repeatedly and is not asked for a while (its circuit is open)")
        return f"Embedding service operational: {embedder.model_id}, dimension {len(vector)}"

    def _search(self, namespace: str, project: str, database: DatabaseConfig) -> str:
        """With a vector of the embedder in use: finds out whether it fits what is stored."""
        store = self._access.assembly.raw_store(namespace, project, database)
        vector = self._access.assembly.embedder(database).embed_query("health check")
        hits = store.search_vector(vector, limit=1, where=Filter())
        return f"Search operational: {'a chunk was found' if hits else 'the database is empty'}"

    async def _probed(self, name: str, work: Callable[[], str]) -> RagComponentHealth:
        started_at = time.perf_counter()
        status: Status = "unhealthy"
        try:
            with anyio.fail_after(PROBE_TIMEOUT_S):
                message = await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
            status = "healthy"
        except TimeoutError:
            message = f"no answer within {PROBE_TIMEOUT_S:g} s"
        except DegradedError as error:
            status, message = "degraded", str(error)
        except RagError as error:
            message = error.message
        latency = round((time.perf_counter() - started_at) * 1000, 2)
        return RagComponentHealth(name=name, status=status, latency=latency, latency_ms=latency, message=message)


def _vectors(opened: OpenDatabase) -> str:
    """A count of both sides: that of the ledger alone would not show that the server is down."""
    vectors, stats = opened.store.upkeep.vector_count(), opened.store.stats()
    if vectors < stats.chunk_count:
        raise DegradedError(
            f"{stats.chunk_count - vectors} of {stats.chunk_count} vectors are missing from the vector store; "
            "they are given back when the database is next opened"
        )
    return f"Vector store operational: {stats.chunk_count} chunks of {stats.file_count} files"


def _words(opened: OpenDatabase) -> str:
    indexed, chunks = opened.store.upkeep.indexed_count(), opened.store.stats().chunk_count
    if indexed != chunks:
        raise DegradedError(f"the lexical index knows {indexed} of {chunks} chunks; compact the database")
    return f"Lexical index operational: {indexed} chunks, in step with the vectors"


def _overall(components: dict[str, RagComponentHealth]) -> Status:
    if all(each.status == "healthy" for each in components.values()):
        return "healthy"
    is_lost = all(components[name].status == "unhealthy" for name in ("vector_store", "embeddings"))
    return "unhealthy" if is_lost else "degraded"
