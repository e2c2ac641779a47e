"""A sleep that ends when a signal arrives."""

import contextlib
import os
import select
import signal


class Wakeup:
    """Python writes a byte into the pipe for each signal that has a handler; `wait` reads it."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)

    def install(self) -> None:
        """From now on signals end `wait`. To be called in the main thread."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def wait(self, timeout_s: float) -> None:
        select.select([self._reader], [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 4096)

    def close(self) -> None:
        with contextlib.suppress(ValueError):  # not the main thread: nothing was installed
            signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)
