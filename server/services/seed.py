"""The built-in project `llamafarm/project_seed`, which answers questions about Paddock from its own documentation.

Its configuration is made at start. Its files are taken in and processed when the first question comes: a server that
nobody asks about itself pays nothing for it.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog
from anyio import CapacityLimiter, to_thread

from config import examples
from config.layout import CONFIG_FILE_NAMES
from config.loader import LoadedProject, ProjectStore
from config.project import ProjectConfig
from config.reading import parse_config
from config.writing import render, write_atomically
from rag.errors import ConflictError, RagError
from rag.retrievers.base import Query
from server.services.file_import import FileImport
from server.services.health import SEED_PROJECT
from server.services.rag import Found, Searcher
from state.generations import GenerationStore
from state.workers import WorkerInfo

SEED_FILE = Path(examples.__file__).parent / "seed_project.yaml"
DATASET = "paddock_documentation"
RECORD = "seed.json"
"""In the project's `lf_data`: what this server put there itself, and so may replace by a newer version."""
WAIT_S = 20.0
POLL_S = 0.1
WAITING_THREADS = 2
"""Own ones: many first questions at once must not take those that other requests need."""

log = structlog.get_logger(__name__)


class SeedDispatcher(Protocol):
    """The part of `workers.dispatch.Dispatcher` that is needed here."""

    def task_status(self, namespace: str, project: str, task_id: str) -> dict[str, Any]: ...

    def workers(self) -> list[WorkerInfo]: ...


class SeedProject:
    """Safe for several processes over one data directory: each step is done once or can be done twice."""

    def __init__(
        self,
        projects: ProjectStore,
        files: FileImport,
        generations: GenerationStore,
        dispatcher: SeedDispatcher,
        *,
        pages: Callable[[], Sequence[Path]] = examples.documentation,
        wait_s: float = WAIT_S,
    ) -> None:
        self._projects = projects
        self._files = files
        self._generations = generations
        self._dispatcher = dispatcher
        self._pages = pages
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self.is_ready = False
        self._task_id: str | None = None

    # -- configuration --------------------------------------------------------------------------------------

    def install(self, content: bytes | None = None) -> None:
        """Make the project if it is missing; bring one that nobody edited to this version. A failure is only logged."""
        content = SEED_FILE.read_bytes() if content is None else content
        try:
            self._install(content)
        except (RagError, OSError) as error:
            log.warning("seed.not_installed", error=str(error))

    def _install(self, content: bytes) -> None:
        config = {
            **parse_config(content, SEED_FILE.name),
            "namespace": SEED_PROJECT[0],
            "name": SEED_PROJECT[1],
        }
        version = _digest(content)
        try:
            self._record(etag=self._projects.create_with(*SEED_PROJECT, config, content).etag, version=version)
        except ConflictError:
            self._upgrade(config, content, version)

    def _upgrade(self, config: dict[str, Any], content: bytes, version: str) -> None:
        stored, record = self._projects.get(*SEED_PROJECT), self._recorded()
        if stored.etag == _digest(render(config, content, CONFIG_FILE_NAMES[0])):
            self._record(etag=stored.etag, version=version)
        elif stored.etag == record.get("etag") and version != record.get("version"):
            self._replace(stored, config, version)

    def _replace(self, stored: LoadedProject, config: dict[str, Any], version: str) -> None:
        try:
            replaced = self._projects.replace(*SEED_PROJECT, config, if_match=f'"{stored.etag}"')
        except ConflictError:
            return  # another process was quicker, or somebody edits it this very moment
        self._record(etag=replaced.etag, version=version)

    # -- documentation --------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Have the documentation in its dataset and processed. Waits for a while, then lets the question pass.

        A failure is only logged: a question can be answered from what is there.
        """
        if self.is_ready or not self._lock.acquire(timeout=self._wait_s):
            return
        try:
            self.is_ready = self._prepared()
        except (RagError, OSError) as error:
            log.warning("seed.not_prepared", error=str(error))
        finally:
            self._lock.release()

    def _prepared(self) -> bool:
        """Whether there is nothing left to do."""
        if self.is_ready:
            return True  # while this waited for the lock
        if DATASET not in [entry.name for entry in self._projects.load(*SEED_PROJECT).datasets]:
            return True  # somebody made the project their own
        if self._task_id is None or self._has_ended(self._task_id):
            self._task_id = self._brought_in()
        return self._task_id is None or self._is_processed(self._task_id)

    def _brought_in(self) -> str | None:
        """Take in new and changed pages; returns the task that processes what is not processed yet, if anything."""
        place = (*SEED_PROJECT, DATASET)
        present = {file.hash: file for file in self._files.stored(place).list()}
        pages = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in self._pages()}
        taken = self._files.take(place, [path for key, path in pages.items() if key not in present])
        for old in set(self._recorded().get("files") or ()) & set(present) - set(pages):
            self._files.remove(place, old)
        self._record(files=sorted(pages))
        live = self._generations.of_dataset(*place)
        files = [*taken, *(present[key] for key in pages if key in present)]
        open_files = [file for file in files if file.hash not in live or live[file.hash].generation is None]
        return self._files.process(place, open_files, None)

    def _is_processed(self, task_id: str) -> bool:
        deadline = time.monotonic() + self._wait_s
        while not (has_ended := self._has_ended(task_id)) and time.monotonic() < deadline:
            if not self._dispatcher.workers():
                log.warning("seed.not_prepared", error="no worker is running")
                return False
            time.sleep(POLL_S)
        return has_ended

    def _has_ended(self, task_id: str) -> bool:
        return self._dispatcher.task_status(*SEED_PROJECT, task_id)["state"] in ("SUCCESS", "FAILURE")

    # -- record ---------------------------------------------------------------------------------------------

    def _recorded(self) -> dict[str, Any]:
        try:
            found = json.loads(self._record_path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _record(self, **values: Any) -> None:
        self._record_path.parent.mkdir(exist_ok=True)
        write_atomically(self._record_path, json.dumps({**self._recorded(), **values}, indent=2).encode())

    @property
    def _record_path(self) -> Path:
        return self._projects.paths(*SEED_PROJECT).lf_data / RECORD


class SeedSearcher(Searcher):
    """Searches; before the first search in the built-in project, its documentation is taken in."""

    def __init__(self, seed: SeedProject, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seed = seed
        self._waiting = CapacityLimiter(WAITING_THREADS)

    async def search(self, config: ProjectConfig, queries: Sequence[Query], **options: Any) -> Found:
        if not self._seed.is_ready and (config.namespace, config.name) == SEED_PROJECT:
            await to_thread.run_sync(self._seed.prepare, limiter=self._waiting)
        return await super().search(config, queries, **options)


def _digest(content: bytes) -> str:
    """As the etag of a project."""
    return hashlib.sha256(content).hexdigest()[:32]
