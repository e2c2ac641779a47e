"""Ends the parts in order: each gets its signals and its time, then SIGKILL."""

import time
from collections.abc import Callable

from cli.child import Child

POLL_S = 0.05
KILL_WAIT_S = 5.0


def stop_children(children: list[Child], wait: Callable[[float], None], is_impatient: Callable[[], bool]) -> None:
    """Stop all, rank by rank.

    Args:
        wait: sleeps at most so many seconds.
        is_impatient: true once the user has asked again; everything is killed then.
    """
    for rank in sorted({child.part.stop_rank for child in children}):
        _stop_together([child for child in children if child.part.stop_rank == rank], wait, is_impatient)


def _stop_together(children: list[Child], wait: Callable[[float], None], is_impatient: Callable[[], bool]) -> None:
    for child in children:
        child.retry_at = None
    for step in range(max(len(child.part.stop) for child in children)):
        grace_s = max((_signal(child, step) for child in children), default=0.0)
        if _wait_for_end(children, grace_s, wait, is_impatient):
            return
    for child in children:
        child.kill()
    _wait_for_end(children, KILL_WAIT_S, wait, lambda: False)


def _signal(child: Child, step: int) -> float:
    """Send the signal of this step; returns how long to wait for it."""
    if not child.is_alive or step >= len(child.part.stop):
        return 0.0
    number, grace_s = child.part.stop[step]
    child.signal(number)
    return grace_s


def _wait_for_end(
    children: list[Child], timeout_s: float, wait: Callable[[float], None], is_impatient: Callable[[], bool]
) -> bool:
    deadline = time.monotonic() + timeout_s
    while True:
        for child in children:
            child.reap()
        if not any(child.is_alive for child in children):
            return True
        if is_impatient() or time.monotonic() >= deadline:
            return False
        wait(POLL_S)
