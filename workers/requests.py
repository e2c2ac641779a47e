"""How a worker treats messages that it cannot acknowledge, and those in hand when it is told to end."""

from typing import Any

from celery import Task
from celery.concurrency.thread import TaskPool as Threads
from celery.utils.log import get_logger
from celery.worker.request import Request

logger = get_logger(__name__)


class ReconnectingRequest(Request):  # type: ignore[misc]  # Celery carries no types
    """Lets a failed acknowledgement end the connection.

    Celery logs such a failure and goes on. The message then stays in the channel's account of what is in hand, and
    each one takes a prefetch slot for good: after a few restarts of Redis a worker waits for ever and looks healthy.
    Passing no exception types to catch lets the error reach the consumer, which reconnects with an empty account.
    The message comes again, and its second delivery finds nothing to claim.
    """

    acknowledged: bool

    def acknowledge(self) -> None:
        if not self.acknowledged:
            self.acknowledged = True
            self._on_ack(logger, ())

    def reject(self, requeue: bool = False) -> None:
        if not self.acknowledged:
            self.acknowledged = True
            self._on_reject(logger, (), requeue)

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """At the end of a worker that did not end by itself. A thread cannot be ended from outside, and Celery's pool
        of them raises where it is asked to: it ends with its process, and its lease is taken over."""
        if not isinstance(pool, Threads):
            super().cancel(pool, signal, emit_retry)


class PaddockTask(Task):  # type: ignore[misc]  # Celery carries no types
    Request = "workers.requests:ReconnectingRequest"
