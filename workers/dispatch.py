"""What the server calls: starting, watching and ending work. Hides Celery, and imports no task."""

import contextlib
import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from config.assemble import Assembly
from config.layout import ProjectPaths
from config.overrides import ParserOverrides
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from config.settings import Settings
from rag.errors import NotFoundError, RagError, UpstreamError
from rag.stores.base import Store
from state.cancellation import Cancellation, CancellationStore, Reverted
from state.database import StateDatabase
from state.evaluations import KIND as EVALUATION
from state.evaluations import EvaluationStore
from state.file_names import StoredFile
from state.generations import GenerationStore
from state.tables import TaskRow
from state.task_lists import TaskLists, TaskState
from state.tasks import TaskStore
from state.upkeep_tasks import KIND as UPKEEP
from state.upkeep_tasks import UpkeepTasks
from state.workers import WorkerInfo, WorkerRegistry
from workers.app import create_celery
from workers.checkpoints import Checkpoints
from workers.evaluation_progress import evaluation_body, evaluation_summary
from workers.new_files import NewFiles
from workers.progress import file_body, task_body, task_summary
from workers.queue import TaskQueue
from workers.upkeep_progress import upkeep_body, upkeep_summary

MAX_WOKEN = 10_000
_PART_ID = re.compile(r"(?P<task>[0-9a-f-]{36})-(?P<position>[0-9]{1,9})", re.ASCII)
"""Of one file of a task, as `meta.files` gives it."""

log = structlog.get_logger(__name__)


