"""Keeps the leases of the files that this process has in hand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rag.errors import RagError
from state.tasks import TaskStore

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Renews in a thread of its own, because one page or one batch may take longer than a lease."""

    def __init__(self, tasks: TaskStore, *, interval_s: float) -> None:
        self._tasks = tasks
        self._interval_s = interval_s
        self._held: set[tuple[int, str]] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, file_id: int, owner: str) -> Iterator[None]:
        with self._lock:
            self._held.add((file_id, owner))
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_forever, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.discard((file_id, owner))

    def _renew_forever(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._interval_s):
            with self._lock:
                held = set(self._held)
            if not held:
                continue
            try:
                self._tasks.renew(held)
            except (RagError, SQLAlchemyError, OSError) as error:  # the state is away: the next turn tries again
                log.warning("leases.not_renewed", file_count=len(held), error=str(error))
