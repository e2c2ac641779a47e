"""Keeps the leases of the files and jobs that this process has in hand."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rag.errors import RagError

log = structlog.get_logger(__name__)


LeaseId = TypeVar("LeaseId", int, str)
RowId_contra = TypeVar("RowId_contra", int, str, contravariant=True)


class Renewing(Protocol[RowId_contra]):
    """What keeps the rows: of files, or of jobs."""

    def renew(self, leases: "Collection[tuple[RowId_contra, str]]") -> None: ...


class LeaseKeeper(Generic[LeaseId]):
    """Renews in a thread of its own, because one page or one batch may take longer than a lease."""

    def __init__(self, rows: Renewing[LeaseId], *, interval_s: float) -> None:
        self._rows: Renewing[LeaseId] = rows
        self._interval_s = interval_s
        self._held: set[tuple[LeaseId, str]] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, row_id: LeaseId, owner: str) -> Iterator[None]:
        with self._lock:
            self._held.add((row_id, owner))
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_forever, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.discard((row_id, owner))

    def _renew_forever(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._interval_s):
            with self._lock:
                held = set(self._held)
            if not held:
                continue
            try:
                self._rows.renew(held)
            except (RagError, SQLAlchemyError, OSError) as error:  # the state is away: the next turn tries again
                log.warning("leases.not_renewed", count=len(held), error=str(error))
