"""Work in threads, so many at once: a slot is taken until its thread ends, whoever still waits for it."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

Result = TypeVar("Result")


async def run_in_slots(limiters: Sequence[CapacityLimiter], work: Callable[[], Result]) -> Result:
    """A slot of each is free again when the thread is, also when nobody waits for that thread any more."""
    loop, borrower, held = asyncio.get_running_loop(), object(), list[CapacityLimiter]()
    has_begun = False

    def release() -> None:
        while held:
            held.pop().release_on_behalf_of(borrower)

    def run() -> Result:
        nonlocal has_begun
        has_begun = True
        try:
            return work()
        finally:
            with suppress(RuntimeError):  # the loop has ended, and its slots with it
                loop.call_soon_threadsafe(release)

    try:
        for limiter in limiters:
            await limiter.acquire_on_behalf_of(borrower)
            held.append(limiter)
        return await to_thread.run_sync(run, abandon_on_cancel=True, limiter=CapacityLimiter(math.inf))
    except BaseException:
        if not has_begun:
            release()
        raise
