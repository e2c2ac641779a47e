"""Takes away what work has left: chunks of a cancelled task, of a file, of a dataset, of a project."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from config.assemble import Assembly
from config.layout import ProjectPaths
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from config.settings import Settings
from rag.errors import RagError, UpstreamError
from rag.stores.base import Store
from state.cancellation import Cancellation, CancellationStore, Reverted
from state.database import StateDatabase
from state.generations import GenerationStore
from state.tables import TaskRow
from state.tasks import TaskStore
from workers.checkpoints import Checkpoints

log = structlog.get_logger(__name__)


class Removal:
    """The part of the dispatcher that deletes."""

    def __init__(
        self, settings: Settings, database: StateDatabase, assembly: Assembly, *, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._assembly = assembly
        self._tasks = TaskStore(database, lease_s=settings.lease_s, clock=clock)
        self._cancellations = CancellationStore(database, clock=clock)
        self._generations = GenerationStore(database)
        self._owner = f"api:{uuid.uuid4().hex[:12]}"

    def remove_chunks(self, namespace: str, project: str, config: ProjectConfig, dataset: str, file_hash: str) -> int:
        """Delete a file's chunks and keep the file; returns how many there were.

        Raises:
            UpstreamError: the store does not answer; the chunks are there and shown as before.
        """
        self._drop_work(namespace, project, dataset, file_hash)
        stores = self._stores_of(namespace, project, config, dataset)
        # First, because a file that is live without chunks would count as unchanged for ever.
        shown = self._generations.hide(namespace, project, dataset, file_hash)
        try:
            return _delete(stores, f"{dataset}/{file_hash}")
        except UpstreamError:
            self._generations.show_again(namespace, project, dataset, file_hash, shown)
            raise

    def remove_file(self, namespace: str, project: str, config: ProjectConfig, dataset: str, file_hash: str) -> int:
        """Delete everything derived from a file; its bytes are the caller's. Returns the deleted chunks.

        Raises:
            UpstreamError: the store does not answer; nothing was removed.
        """
        self._drop_work(namespace, project, dataset, file_hash)
        deleted = self._delete_chunks(namespace, project, config, dataset, [file_hash])
        self._generations.forget(namespace, project, dataset, file_hash)
        self._checkpoints(namespace, project, dataset).drop_file(file_hash)
        return deleted

    def remove_dataset(self, namespace: str, project: str, config: ProjectConfig, dataset: str) -> int:
        """The same for all files of a dataset."""
        self._drop_work(namespace, project, dataset)
        hashes = list(self._generations.of_dataset(namespace, project, dataset))
        deleted = self._delete_chunks(namespace, project, config, dataset, hashes)
        self._generations.forget(namespace, project, dataset)
        return deleted

    def remove_project(self, namespace: str, project: str, config: ProjectConfig | None) -> None:
        """Drop every database of a project and forget its files; a configuration that is broken keeps none back."""
        self._drop_work(namespace, project)
        known = {database.name: database for database in config.databases} if config else {}
        for database in {**self._former_databases(namespace, project), **known}.values():
            for each in database.everywhere:
                self._assembly.store_to_delete_from(namespace, project, each).drop()
        self.forget_project(namespace, project)
        self._assembly.forget_project(namespace, project)

    def forget_project(self, namespace: str, project: str) -> None:
        """Forget its files and tasks, also those that came in while its databases were dropped."""
        self._generations.forget(namespace, project)
        self._tasks.remove_of_project(namespace, project)

    def _former_databases(self, namespace: str, project: str) -> dict[str, DatabaseConfig]:
        """Those that tasks wrote to, as they were configured then: the file may not name them any more."""
        found = {}
        for name, config in self._tasks.last_configs(namespace, project).items():
            try:
                found[name] = ProjectConfig.parse(config).database(name)
            except RagError as error:
                log.warning("database.not_known", database=name, error=error.message)
        return found

    def _delete_chunks(
        self, namespace: str, project: str, config: ProjectConfig, dataset: str, hashes: Sequence[str]
    ) -> int:
        stores = self._stores_of(namespace, project, config, dataset)
        return sum(_delete(stores, f"{dataset}/{file_hash}") for file_hash in hashes)

    def _stores_of(self, namespace: str, project: str, config: ProjectConfig, dataset: str) -> list[list[Store]]:
        """Where chunks of a dataset may be: for each database the store in use, and those that it was moved from."""
        live = self._generations.of_dataset(namespace, project, dataset)
        names = {entry.database for entry in config.datasets if entry.name == dataset}
        names |= {each.database for each in live.values() if each.database}
        return [
            [self._assembly.store_to_delete_from(namespace, project, each) for each in database.everywhere]
            for database in config.databases
            if database.name in names
        ]

    def _drop_work(
        self, namespace: str, project: str, dataset: str | None = None, file_hash: str | None = None
    ) -> None:
        for task_id in self._cancellations.drop_work(namespace, project, dataset, file_hash):
            self._tasks.finish_if_done(task_id)  # the sweeper has it cleaned up, when no stage can be running any more

    def _checkpoints(self, namespace: str, project: str, dataset: str) -> Checkpoints:
        return Checkpoints(ProjectPaths.of(self._settings, namespace, project).dataset(dataset))

    # -- of a cancelled task --------------------------------------------------------------------------------

    def _take_back(self, cancelled: Cancellation) -> dict[str, Any]:
        """The chunks are hidden already (their generation is not live); here they are deleted."""
        task, errors = cancelled.task, []
        config = ProjectConfig.parse(task.config)
        for each in cancelled.reverted:
            try:
                self._discard(task, config, each)
            except RagError as error:
                errors.append({"file_hash": each.file_hash, "error": error.message})
        reverted_count = len(cancelled.reverted) - len(errors)
        return cancel_body(
            task.id,
            _cancel_message(reverted_count, len(errors)),
            cancelled=True,
            pending_tasks_cancelled=cancelled.pending_count,
            running_tasks_at_cancel=cancelled.running_count,
            files_reverted=reverted_count,
            files_failed_to_revert=len(errors),
            errors=errors or None,
        )

    def _discard(self, task: TaskRow, config: ProjectConfig, dead: Reverted) -> None:
        store = self._assembly.store_to_delete_from(task.namespace, task.project, config.database(task.database))
        owner = f"{self._owner}:{uuid.uuid4().hex[:8]}"
        if not self._tasks.reserve_discard(dead.file_id, owner, generation=dead.generation, database=task.database):
            return  # another task writes the same chunks now
        try:
            store.delete(f"{task.dataset}/{dead.file_hash}", dead.generation)
        finally:
            self._tasks.end_discard(dead.file_id, owner)


def _delete(stores: list[list[Store]], file_key: str) -> int:
    """How many chunks there were in the stores in use: these come last, so that one which fails leaves them whole."""
    return sum([store.delete(file_key) for store in reversed(each)][-1] for each in stores)


def cancel_body(task_id: str, message: str, *, cancelled: bool, **values: Any) -> dict[str, Any]:
    return {
        "message": message,
        "task_id": task_id,
        "cancelled": cancelled,
        "pending_tasks_cancelled": 0,
        "running_tasks_at_cancel": 0,
        "files_reverted": 0,
        "files_failed_to_revert": 0,
        "errors": None,
        "already_completed": False,
        "already_cancelled": False,
        **values,
    }


def _cancel_message(reverted_count: int, failed_count: int) -> str:
    if failed_count:
        return f"Task cancelled with cleanup issues: {reverted_count} reverted, {failed_count} failed"
    if reverted_count:
        return f"Task cancelled and {reverted_count} file(s) reverted"
    return "Task cancelled (no files to revert)"
