"""Stops the parsing of a file that nobody waits for any more, also in code that never looks up itself."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from billiard import current_process
from sqlalchemy.exc import SQLAlchemyError

from rag.errors import CancelledTaskError, RagError

LOOK_INTERVAL_S = 0.5
GRACE_S = 1.0
"""How long code that is told to stop may go on before its process is ended: a library's own loop hears nothing."""

log = structlog.get_logger(__name__)


@contextmanager
def stopped_unless(is_wanted: Callable[[], bool], *, on_stuck: Callable[[], None]) -> Iterator[None]:
    """Raise CancelledTaskError inside the block soon after `is_wanted` has become false.

    Where that does not help, and the process is one of a pool that does nothing else, the process ends: `on_stuck`
    is called before. The pool replaces it, and the message of the file comes again and finds nothing to do.
    """
    watch = _Watch(is_wanted, on_stuck, threading.get_ident())
    watch.start()
    try:
        yield
    except Exception as error:
        if watch.has_fired:  # a library may take what was raised for something else
            raise CancelledTaskError("Task cancelled") from error
        raise
    finally:
        try:
            watch.close()
        except CancelledTaskError:  # it arrived only now
            watch.close()
    if watch.has_fired:  # a library may have passed over it
        raise CancelledTaskError("Task cancelled")


class _Watch(threading.Thread):
    def __init__(self, is_wanted: Callable[[], bool], on_stuck: Callable[[], None], watched_thread: int) -> None:
        super().__init__(name="cancel-watch", daemon=True)
        self.has_fired = False
        self._is_wanted = is_wanted
        self._on_stuck = on_stuck
        self._watched_thread = watched_thread
        self._is_over = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> None:
        while not self._is_over.wait(LOOK_INTERVAL_S):
            if self._look():
                continue
            with self._lock:
                if self._is_over.is_set():
                    return
                self.has_fired = True
                _raise_in(self._watched_thread, CancelledTaskError)
            if not self._is_over.wait(GRACE_S) and current_process().daemon:
                self._end_process()
            return

    def close(self) -> None:
        """From here on nothing is raised any more."""
        self._is_over.set()
        with self._lock:
            if self.has_fired:
                _raise_in(self._watched_thread, None)

    def _look(self) -> bool:
        try:
            return self._is_wanted()
        except (RagError, SQLAlchemyError, OSError) as error:  # the state is away: the next look tells
            log.warning("cancel_watch.not_looked", error=str(error))
            return True

    def _end_process(self) -> None:
        try:
            self._on_stuck()
        except (RagError, SQLAlchemyError, OSError) as error:  # the sweeper ends the file once its lease is over
            log.warning("cancel_watch.not_ended", error=str(error))
        with self._lock:
            if not self._is_over.is_set():  # or else the process may have the next file in hand
                log.warning("cancel_watch.process_ended", pid=os.getpid())
                os.kill(os.getpid(), signal.SIGKILL)


def _raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """Have `error` raised in a thread between two of its steps; None takes back what was not raised yet."""
    what = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), what)
