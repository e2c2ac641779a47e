"""What stands between an embedder and a server that fails: retries with back-off, and a circuit breaker."""

import threading
import time
from collections.abc import Callable
from typing import Literal, TypeVar

from rag.embedders.options import BreakerOptions
from rag.errors import EmbeddingError, UpstreamError

Answer = TypeVar("Answer")

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 8.0


class CircuitBreaker:
    """Counts consecutive failures; from `failure_threshold` on it is open for `reset_timeout` seconds.

    After that one call is let through: its success closes the circuit, its failure opens it again.
    """

    def __init__(self, options: BreakerOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._failure_count = 0
        self._open_until_s: float | None = None

    @property
    def state(self) -> Literal["closed", "open", "half_open"]:
        with self._lock:
            if self._open_until_s is None:
                return "closed"
            return "open" if self._clock() < self._open_until_s else "half_open"

    def admit(self) -> float:
        """Seconds until a call is let through; 0.0 admits this one."""
        with self._lock:
            if self._open_until_s is None:
                return 0.0
            remaining_s = self._open_until_s - self._clock()
            if remaining_s > 0:
                return remaining_s
            self._open_until_s = self._clock() + self._options.reset_timeout
            return 0.0

    def record_success(self) -> None:
        with self._lock:
            self._failure_count = 0
            self._open_until_s = None

    def record_failure(self) -> None:
        with self._lock:
            self._failure_count += 1
            if self._failure_count >= self._options.failure_threshold:
                self._open_until_s = self._clock() + self._options.reset_timeout


class ResilientCaller:
    """Runs calls to one server.

    Args:
        name: of the server, for messages.
        max_retries: further attempts after an UpstreamError. EmbeddingError is an answer, not an outage: it is
            neither retried nor counted.
        fail_fast: False tries the server even while the circuit is open.
    """

    def __init__(
        self,
        name: str,
        breaker: CircuitBreaker,
        *,
        max_retries: int,
        fail_fast: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.breaker = breaker
        self._max_retries = max_retries
        self._fail_fast = fail_fast
        self._sleep = sleep

    def call(self, function: Callable[[], Answer]) -> Answer:
        for attempt in range(self._max_retries):
            try:
                return self._once(function)
            except EmbeddingError:
                raise
            except UpstreamError:
                if self._fail_fast and self.breaker.state == "open":
                    raise
                self._sleep(min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S))
        return self._once(function)

    def _once(self, function: Callable[[], Answer]) -> Answer:
        remaining_s = self.breaker.admit()
        if remaining_s > 0 and self._fail_fast:
            raise UpstreamError(
                f"{self.name} has failed repeatedly and is not asked for the next {remaining_s:.0f} s; "
                "see that it runs, then process again"
            )
        try:
            answer = function()
        except EmbeddingError:
            self.breaker.record_success()
            raise
        except UpstreamError:
            self.breaker.record_failure()
            raise
        self.breaker.record_success()
        return answer


def open_circuit(embedder: object) -> str | None:
    """Name of the server that `embedder` has given up for a while; None for one that is asked, or that has none."""
    calls = getattr(embedder, "calls", None) or getattr(getattr(embedder, "_inner", None), "calls", None)
    if not isinstance(calls, ResilientCaller) or calls.breaker.state != "open":
        return None
    return calls.name
