"""What a worker process holds: opened on first use, after any fork: no connection is shared by two processes."""

import itertools
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from celery import Celery

from config.assemble import Assembly
from config.project import ProjectConfig
from config.settings import Settings
from rag.embedders.vector_cache import VectorCache
from state.cancellation import CancellationStore
from state.cloud.jobs import CloudJobs
from state.database import StateDatabase
from state.generations import GenerationStore
from state.task_rows import ClaimedFile
from state.tasks import TaskStore
from workers.leases import LeaseKeeper
from workers.queue import TaskQueue


@dataclass(frozen=True, slots=True)
class Runtime:
    """`owner` is this process's name; see `new_owner`."""

    settings: Settings
    owner: str
    database: StateDatabase
    tasks: TaskStore
    cancellations: CancellationStore
    generations: GenerationStore
    assembly: Assembly
    vectors: VectorCache
    queue: TaskQueue
    leases: LeaseKeeper[int]
    cloud_jobs: CloudJobs
    cloud_leases: LeaseKeeper[str]
    claims: Iterator[int] = field(default_factory=itertools.count)

    def new_owner(self) -> str:
        """A name for one lease. Threads of this process have their own, so that none ends what another took over."""
        return f"{self.owner}:{next(self.claims)}"

    def config_of(self, claimed: ClaimedFile) -> ProjectConfig:
        """The project as it was when the task was made."""
        return ProjectConfig.parse(claimed.config)


def open_runtime(settings: Settings, app: Celery) -> Runtime:
    database = StateDatabase(settings.state_url)
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    tasks = TaskStore(database, lease_s=settings.lease_s)
    generations = GenerationStore(database)
    cloud_jobs = CloudJobs(database, lease_s=settings.lease_s)
    return Runtime(
        settings=settings,
        owner=owner,
        database=database,
        tasks=tasks,
        cancellations=CancellationStore(database),
        generations=generations,
        assembly=Assembly(settings, generations.live_check),
        vectors=VectorCache(
            settings.data_dir / "cache" / "vectors.sqlite3", max_bytes=settings.embedding_cache_mb * 1024 * 1024
        ),
        queue=TaskQueue(app),
        leases=LeaseKeeper(tasks, interval_s=settings.lease_s / 3),
        cloud_jobs=cloud_jobs,
        cloud_leases=LeaseKeeper(cloud_jobs, interval_s=settings.lease_s / 3),
    )


class RuntimeHolder:
    """One runtime per process: a forked child opens its own."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        self._settings = settings
        self._app = app
        self._runtime: Runtime | None = None
        self._pid = 0
        self._lock = threading.Lock()

    def get(self) -> Runtime:
        with self._lock:
            if self._runtime is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._runtime = open_runtime(self._settings, self._app)
            return self._runtime
