"""The whole ingest in one process: real state, files, stages and stores; the broker is a list, and time is moved."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import inspect, select

from config.assemble import Assembly
from config.layout import DatasetPaths
from config.loader import ProjectStore
from config.settings import Settings
from rag.embedders.base import Embedder
from rag.embedders.vector_cache import VectorCache
from rag.errors import UpstreamError
from rag.filters import Filter
from rag.stores.base import Store
from state.cancellation import CancellationStore
from state.cloud.jobs import CloudJobs
from state.cloud.tables import CloudJobRow
from state.database import StateDatabase
from state.files import DatasetFiles
from state.generations import GenerationStore
from state.tables import Base, FileRow, TaskFileRow, TaskRow
from state.task_states import FINAL_STATES
from state.tasks import TaskStore
from workers.cloud.runner import run_next
from workers.dispatch import Dispatcher
from workers.embed_stage import run_embed
from workers.leases import LeaseKeeper
from workers.parse_stage import run_parse
from workers.runtime import Runtime
from workers.sweeper import sweep
from workers.upkeep import clean_up, fan_out

PLACE = ("acme", "handbook")
LEASE_S = 15.0


class Crash(BaseException):
    """The process died here: nothing below catches it."""


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


class RecordingQueue:
    """Keeps messages in order; with `is_down`, behaves as a broker that does not answer."""

    def __init__(self) -> None:
        self.messages: deque[tuple[str, Any]] = deque()
        self.is_down = False

    def send_stage(self, stage: str, file_ids: Iterable[int]) -> None:
        self.check()
        self.messages.extend((stage, file_id) for file_id in file_ids)

    def send(self, name: str, *args: str) -> None:
        self.check()
        self.messages.append((name, *args))  # type: ignore[arg-type]  # every task takes one argument

    def send_jobs(self, stage: str, count: int) -> None:
        self.check()
        self.messages.extend((f"job_{stage}", None) for _ in range(count))

    def check(self) -> None:
        if self.is_down:
            raise UpstreamError("the message broker does not answer")

    def depth(self, queue: str) -> int:
        self.check()
        names = [name if name in ("parse", "embed") else "default" for name, _ in self.messages]
        return names.count(queue)


def project_yaml(**changes: Any) -> dict[str, Any]:
    """A project with two databases, two datasets and one strategy; `changes` replace keys of the strategy's parser."""
    embedding = [{"name": "words", "type": "HashEmbedder", "config": {"dimension": 64}}]
    parser = {"type": "UniversalParser", "config": {"chunk_size": 200, "chunk_overlap": 0, **changes}}
    return {
        "version": "v1",
        "name": PLACE[1],
        "namespace": PLACE[0],
        "runtime": {"models": [{"name": "default", "provider": "extractive", "model": "extractive"}]},
        "rag": {
            "databases": [
                {"name": name, "type": "MemoryStore", "embedding_strategies": embedding} for name in ("main", "other")
            ],
            "data_processing_strategies": [{"name": "plain", "parsers": [parser]}],
        },
        "datasets": [
            {"name": name, "database": "main", "data_processing_strategy": "plain"} for name in ("docs", "more")
        ],
    }


