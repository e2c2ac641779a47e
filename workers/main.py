"""What `celery -A workers.main:app worker` loads."""

import logging
import threading
from typing import Any

import structlog
from celery.signals import setup_logging, worker_ready, worker_shutting_down

from config.logging import configure_logging
from config.settings import Settings
from rag.errors import RagError
from workers.app import create_celery
from workers.heartbeat import Heartbeat
from workers.runtime import RuntimeHolder

settings = Settings()
app = create_celery(settings)
app.paddock = RuntimeHolder(settings, app)
app.conf.imports = ("workers.tasks.ingest", "workers.tasks.upkeep", "workers.tasks.cloud")
app.loader.import_default_modules()  # a worker that cannot import its tasks does not start

log = structlog.get_logger(__name__)

_CHATTY = ("celery.app.trace", "celery.beat", "celery.worker.strategy")
"""They write three lines per message; the stages write one per file that says more."""

_heartbeats: list[Heartbeat] = []


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(level=settings.log_level, as_json=settings.log_json)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


@worker_ready.connect
def _announce(sender: Any, **_: Any) -> None:
    queues = ",".join(sorted(queue.name for queue in sender.task_consumer.queues))
    heartbeat = Heartbeat(settings.state_url, sender.hostname, queues)
    heartbeat.start()
    _heartbeats.append(heartbeat)
    if "embed" in queues:
        threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    if "default" in queues:
        app.send_task("paddock.sweep", queue="default", retry=False)  # what was lost while nobody looked


def _warm_up() -> None:
    try:
        app.paddock.get().assembly.warm_up()
    except RagError as error:
        log.warning("model.not_warm", error=error.message)


@worker_shutting_down.connect
def _sign_off(**_: Any) -> None:
    for heartbeat in _heartbeats:
        heartbeat.stop()
