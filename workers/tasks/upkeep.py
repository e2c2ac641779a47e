"""What keeps the ingest going: fanning out, cleaning up after a task, and finding what was lost."""

from typing import Any

from celery import shared_task

from rag.errors import UpstreamError
from workers.sweeper import sweep as sweep_once
from workers.tasks.context import runtime_of
from workers.upkeep import clean_up, fan_out


@shared_task(name="paddock.fan_out", bind=True)
def fan_out_task(self: Any, task_id: str) -> None:
    fan_out(runtime_of(self), task_id)


@shared_task(
    name="paddock.finish",
    bind=True,
    autoretry_for=(UpstreamError,),
    retry_backoff=2,
    retry_backoff_max=60,
    max_retries=8,
)
def finish(self: Any, task_id: str) -> None:
    clean_up(runtime_of(self), task_id)


@shared_task(name="paddock.sweep", bind=True, expires=30)
def sweep(self: Any) -> None:
    sweep_once(runtime_of(self))
