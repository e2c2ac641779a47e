"""The supervisor's end of the guardian: tells it which process groups to kill should the supervisor vanish."""

import contextlib
import subprocess
import sys
from pathlib import Path

GUARDIAN = str(Path(__file__).with_name("guardian.py"))


class Guard:
    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        self._groups.add(group)
        self.ensure()
        self._tell(f"+{group}\n")

    def discard(self, group: int) -> None:
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def ensure(self) -> None:
        """Start the guardian, also again when it was killed, with all groups of now."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", GUARDIAN],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for group in self._groups:
            self._tell(f"+{group}\n")

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it was killed: the next ensure() tells a new one everything
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()
