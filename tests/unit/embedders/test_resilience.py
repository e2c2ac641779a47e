from collections.abc import Callable

import pytest

from rag.embedders.options import BreakerOptions
from rag.embedders.resilience import CircuitBreaker, ResilientCaller
from rag.errors import EmbeddingError, InvalidInputError, UpstreamError


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def failing(times: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    calls: list[int] = []

    def function() -> str:
        calls.append(len(calls))
        if len(calls) <= times:
            raise error
        return "answer"

    return function, calls


def make_caller(clock: Clock, *, threshold: int = 5, max_retries: int = 3, fail_fast: bool = True) -> ResilientCaller:
    breaker = CircuitBreaker(BreakerOptions(failure_threshold=threshold, reset_timeout=60), clock=clock)
    return ResilientCaller("server", breaker, max_retries=max_retries, fail_fast=fail_fast, sleep=clock.sleep)


def test_outage_is_retried_with_growing_waits() -> None:
    clock = Clock()
    function, calls = failing(3, UpstreamError("down"))
    assert make_caller(clock).call(function) == "answer"
    assert len(calls) == 4
    assert clock.now_s == 0.5 + 1 + 2


@pytest.mark.parametrize("error", [EmbeddingError("zero"), InvalidInputError("no such model")])
def test_what_a_retry_cannot_help_is_not_retried_and_not_counted(error: Exception) -> None:
    caller = make_caller(Clock(), threshold=1)
    function, calls = failing(9, error)
    with pytest.raises(type(error)):
        caller.call(function)
    assert len(calls) == 1
    assert caller.breaker.state == "closed"


def test_circuit_opens_after_the_threshold_and_then_fails_at_once() -> None:
    clock = Clock()
    caller = make_caller(clock, threshold=2)
    function, calls = failing(9, UpstreamError("down"))
    with pytest.raises(UpstreamError, match="down"):
        caller.call(function)
    assert (len(calls), caller.breaker.state) == (2, "open")
    with pytest.raises(UpstreamError, match="is not asked for the next"):
        caller.call(function)
    assert len(calls) == 2


def test_one_call_is_let_through_after_the_reset_time_and_closes_the_circuit() -> None:
    clock = Clock()
    caller = make_caller(clock, threshold=1, max_retries=0)
    function, _ = failing(1, UpstreamError("down"))
    with pytest.raises(UpstreamError):
        caller.call(function)
    clock.now_s = 61
    assert caller.breaker.state == "half_open"
    assert caller.call(function) == "answer"
    assert caller.breaker.state == "closed"


def test_failure_of_the_trial_call_opens_the_circuit_again() -> None:
    clock = Clock()
    caller = make_caller(clock, threshold=1, max_retries=0)
    function, _ = failing(9, UpstreamError("down"))
    for now_s in (0, 61):
        clock.now_s = now_s
        with pytest.raises(UpstreamError, match="down"):
            caller.call(function)
    assert caller.breaker.state == "open"


def test_without_fail_fast_the_server_is_tried_while_the_circuit_is_open() -> None:
    caller = make_caller(Clock(), threshold=1, max_retries=1, fail_fast=False)
    function, calls = failing(1, UpstreamError("down"))
    assert caller.call(function) == "answer"
    assert len(calls) == 2
