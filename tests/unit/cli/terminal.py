"""`lf` as it runs in a terminal."""

import contextlib
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any, Self

LF = Path(sys.executable).parent / "lf"


class Terminal:
    """A command behind a pseudo-terminal."""

    def __init__(self, command: list[Any], folder: Path, home: Path) -> None:
        self._master, slave = pty.openpty()
        env = {**os.environ, "XDG_STATE_HOME": str(home / "state"), "TERM": "xterm"}
        self._process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.output = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str, timeout_s: float = 15.0) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in self.output[self._seen :]:
            assert time.monotonic() < deadline, self.output
            if select.select([self._master], [], [], 0.05)[0]:
                self.output += os.read(self._master, 65536).decode(errors="replace")
        self._seen = self.output.index(text, self._seen) + len(text)

    def read_on(self) -> None:
        """Up to the end of the command."""
        with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
            while piece := os.read(self._master, 65536):
                self.output += piece.decode(errors="replace")

    def interrupt(self) -> int:
        """Ctrl-C at a prompt: one that comes after it is shown and before readline waits is noticed with the next."""
        for _ in range(5):
            self.type("\x03")
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(3)
        return self.wait()

    def wait(self) -> int:
        return self._process.wait(15)
