"""The stages of a file, as tasks: the message carries the id of a row and nothing else."""

from typing import Any

from celery import shared_task

from workers.embed_stage import run_embed
from workers.parse_stage import run_parse
from workers.tasks.context import runtime_of


@shared_task(name="paddock.parse", bind=True)
def parse(self: Any, file_id: int) -> None:
    run_parse(runtime_of(self), int(file_id))


@shared_task(name="paddock.embed", bind=True)
def embed(self: Any, file_id: int) -> None:
    run_embed(runtime_of(self), int(file_id))
