"""Tells the others that this worker lives: a row in the state, and a file for the supervisor once it can take work."""

import os
import socket
import threading
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rag.errors import RagError
from state.database import StateDatabase
from state.workers import WorkerRegistry

log = structlog.get_logger(__name__)

INTERVAL_S = 5.0


class Heartbeat:
    """Runs in the worker's main process, with a database of its own: pool processes are forked beside it."""

    def __init__(self, database_url: str, name: str, queues: str) -> None:
        self._registry = WorkerRegistry(StateDatabase(database_url))
        self._name = name
        self._queues = queues
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        try:
            self._registry.leave(self._name)
        except (RagError, SQLAlchemyError, OSError) as error:
            log.warning("heartbeat.not_signed_off", error=str(error))

    def _run(self) -> None:
        self._beat()
        if ready_file := os.environ.get("LF_READY_FILE"):
            Path(ready_file).touch()
        while not self._stopped.wait(INTERVAL_S):
            self._beat()

    def _beat(self) -> None:
        try:
            self._registry.beat(self._name, queues=self._queues, host=socket.gethostname(), pid=os.getpid())
        except (RagError, SQLAlchemyError, OSError) as error:  # the state is away: the next beat tries again
            log.warning("heartbeat.missed", error=str(error))