class Dispatcher:
    """One per API process. Every method is synchronous and safe to call from several threads."""

    def __init__(
        self,
        settings: Settings,
        database: StateDatabase,
        assembly: Assembly,
        *,
        queue: TaskQueue | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._assembly = assembly
        self._tasks = TaskStore(database, lease_s=settings.lease_s, clock=clock)
        self._lists = TaskLists(database)
        self._cancellations = CancellationStore(database, clock=clock)
        self._evaluations = EvaluationStore(database, clock=clock)
        self._upkeep = UpkeepTasks(database, clock=clock)
        self._generations = GenerationStore(database)
        self._workers = WorkerRegistry(database)
        self._queue = queue or TaskQueue(create_celery(settings))
        self._owner = f"api:{uuid.uuid4().hex[:12]}"

    # -- processing -----------------------------------------------------------------------------------------

    def start_ingest(
        self,
        *,
        namespace: str,
        project: str,
        dataset: str,
        config: ProjectConfig,
        files: Sequence[StoredFile],
        request_id: str | None = None,
        overrides: ParserOverrides | None = None,
        force: bool = False,
    ) -> str:
        """Make a task for the files of a dataset and queue it; returns the task's id.

        Args:
            overrides: options of cutting for this task, instead of those that came with the files.
            force: write chunks and vectors anew also where nothing changed; those that are there answer meanwhile.

        Raises:
            BadRequestError: an override does not go with the dataset's strategy.
            NotFoundError: the dataset's strategy or database is not in the configuration any more.
            UpstreamError: the broker does not answer; no task was made.
        """
        snapshot = _snapshot(config)
        config = ProjectConfig.parse(snapshot)  # what the workers will read, so that both find the same generation
        entry = config.dataset(dataset)
        strategy, database = config.strategy(entry.data_processing_strategy), config.database(entry.database)
        self._queue.check()
        self._ensure_rows((namespace, project, dataset), files)
        task_id = str(uuid.uuid4())
        live = self._generations.of_dataset(namespace, project, dataset)
        stored = _names(ProjectPaths.of(self._settings, namespace, project).dataset(dataset).raw_dir)
        makers = NewFiles(strategy, database, overrides=overrides, mark=task_id[:8] if force else None)
        new_files = [makers.make(each, live.get(each.hash), has_bytes=each.hash in stored) for each in files]
        task = TaskRow(
            id=task_id,
            namespace=namespace,
            project=project,
            dataset=dataset,
            strategy=strategy.name,
            database=database.name,
            config=snapshot,
            request_id=request_id,
        )
        if any(each.unchanged_chunks is None for each in self._tasks.create(task, new_files)):
            self._announce("fan_out", task.id)
        return task.id

    def outdated(
        self, *, namespace: str, project: str, dataset: str, config: ProjectConfig, files: Sequence[StoredFile]
    ) -> dict[str, str]:
        """Those of the files that an ingest would have to work on: hash → the generation that it would write."""
        config = ProjectConfig.parse(_snapshot(config))
        entry = config.dataset(dataset)
        strategy, database = config.strategy(entry.data_processing_strategy), config.database(entry.database)
        live = self._generations.of_dataset(namespace, project, dataset)
        makers = NewFiles(strategy, database, overrides=None, mark=None)
        made = [makers.make(each, live.get(each.hash), has_bytes=True) for each in files]
        return {each.file_hash: each.generation for each in made if each.unchanged_chunks is None}

    def _ensure_rows(self, place: tuple[str, str, str], files: Sequence[StoredFile]) -> None:
        """A file that is removed since it was listed gets no row.

        Who removes one takes its metadata first and forgets its row then. Metadata that is there after our row
        therefore means that whoever removes the file now forgets our row as well.
        """
        self._generations.ensure(*place, {each.hash: each.original_file_name for each in files})
        namespace, project, dataset = place
        folder = ProjectPaths.of(self._settings, namespace, project).dataset(dataset).meta_dir
        present = {path.stem for path in folder.glob("*.json")}
        for each in files:
            if each.hash not in present:
                self._generations.forget(*place, each.hash)

    def start_evaluation(
        self,
        *,
        namespace: str,
        project: str,
        database: str,
        config: ProjectConfig,
        request: dict[str, Any],
        request_id: str | None = None,
    ) -> str:
        """Make a task that evaluates a database and queue it; returns the task's id.

        Args:
            request: what `workers.evaluate_stage` reads: questions or synthetic, strategies, chunkings, k.

        Raises:
            OverloadedError: too many are under way.
            UpstreamError: the broker does not answer; no task was made.
        """
        task = _whole_task(EVALUATION, (namespace, project, database), config, request_id)
        return self._start_whole(task, lambda: self._evaluations.create(task, request))

    def start_upkeep(
        self,
        *,
        namespace: str,
        project: str,
        database: str,
        config: ProjectConfig,
        work: dict[str, Any],
        title: str,
        chunk_count: int,
        request_id: str | None = None,
    ) -> str:
        """Make a task that works on a whole database and queue it; returns the task's id.

        Args:
            work: what `workers.upkeep_stage` reads.

        Raises:
            ConflictError: something is writing to the database.
            UpstreamError: the broker does not answer; no task was made.
        """
        task = _whole_task(UPKEEP, (namespace, project, database), config, request_id)
        return self._start_whole(task, lambda: self._upkeep.create(task, work, title=title, chunk_count=chunk_count))

    def _start_whole(self, task: TaskRow, create: Callable[[], int]) -> str:
        self._queue.check()
        row = create()
        try:
            self._queue.send_stage("embed", [row])
        except UpstreamError as error:  # the sweeper sends it
            log.warning("task.not_announced", name="embed", task_id=task.id, error=error.message)
        return task.id

    def announce_jobs(self, stages: Sequence[str]) -> None:
        """Wake a worker for each waiting job; those that nobody is told of are found by the sweeper."""
        for stage, count in Counter(stage for stage in stages if stage).items():
            try:
                self._queue.send_jobs(stage, min(count, MAX_WOKEN))
            except UpstreamError as error:
                log.warning("job.not_announced", stage=stage, error=error.message)

    def task_status(self, namespace: str, project: str, task_id: str) -> dict[str, Any]:
        """The body of `GET …/tasks/{task_id}`, for a task and for one of its files."""
        if part := _PART_ID.fullmatch(task_id):
            one = self._tasks.get_file(namespace, project, part["task"], int(part["position"]))
            if one is not None:
                return file_body(*one)
        found = self._tasks.get(namespace, project, task_id)
        if found is None:
            raise NotFoundError(f"Task {task_id} not found")
        if found[0].kind == UPKEEP:
            return upkeep_body(*found)
        if found[0].kind == EVALUATION:
            return evaluation_body(*found, self._evaluations.result(task_id))
        return task_body(*found)

    def task_stamp(self, namespace: str, project: str, task_id: str) -> tuple[Any, ...]:
        """Differs whenever `task_status` does, and costs less; raises NotFoundError as that does."""
        part = _PART_ID.fullmatch(task_id)
        if part and self._tasks.get_file(namespace, project, part["task"], int(part["position"])) is None:
            raise NotFoundError(f"Task {task_id} not found")
        stamp = self._lists.stamp(namespace, project, part["task"] if part else task_id)
        if stamp is None:
            raise NotFoundError(f"Task {task_id} not found")
        return stamp

    def task_list(
        self, namespace: str, project: str, *, states: Sequence[TaskState], limit: int, offset: int
    ) -> dict[str, Any]:
        """The body of `GET …/tasks`, newest first."""
        total, page = self._lists.page(namespace, project, states=states, limit=limit, offset=offset)
        summaries = {EVALUATION: evaluation_summary, UPKEEP: upkeep_summary}
        tasks = [summaries.get(each[0].kind, task_summary)(*each) for each in page]
        return {"total": total, "tasks": tasks, "limit": limit, "offset": offset}

    def failed_files(self, namespace: str, project: str, dataset: str) -> set[str]:
        """Hashes of the files that failed when they were processed last."""
        return self._lists.failed_files(namespace, project, dataset)

    def cancel(self, namespace: str, project: str, task_id: str) -> dict[str, Any]:
        """Cancel a task and take back what it wrote; the body of `DELETE …/tasks/{task_id}`."""
        cancelled = self._cancellations.cancel(namespace, project, task_id)
        if cancelled is None:
            raise NotFoundError(
                "Task not found or not a group task. Only group tasks (dataset processing) can be cancelled. "
                f"Project {namespace}/{project} has no task {task_id[:100]}"
            )
        if cancelled.has_ended:
            state = str(self.task_status(namespace, project, task_id)["state"]).lower()
            return _cancel_body(task_id, f"Task already {state}", cancelled=False, already_completed=True)
        if cancelled.report is not None:
            # The report is not there yet while the first call is still taking back, or when it broke off.
            report = cancelled.report or _cancel_body(task_id, "", cancelled=True)
            return {**report, "message": "Task already cancelled", "already_cancelled": True}
        body = self._take_back(cancelled)
        self._cancellations.save_report(task_id, body)
        if self._tasks.finish_if_done(task_id):
            self._announce("finish", task_id)
        return body

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
        return _cancel_body(
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

    # -- removing -------------------------------------------------------------------------------------------

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

    # -- health ---------------------------------------------------------------------------------------------

    def check_broker(self) -> None:
        """Raises UpstreamError when the broker does not answer within about two seconds."""
        self._queue.check()

    def workers(self) -> list[WorkerInfo]:
        """Workers that were heard of in the last seconds."""
        return self._workers.alive()

    def backlog(self) -> dict[str, int]:
        """Files per unfinished state, over all projects."""
        return self._tasks.backlog()

    def _announce(self, name: str, task_id: str) -> None:
        """The rows are committed: a message that cannot be sent is sent by the sweeper."""
        try:
            self._queue.send(name, task_id)
        except UpstreamError as error:
            log.warning("task.not_announced", name=name, task_id=task_id, error=error.message)


def _delete(stores: list[list[Store]], file_key: str) -> int:
    """How many chunks there were in the stores in use: these come last, so that one which fails leaves them whole."""
    return sum([store.delete(file_key) for store in reversed(each)][-1] for each in stores)


def _whole_task(kind: str, place: tuple[str, str, str], config: ProjectConfig, request_id: str | None) -> TaskRow:
    """Of one row that stands for the whole work on a database."""
    return TaskRow(
        id=str(uuid.uuid4()),
        kind=kind,
        namespace=place[0],
        project=place[1],
        dataset="",
        strategy="",
        database=place[2],
        config=_snapshot(config),
        request_id=request_id,
    )


def _snapshot(config: ProjectConfig) -> dict[str, Any]:
    """Without models: no task asks those that it holds, so that their keys need not be copied."""
    snapshot = config.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"prompts", "mcp"})
    return {**snapshot, "runtime": {}}


def _names(folder: Path) -> set[str]:
    """Of the plain files in a folder."""
    found = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        found = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
    return found


def _cancel_body(task_id: str, message: str, *, cancelled: bool, **values: Any) -> dict[str, Any]:
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