class World:
    """`postgres_url` names an empty database with its tables; None: SQLite in the folder."""

    def __init__(self, folder: Path, postgres_url: str | None = None) -> None:
        place = {"data_dir": folder / "data", "database_url": postgres_url}
        self.settings = Settings(_env_file=None, **place, broker_url="memory://", lease_s=LEASE_S)
        self.settings.data_dir.mkdir(parents=True)
        self.clock = Clock()
        self.queue = RecordingQueue()
        self.database = StateDatabase(self.settings.state_url)
        Base.metadata.create_all(self.database.engine)
        self.generations = GenerationStore(self.database)
        self.tasks = TaskStore(self.database, lease_s=LEASE_S, clock=self.clock)
        self.cloud_jobs = CloudJobs(self.database, lease_s=LEASE_S, clock=self.clock)
        self.patches = pytest.MonkeyPatch()
        self.projects = ProjectStore(self.settings)
        self.errors: list[Exception] = []
        self.restart()
        self.configure(project_yaml())

    def restart(self) -> None:
        """What a process holds in memory, made anew."""
        self.assembly = Assembly(self.settings, self.generations.live_check)
        self.connect(self.queue)

    def connect(self, queue: Any) -> None:
        """Have messages go through another queue."""
        self.queue = queue
        self.dispatcher = Dispatcher(
            self.settings,
            self.database,
            self.assembly,
            queue=queue,
            clock=self.clock,
        )
        self.runtime = self.worker("worker-1")

    def worker(self, owner: str) -> Runtime:
        return Runtime(
            settings=self.settings,
            owner=owner,
            database=self.database,
            tasks=self.tasks,
            cancellations=CancellationStore(self.database, clock=self.clock),
            generations=self.generations,
            assembly=self.assembly,
            vectors=VectorCache(self.settings.data_dir / "cache" / "vectors.sqlite3", max_bytes=1 << 24),
            queue=self.queue,  # type: ignore[arg-type]  # has the same methods
            leases=LeaseKeeper(self.tasks, interval_s=LEASE_S / 3),
            cloud_jobs=self.cloud_jobs,
            cloud_leases=LeaseKeeper(self.cloud_jobs, interval_s=LEASE_S / 3),
        )

    # -- what a client does ---------------------------------------------------------------------------------

    def configure(self, raw: Mapping[str, Any]) -> None:
        folder = self.settings.projects_dir.joinpath(*PLACE)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "llamafarm.yaml").write_text(json.dumps(raw), encoding="utf-8")
        self.projects = ProjectStore(self.settings)

    @property
    def config(self) -> Any:
        return self.projects.load(*PLACE)

    def paths(self, dataset: str = "docs") -> DatasetPaths:
        return self.projects.paths(*PLACE).dataset(dataset)

    def upload(self, name: str, content: bytes | str, dataset: str = "docs") -> str:
        data = content.encode() if isinstance(content, str) else content
        with DatasetFiles(self.paths(dataset)).receive(10_000_000) as incoming:
            incoming.write(data)
            stored, _ = incoming.commit(name, None)
        self.generations.ensure(*PLACE, dataset, {stored.hash: stored.original_file_name})
        return stored.hash

    def start(self, dataset: str = "docs", **options: Any) -> str:
        files = DatasetFiles(self.paths(dataset)).list()
        return self.dispatcher.start_ingest(
            namespace=PLACE[0], project=PLACE[1], dataset=dataset, config=self.config, files=files, **options
        )

    def process(self, dataset: str = "docs", **options: Any) -> dict[str, Any]:
        task_id = self.start(dataset, **options)
        self.settle()
        return self.status(task_id)

    def status(self, task_id: str) -> dict[str, Any]:
        return self.dispatcher.task_status(*PLACE, task_id)

    def cancel(self, task_id: str) -> dict[str, Any]:
        return self.dispatcher.cancel(*PLACE, task_id)

    def remove_file(self, file_hash: str, dataset: str = "docs") -> int:
        """As the route does it: everything derived, then the bytes."""
        deleted = self.dispatcher.remove_file(*PLACE, self.config, dataset, file_hash)
        DatasetFiles(self.paths(dataset)).remove(file_hash, with_bytes=True)
        self.generations.forget(*PLACE, dataset, file_hash)
        return deleted

    # -- what workers do ------------------------------------------------------------------------------------

    def step(self) -> str:
        """Deliver one message; returns its task's name. A Crash loses the message, as a killed process does."""
        name, argument = self.queue.messages.popleft()
        self.deliver(name, argument)
        return str(name)

    def deliver(self, name: str, argument: Any, runtime: Runtime | None = None) -> None:
        work: dict[str, Callable[[Runtime, Any], object]] = {
            "parse": run_parse,
            "embed": run_embed,
            "fan_out": fan_out,
            "finish": clean_up,
            "job_parse": lambda runtime, _: run_next(runtime, "parse"),
            "job_embed": lambda runtime, _: run_next(runtime, "embed"),
            "job_ask": lambda runtime, _: run_next(runtime, "ask"),
        }
        try:
            work[name](runtime or self.runtime, argument)
        except Exception as error:  # noqa: BLE001  # as Celery: logged, and the next message is taken
            self.errors.append(error)

    def run_until(self, name: str) -> Any:
        """Deliver messages until the next one is `name`; returns its argument."""
        while self.queue.messages[0][0] != name:
            self.step()
        return self.queue.messages[0][1]

    def step_all(self) -> None:
        while self.queue.messages:
            self.step()

    def drain(self) -> None:
        while self.queue.messages:
            with suppress(Crash):
                self.step()

    def settle(self, rounds: int = 30) -> None:
        """Deliver, let time pass, sweep, until nothing is open: what a running system does by itself."""
        for _ in range(rounds):
            self.drain()
            open_files = self.tasks.backlog()
            has_jobs = any(row.state in ("waiting", "running") for row in self.rows(CloudJobRow))
            if not open_files and not has_jobs and not any(self.tasks.unfinished_business()) and self._all_cleaned():
                return
            self.clock.now += 5 * LEASE_S
            with suppress(UpstreamError, Crash):
                sweep(self.runtime)
        pytest.fail(f"does not settle: {self.tasks.backlog()} {self.tasks.unfinished_business()} {self.errors[-3:]}")

    def _all_cleaned(self) -> bool:
        return all(task.cleaned_at is not None for task in self.rows(TaskRow))

    # -- what a test looks at or breaks ---------------------------------------------------------------------

    def store(self, database: str = "main") -> Store:
        return self.assembly.raw_store(*PLACE, self.config.database(database))

    @property
    def embedder(self) -> Embedder:
        """The one below the batcher."""
        batching: Any = self.assembly.embedder(self.config.database("main"))
        inner: Embedder = batching.inner
        return inner

    def count_embedded(self) -> list[str]:
        """A list that grows by the texts that are embedded from now on."""
        texts: list[str] = []
        original = self.embedder.embed_documents

        def counted(batch: list[str]) -> Any:
            texts.extend(batch)
            return original(batch)

        self.patches.setattr(self.embedder, "embed_documents", counted)
        return texts

    def crash(self, target: Any, name: str, *, when: str, nth: int = 1) -> None:
        """Die before or after the nth call of a method."""
        original = getattr(target, name)
        calls = 0

        def crashing(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth and when == "before":
                raise Crash(name)
            result = original(*args, **kwargs)
            if calls == nth and when == "after":
                raise Crash(name)
            return result

        self.patches.setattr(target, name, crashing)

    def fail(self, target: Any, name: str, error: Exception, *, times: int = 10**9) -> None:
        """Raise instead of calling, the first `times` times."""
        original = getattr(target, name)
        left = times

        def failing(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left >= 0:
                raise error
            return original(*args, **kwargs)

        self.patches.setattr(target, name, failing)

    def rows(self, table: type[Any]) -> list[Any]:
        with self.database.read() as session:
            return list(session.scalars(select(table).order_by(*inspect(table).primary_key)))

    def states(self, task_id: str) -> dict[str, str]:
        return {each["filename"]: each["stage"] for each in self.status(task_id)["meta"]["files"]}

    def errors_of(self, task_id: str) -> dict[str, str]:
        return {each["filename"]: each["error"] for each in self.status(task_id)["meta"]["files"] if each["error"]}

    def stores(self) -> list[Store]:
        # what has been opened, also under a former configuration
        return [part for _, part in self.assembly._kept.of_kind("store")]

    def stored(self) -> dict[str, str]:
        """Record id → text, over all databases."""
        return {
            record.id: record.text
            for store in self.stores()
            for file_key, generation in store.generations()
            for record in store.records(file_key, generation)
        }

    def search(self, question: str) -> list[str]:
        database = self.config.database("main")
        store = self.assembly.store(*PLACE, database)
        vector = self.assembly.embedder(database).embed_query(question)
        return [hit.text for hit in store.search_vector(vector, limit=5, where=Filter())]


def assert_invariants(world: World) -> None:
    """What has to hold whenever nothing is going on (docs: I1 to I6)."""
    for row in world.rows(TaskFileRow):
        assert row.state in FINAL_STATES, f"{row.filename} is {row.state}"
        assert (row.lease_owner, row.lease_until) == (None, None), f"{row.filename} is leased"
        assert (row.error is not None) == (row.state in ("failed", "cancelled")), (row.state, row.error)
    for task in world.rows(TaskRow):
        assert task.finished_at is not None, "a task was left open"
        assert task.cleaned_at is not None, "a task was not cleaned up"
    _assert_store_and_files_agree(world)
    leftovers = [path for path in world.settings.projects_dir.rglob("*") if _is_leftover(path)]
    assert not leftovers, leftovers


def _assert_store_and_files_agree(world: World) -> None:
    shown = {
        (file.database, f"{file.dataset}/{file.file_hash}", file.live_generation): file.chunk_count
        for file in world.rows(FileRow)
        if file.live_generation is not None
    }
    found: Counter[tuple[str, str, str]] = Counter()
    for store in world.stores():
        for (file_key, generation), count in store.generations().items():
            found[store.identity.database, file_key, generation] += count
            _assert_sound(store, file_key, generation, count)
    assert dict(found) == shown, "what is stored and what the file table says differ"


def _assert_sound(store: Store, file_key: str, generation: str, count: int) -> None:
    records = store.records(file_key, generation)
    positions = [int(str(record.metadata["chunk_index"])) for record in records]
    assert positions == list(range(count)), "chunks are missing or there twice"
    for record in records:
        assert record.vector.shape == (store.identity.dimension,)
        assert np.isfinite(record.vector).all()
        assert np.linalg.norm(record.vector) > 0.5


def _is_leftover(path: Path) -> bool:
    return path.name.startswith(".part-") or path.name.endswith((".chunks.json", ".part"))
