"""The beginning and the end of a task."""

from collections.abc import Mapping

import structlog
from sqlalchemy import select

from config.layout import ProjectPaths
from config.project import ProjectConfig
from rag.errors import RagError, UpstreamError
from state.cloud.ids import NAMESPACE
from state.events import EventStore
from state.generations import LiveFile
from state.incoming import sweep_projects
from state.sessions import SessionStore
from state.tables import TaskFileRow, TaskRow
from workers.checkpoints import Checkpoints
from workers.cloud.collected import ingest_ended
from workers.cloud.upkeep import tidy_cloud
from workers.migration import take_back
from workers.runtime import Runtime

log = structlog.get_logger(__name__)


def fan_out(runtime: Runtime, task_id: str) -> None:
    """Send one message for each file of a task that waits to be parsed."""
    file_ids = runtime.tasks.waiting(task_id)
    runtime.queue.send_stage("parse", file_ids)
    runtime.tasks.mark_enqueued(file_ids)


def clean_up(runtime: Runtime, task_id: str) -> None:
    """Delete what the task replaced, what it wrote in vain, and its check-points. Can run twice.

    Raises:
        UpstreamError: the store does not answer; the task stays to be cleaned up.
    """
    with runtime.database.read() as session:
        task = session.get(TaskRow, task_id)
        rows = list(session.scalars(select(TaskFileRow).where(TaskFileRow.task_id == task_id)))
    if task is None or task.finished_at is None:
        return
    if task.kind != "ingest":
        if all(take_back(runtime, task, row) for row in rows):
            runtime.tasks.mark_cleaned(task_id)
        return
    if task.namespace == NAMESPACE:
        ingest_ended(runtime, task, rows)
    live = runtime.generations.of_dataset(task.namespace, task.project, task.dataset)
    checkpoints = Checkpoints(ProjectPaths.of(runtime.settings, task.namespace, task.project).dataset(task.dataset))
    for row in rows:
        try:
            _delete_dead(runtime, task, row, live)
        except UpstreamError:
            raise
        except RagError as error:  # trying again would not help
            log.warning("task.chunks_left", task_id=task_id, file_hash=row.file_hash[:16], error=error.message)
        _drop_checkpoints(checkpoints, row, live)
    checkpoints.drop_abandoned()
    runtime.tasks.mark_cleaned(task_id)


def tidy_up(runtime: Runtime) -> None:
    """Forget what nobody asks for any more: chats that were not gone on with, tasks, jobs and events of long ago."""
    kept_s = runtime.settings.history_days * 86_400.0
    sweep_projects(runtime.settings.projects_dir)  # uploads that were cut off
    sessions, tasks = SessionStore(runtime.database).sweep(kept_s), runtime.tasks.forget_ended(kept_s)
    log_kept_s, max_events = runtime.settings.event_log_days * 86_400.0, runtime.settings.event_log_max_events
    events = EventStore(runtime.database).sweep(kept_s=log_kept_s, max_per_project=max_events)
    cloud = tidy_cloud(runtime, kept_s)
    log.info("tidied.up", sessions=sessions, tasks=tasks, events=events, **cloud)


def _drop_checkpoints(checkpoints: Checkpoints, row: TaskFileRow, live: Mapping[str, LiveFile]) -> None:
    if row.file_hash not in live:
        checkpoints.drop_file(row.file_hash)
    elif row.generation:
        checkpoints.drop_chunks(row.file_hash, row.generation)


def _delete_dead(runtime: Runtime, task: TaskRow, row: TaskFileRow, live: Mapping[str, LiveFile]) -> None:
    """Delete the chunks that this task replaced or wrote, as far as they are not live and nobody works on them."""
    shown = live.get(row.file_hash)
    was_parsed = "parser" in (row.details or {})
    candidates = {(row.previous_generation, row.previous_database)}
    if was_parsed:
        candidates.add((row.generation, task.database))
    for generation, database in candidates:
        if generation and database and (shown is None or (shown.generation, shown.database) != (generation, database)):
            _discard(runtime, task, row, generation, database)


def _discard(runtime: Runtime, task: TaskRow, row: TaskFileRow, generation: str, database: str) -> None:
    config = ProjectConfig.parse(task.config)
    if database not in [each.name for each in config.databases]:
        return  # a database that was taken out of the configuration answers nobody
    store = runtime.assembly.store_to_delete_from(task.namespace, task.project, config.database(database))
    owner = runtime.new_owner()
    if not runtime.tasks.reserve_discard(row.id, owner, generation=generation, database=database):
        return  # whoever uses it deletes it in the end
    try:
        store.delete(f"{task.dataset}/{row.file_hash}", generation)
    finally:
        runtime.tasks.end_discard(row.id, owner)
