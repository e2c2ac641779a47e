"""The beginning and the end of a task."""

from sqlalchemy import select

from config.layout import ProjectPaths
from config.project import ProjectConfig
from state.tables import TaskFileRow, TaskRow
from workers.checkpoints import Checkpoints
from workers.runtime import Runtime


def fan_out(runtime: Runtime, task_id: str) -> None:
    """Send one message for each file of a task that waits to be parsed."""
    file_ids = runtime.tasks.waiting(task_id)
    runtime.queue.send_stage("parse", file_ids)
    runtime.tasks.mark_enqueued(file_ids)


def clean_up(runtime: Runtime, task_id: str) -> None:
    """Delete what the task replaced, and its check-points. Can run twice."""
    with runtime.database.read() as session:
        task = session.get(TaskRow, task_id)
        rows = list(session.scalars(select(TaskFileRow).where(TaskFileRow.task_id == task_id)))
    if task is None:
        return
    checkpoints = Checkpoints(ProjectPaths.of(runtime.settings, task.namespace, task.project).dataset(task.dataset))
    for row in rows:
        if row.state == "processed":
            _delete_replaced(runtime, task, row)
        if row.generation:
            checkpoints.drop_chunks(row.file_hash, row.generation)
    runtime.tasks.mark_cleaned(task_id)


def _delete_replaced(runtime: Runtime, task: TaskRow, row: TaskFileRow) -> None:
    """Only what is not live now: a later task may have gone back to the same options."""
    if row.previous_generation is None or row.previous_generation == row.generation:
        return
    live = runtime.generations.of_file(task.namespace, task.project, task.dataset, row.file_hash)
    if live is not None and live.generation == row.previous_generation:
        return
    config = ProjectConfig.parse(task.config)
    known = [database.name for database in config.databases]
    if row.previous_database in known:
        store = runtime.assembly.raw_store(task.namespace, task.project, config.database(row.previous_database))
        store.delete(f"{task.dataset}/{row.file_hash}", row.previous_generation)
