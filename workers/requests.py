"""How a worker treats a message that it cannot acknowledge."""

from celery import Task
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


class PaddockTask(Task):  # type: ignore[misc]  # Celery carries no types
    Request = "workers.requests:ReconnectingRequest"
