"""Sends messages. A message carries ids, never contents.

Losing one costs time, not data: the sweeper sends it again.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from rag.errors import UpstreamError
from state.task_states import Stage

_FAST = {"socket_connect_timeout": 2.0, "socket_timeout": 2.0}
_CONNECT_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "timeout": 2}


class TaskQueue:
    """Every method raises UpstreamError when the broker does not answer within about two seconds."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._failures = (OperationalError, OSError, *app.connection_for_write().connection_errors)

    def send_stage(self, stage: Stage, file_ids: Iterable[int]) -> None:
        """One message per file, to the queue of its stage."""
        with self._connection() as connection, connection.Producer() as producer:
            for file_id in file_ids:
                self._app.send_task(f"paddock.{stage}", args=[file_id], queue=stage, producer=producer, retry=False)

    def send_jobs(self, stage: str, count: int) -> None:
        """Say that there may be jobs for a stage: as many messages as there are workers to wake."""
        queue = "default" if stage == "ask" else stage
        with self._connection() as connection, connection.Producer() as producer:
            for _ in range(count):
                self._app.send_task(f"paddock.job_{stage}", queue=queue, producer=producer, retry=False)

    def send(self, name: str, *args: str) -> None:
        """A message for the `default` queue."""
        with self._connection() as connection, connection.Producer() as producer:
            self._app.send_task(f"paddock.{name}", args=list(args), queue="default", producer=producer, retry=False)

    def check(self) -> None:
        with self._connection():
            pass

    def depth(self, queue: str) -> int:
        """Messages that wait in a queue."""
        with self._connection() as connection:
            return int(connection.default_channel.queue_declare(queue, durable=True).message_count)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        try:
            with self._app.connection_for_write(transport_options=_FAST) as connection:
                connection.ensure_connection(**_CONNECT_ONCE)
                yield connection
        except self._failures as error:
            address = self._app.connection_for_write().as_uri()
            raise UpstreamError(
                f"the message broker {address} does not answer ({type(error).__name__}); nothing was queued "
                "and nothing was lost. Start it again (`lf server status` shows its state) and repeat the request"
            ) from error
