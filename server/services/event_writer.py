"""Takes events from requests at once and writes them to the state in a thread, some at a time."""

import threading
from collections import deque
from collections.abc import Callable, Iterable

import structlog

from rag.errors import RagError
from state.events import EventStore, NewEvent

GATHER_S = 0.1
"""How long the thread waits for more events after the first."""
RETRY_S = 1.0
MAX_WAITING = 10_000
"""Events that wait while the state cannot be written; the oldest give way to newer ones."""
CLOSE_TIMEOUT_S = 2.0

log = structlog.get_logger(__name__)


class EventWriter:
    """A process that is killed loses what came in within about the last tenth of a second.

    Args:
        is_known: (namespace, project, time) → whether the project exists and did then: one that was deleted gets no
            log any more, nor does another one of its name get its events.
    """

    def __init__(self, store: EventStore, is_known: Callable[[str, str, float], bool]) -> None:
        self._store = store
        self._is_known = is_known
        self._waiting: deque[NewEvent] = deque(maxlen=MAX_WAITING)
        self._writing = threading.Lock()
        self._has_work = threading.Event()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="event-log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, event: NewEvent) -> None:
        """Never waits."""
        self._waiting.append(event)
        self._has_work.set()

    def flush(self) -> None:
        """Write what waits now; an event that cannot be written is dropped.

        Raises:
            RagError: the state does not answer; the events still wait.
        """
        with self._writing:
            batch = deque(self._waiting.popleft() for _ in range(len(self._waiting)))
            try:
                self._write(batch)
            finally:
                room = MAX_WAITING - len(self._waiting)
                self._waiting.extendleft(list(reversed(batch))[:room])

    def close(self) -> None:
        """Write what waits and end."""
        self._is_closing.set()
        self._has_work.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)
        self._try_flush()

    def _write(self, batch: deque[NewEvent]) -> None:
        """Takes out of the batch what is done with."""
        try:
            self._add(batch)
        except RagError:
            raise
        except Exception:
            log.exception("events.written_singly", count=len(batch))
        else:
            batch.clear()
        while batch:
            event = batch[0]
            try:
                self._add([event])
            except RagError:
                raise
            except Exception:
                log.exception("events.dropped", namespace=event.namespace, project=event.project, type=event.event_type)
            batch.popleft()

    def _add(self, events: Iterable[NewEvent]) -> None:
        self._store.add(list(events), self._is_wanted)

    def _is_wanted(self, event: NewEvent) -> bool:
        return self._is_known(event.namespace, event.project, event.started_at)

    def _work(self) -> None:
        while not self._is_closing.is_set():
            self._has_work.wait()
            self._is_closing.wait(GATHER_S)
            self._has_work.clear()
            if not self._try_flush():
                self._is_closing.wait(RETRY_S)
                self._has_work.set()

    def _try_flush(self) -> bool:
        try:
            self.flush()
        except RagError as error:
            log.warning("events.not_written", waiting=len(self._waiting), error=error.message)
            return False
        except Exception:  # the thread outlives it
            log.exception("events.not_written", waiting=len(self._waiting))
            return False
        return True
