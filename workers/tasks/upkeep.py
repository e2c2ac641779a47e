"""What keeps the ingest going: fanning out, cleaning up after a task, and finding what was lost."""

from typing import Any

import structlog
from celery import shared_task

from rag.errors import UpstreamError
from workers.sweeper import sweep as sweep_once
from workers.tasks.context import runtime_of
from workers.upkeep import clean_up, fan_out, tidy_up

log = structlog.get_logger(__name__)


@shared_task(name="paddock.fan_out", bind=True)
def fan_out_task(self: Any, task_id: str) -> None:
    try:
        fan_out(runtime_of(self), task_id)
    except UpstreamError as error:
        log.warning("task.not_fanned_out", task_id=task_id, error=error.message)  # the sweeper sends the rest


@shared_task(name="paddock.finish", bind=True)
def finish(self: Any, task_id: str) -> None:
    try:
        clean_up(runtime_of(self), task_id)
    except UpstreamError as error:
        log.warning("task.clean_up_postponed", task_id=task_id, error=error.message)  # the sweeper sends it again


@shared_task(name="paddock.tidy", bind=True)
def tidy(self: Any) -> None:
    tidy_up(runtime_of(self))


@shared_task(name="paddock.sweep", bind=True, expires=30)
def sweep(self: Any) -> None:
    sweep_once(runtime_of(self))
