"""Jobs of the LlamaCloud side, as tasks. A message says that there may be work for a stage, and nothing else."""

from typing import Any

from celery import shared_task

from workers.cloud.runner import AskPool, run_next
from workers.tasks.context import runtime_of

_asking = AskPool()


@shared_task(name="paddock.job_parse", bind=True)
def parse_job(self: Any) -> None:
    run_next(runtime_of(self), "parse")


@shared_task(name="paddock.job_embed", bind=True)
def embed_job(self: Any) -> None:
    run_next(runtime_of(self), "embed")


@shared_task(name="paddock.job_ask", bind=True)
def ask_job(self: Any) -> None:
    _asking.wake(lambda: runtime_of(self))
