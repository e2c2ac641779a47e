"""What is running, what is not, and what to do about it. Checks run at the same time, each for a second at most."""

import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import httpx
from anyio import CapacityLimiter, to_thread
from sqlalchemy import text

from config.loader import ProjectStore
from config.providers import provider_defaults
from config.settings import Settings
from rag.errors import RagError
from server.schemas.health import ComponentHealth, Health
from server.schemas.rag import Status
from server.services.designer import Designer
from server.services.warm_up import WarmUp
from state.database import StateDatabase
from state.workers import WorkerInfo

CHECK_TIMEOUT_S = 1.0
CHECK_THREADS = 16
LOW_DISK_BYTES = 500_000_000
QUEUES = ("parse", "embed", "default")
SEED_PROJECT = ("llamafarm", "project_seed")
OPTIONAL = frozenset({"ollama", "embedding-servers", "designer"})
"""Shown, but not part of what this server runs: they do not pull the whole down."""


class HealthDispatcher(Protocol):
    def check_broker(self) -> None: ...

    def workers(self) -> list[WorkerInfo]: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; a check that raises or takes too long is unhealthy by itself."""

    message: str
    status: Status = "healthy"
    details: dict[str, Any] = field(default_factory=dict)
    runtime: dict[str, Any] | None = None


Check = Callable[[], Awaitable[Finding]]


class HealthService:
    def __init__(
        self,
        settings: Settings,
        database: StateDatabase,
        projects: ProjectStore,
        dispatcher: HealthDispatcher,
        client: httpx.AsyncClient,
        warm_up: WarmUp,
        *,
        open_circuits: Callable[[], list[str]],
    ) -> None:
        self._settings = settings
        self._database = database
        self._projects = projects
        self._dispatcher = dispatcher
        self._client = client
        self._warm_up = warm_up
        self._open_circuits = open_circuits
        self._designer = Designer(settings.designer_dist_path, {})
        self._threads = CapacityLimiter(CHECK_THREADS)

    async def check(self) -> Health:
        components = await _gathered(
            {
                "server": self._server,
                "storage": self._threaded(self._storage),
                "universal-runtime": self._embedding,
                "rag-service": self._threaded(self._workers),
                "redis": self._threaded(self._broker),
                "chroma": self._chroma,
                "ollama": self._ollama,
                "embedding-servers": self._embedding_servers,
                "designer": self._threaded(self._web_app),
            }
        )
        seeds = await _gathered({"project": self._threaded(self._seed)}) if self._has_seed() else []
        by_name = {each.name: each.status for each in components}
        return Health(
            status=_overall(components),
            summary=", ".join(f"{each.name}={each.status}" for each in components),
            services={"api": "healthy", "celery": by_name["rag-service"], "redis": by_name["redis"]},
            components=components,
            seeds=seeds,
            timestamp=int(time.time()),
        )

    def _threaded(self, work: Callable[[], Finding]) -> Check:
        async def check() -> Finding:
            return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)

        return check

    async def _server(self) -> Finding:
        return Finding("The API answers", details={"pid": os.getpid()})

    def _storage(self) -> Finding:
        """The data directory can be written to, and the state database answers."""
        with tempfile.TemporaryFile(dir=self._settings.data_dir) as file:
            file.write(b"health")
        with self._database.read() as session:
            session.execute(text("SELECT 1"))
        free = shutil.disk_usage(self._settings.data_dir).free
        if free < LOW_DISK_BYTES:
            return Finding(f"Only {free // 1_000_000} MB are free: delete files or move LF_DATA_DIR", "degraded")
        return Finding(f"Data directory and state are writable, {free // 1_000_000} MB free")

    async def _embedding(self) -> Finding:
        details = {"model": self._settings.warm_model}
        if self._warm_up.state == "loading":
            return Finding("The embedding model is being loaded", "unhealthy", details)
        if self._warm_up.state == "failed":
            return Finding(self._warm_up.message, "unhealthy", details)
        return Finding("Embeddings run in this server's processes", details=details)

    def _workers(self) -> Finding:
        """A living worker for every queue."""
        workers = self._dispatcher.workers()
        served = {queue for worker in workers for queue in worker.queues}
        details = {"workers": len(workers), "queues": sorted(served)}
        remedy = "start one with `lf server start`; queries and chat work without, processing waits"
        if not workers:
            return Finding(f"No worker is running: {remedy}", "unhealthy", details)
        missing = [queue for queue in QUEUES if queue not in served]
        if missing:
            return Finding(f"No worker serves {', '.join(missing)}: {remedy}", "unhealthy", details)
        return Finding(f"{len(workers)} worker(s) running", details=details)

    def _broker(self) -> Finding:
        self._dispatcher.check_broker()
        return Finding("The message broker answers")

    async def _chroma(self) -> Finding:
        url = self._settings.chroma_url
        if url is None:
            return Finding("No Chroma server is configured: use `lf server start` or set LF_CHROMA_URL", "unhealthy")
        response = await self._client.get(f"{url.rstrip('/')}/api/v2/heartbeat")
        if response.is_success:
            return Finding("The vector store answers")
        return Finding(f"The vector store answers with status {response.status_code}", "unhealthy")

    async def _ollama(self) -> Finding:
        response = await self._client.get(f"{self._settings.ollama_host}/api/tags")
        if not response.is_success:
            return Finding(f"Ollama answers with status {response.status_code}", "unhealthy")
        answer = response.json()
        models = answer.get("models") or [] if isinstance(answer, dict) else None
        if not isinstance(models, list):
            return Finding(f"What answers at {self._settings.ollama_host} is not Ollama", "unhealthy")
        return Finding(f"Ollama answers with {len(models)} model(s)", details={"models": len(models)})

    async def _embedding_servers(self) -> Finding:
        """Those that projects name; the workers keep their own count of failures."""
        given_up = self._open_circuits()
        if not given_up:
            return Finding("No embedding server is given up", details={"open_circuits": []})
        message = f"Failed repeatedly and not asked for a while: {', '.join(given_up)}; see that it runs"
        return Finding(message, "degraded", {"open_circuits": given_up})

    def _web_app(self) -> Finding:
        folder, problem = self._designer.folder, self._designer.problem
        if folder is None:
            return Finding("No web app is configured (DESIGNER_DIST_PATH)", details={"is_served": False})
        if problem is not None:
            return Finding(problem, "unhealthy", {"is_served": False})
        return Finding("The web app is served at /", details={"is_served": True})

    def _has_seed(self) -> bool:
        return self._projects.paths(*SEED_PROJECT).exists

    def _seed(self) -> Finding:
        model = self._projects.load(*SEED_PROJECT).model()
        defaults = provider_defaults(model, self._settings)
        runtime = {
            "provider": model.provider,
            "model": model.model or defaults.get("model"),
            "host": model.base_url or defaults.get("base_url"),
        }
        return Finding("The seed project is readable", runtime=runtime)


async def _gathered(checks: dict[str, Check]) -> list[ComponentHealth]:
    """The findings in the order of `checks`."""
    found: dict[str, ComponentHealth] = {}

    async def run(name: str, check: Check) -> None:
        started_at = time.perf_counter()
        finding = await _guarded(check)
        found[name] = ComponentHealth(
            name=name,
            status=finding.status,
            message=finding.message,
            latency_ms=round((time.perf_counter() - started_at) * 1000),
            details=finding.details,
            runtime=finding.runtime,
        )

    async with anyio.create_task_group() as group:
        for name, check in checks.items():
            group.start_soon(run, name, check)
    return [found[name] for name in checks]


async def _guarded(check: Check) -> Finding:
    try:
        with anyio.fail_after(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return Finding(f"No answer within {CHECK_TIMEOUT_S:g} s", "unhealthy")
    except RagError as error:
        return Finding(error.message, "unhealthy")
    except httpx.InvalidURL as error:
        return Finding(f"Its address is no URL: {error}", "unhealthy")
    except httpx.HTTPError as error:
        return Finding(f"Does not answer ({type(error).__name__}) at {_host(error)}", "unhealthy")
    except OSError as error:
        return Finding(f"Not usable: {error.strerror or type(error).__name__}", "unhealthy")
    except ValueError:
        return Finding("Answers with something that cannot be read", "unhealthy")


def _host(error: httpx.HTTPError) -> str:
    try:
        url = error.request.url
    except RuntimeError:
        return "its address"
    return f"{url.scheme}://{url.host}:{url.port}" if url.port else f"{url.scheme}://{url.host}"


def _overall(components: Sequence[ComponentHealth]) -> Status:
    """Without server and storage nothing works; without any other needed part, something does not."""
    needed = {each.name: each.status for each in components if each.name not in OPTIONAL}
    if "unhealthy" in (needed["server"], needed["storage"]):
        return "unhealthy"
    return "healthy" if set(needed.values()) == {"healthy"} else "degraded"
