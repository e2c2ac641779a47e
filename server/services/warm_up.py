"""Loads the embedding model in the background at start, so that the first question need not wait for it."""

import threading
import time
from collections.abc import Callable
from typing import Literal

import structlog

from rag.errors import RagError

log = structlog.get_logger(__name__)


class WarmUp:
    """`state` is for the health check: loading → ready or failed."""

    def __init__(self, load: Callable[[], None]) -> None:
        self._load = load
        self.state: Literal["loading", "ready", "failed"] = "loading"
        self.message = ""
        self._is_done = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="warm-up", daemon=True).start()

    def wait(self, timeout_s: float) -> None:
        """Until the model is loaded or has failed to, at most so long."""
        self._is_done.wait(timeout_s)

    def _run(self) -> None:
        try:
            self._try_to_load()
        finally:
            self._is_done.set()

    def _try_to_load(self) -> None:
        started = time.monotonic()
        try:
            self._load()
        except RagError as error:
            self.state, self.message = "failed", error.message
            log.warning("model.not_loaded", error=error.message)
            return
        except Exception as error:  # outermost handler of the thread: health must not say "loading" for ever
            self.message = f"The embedding model cannot be loaded ({type(error).__name__}); the log says why"
            self.state = "failed"
            log.exception("model.not_loaded")
            return
        self.state = "ready"
        log.info("model.loaded", duration_s=round(time.monotonic() - started, 2))
