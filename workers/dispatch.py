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
from config.settings import Settings
from rag.errors import NotFoundError, UpstreamError
from state.database import StateDatabase
from state.evaluations import KIND as EVALUATION
from state.evaluations import EvaluationStore
from state.file_names import StoredFile
from state.tables import TaskRow
from state.task_lists import TaskLists, TaskState
from state.upkeep_tasks import KIND as UPKEEP
from state.upkeep_tasks import UpkeepTasks
from state.workers import WorkerInfo, WorkerRegistry
from workers.app import create_celery
from workers.evaluation_progress import evaluation_body, evaluation_summary
from workers.new_files import NewFiles
from workers.progress import file_body, task_body, task_summary
from workers.queue import TaskQueue
from workers.removal import Removal, cancel_body
from workers.upkeep_progress import upkeep_body, upkeep_summary

MAX_WOKEN = 10_000
_PART_ID = re.compile(r"(?P<task>[0-9a-f-]{36})-(?P<position>[0-9]{1,9})", re.ASCII)
"""Of one file of a task, as `meta.files` gives it."""

log = structlog.get_logger(__name__)


class Dispatcher(Removal):
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
        super().__init__(settings, database, assembly, clock=clock)
        self._lists = TaskLists(database)
        self._evaluations = EvaluationStore(database, clock=clock)
        self._upkeep = UpkeepTasks(database, clock=clock)
        self._workers = WorkerRegistry(database)
        self._queue = queue or TaskQueue(create_celery(settings))

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
            return cancel_body(task_id, f"Task already {state}", cancelled=False, already_completed=True)
        if cancelled.report is not None:
            # The report is not there yet while the first call is still taking back, or when it broke off.
            report = cancelled.report or cancel_body(task_id, "", cancelled=True)
            return {**report, "message": "Task already cancelled", "already_cancelled": True}
        body = self._take_back(cancelled)
        self._cancellations.save_report(task_id, body)
        if self._tasks.finish_if_done(task_id):
            self._announce("finish", task_id)
        return body

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
