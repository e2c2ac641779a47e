"""Work that an answer does not depend on, given so much time and no more."""

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from rag.errors import UpstreamError

MAX_THREADS = 64
"""Of the process. Work that nobody waits for any more keeps its thread until it ends by itself."""

Result = TypeVar("Result")

_free = threading.BoundedSemaphore(MAX_THREADS)


def within(seconds: float, what: str, work: Callable[[], Result]) -> Result:
    """What `work` gives, computed in another thread.

    Raises:
        UpstreamError: it took longer, or too many others that took longer are still under way.
    """
    ends_at = time.monotonic() + seconds
    if seconds <= 0:
        raise UpstreamError(f"no time was left for {what}")
    if not _free.acquire(timeout=seconds):
        raise UpstreamError(f"{what} was not begun: {MAX_THREADS} others are under way")
    answer: Future[Result] = Future()
    context = contextvars.copy_context()
    try:
        # A daemon, so that a server which never ends its answer does not keep this process from ending.
        threading.Thread(target=context.run, args=(_run, answer, work), name="time-box", daemon=True).start()
    except RuntimeError as error:
        _free.release()
        raise UpstreamError(f"{what} was not begun: no thread could be started") from error
    try:
        return answer.result(max(0.0, ends_at - time.monotonic()))
    except TimeoutError as error:
        if answer.done():
            raise
        raise UpstreamError(f"{what} took longer than {seconds:.3g} s") from error


def _run(answer: Future[Result], work: Callable[[], Result]) -> None:
    try:
        answer.set_result(work())
    except BaseException as error:  # noqa: BLE001  # handed to the one who waits, whatever it is
        answer.set_exception(error)
    finally:
        _free.release()
