"""Asks a readiness check without making the caller wait."""

import threading

from cli.checks import ReadyCheck


class Probe:
    """One question, asked in a thread of its own; a daemon, because an answer may outlive the wish for it."""

    def __init__(self, check: ReadyCheck) -> None:
        self._check = check
        self._answer: str | None = None
        self._thread = threading.Thread(target=self._ask, name="probe", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    @property
    def answer(self) -> str | None:
        return self._answer

    def _ask(self) -> None:
        self._answer = self._check()
