"""Typed lines: edited, remembered and completed where a terminal is, read as they are where none is."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

MAX_LINES = 1000


class LineEditor:
    """Raises EOFError from `read` at the end of the input."""

    def __init__(self, history: Path, commands: Sequence[str]) -> None:
        self.is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self._history = history
        if self.is_terminal:
            self._prepare(commands)

    def read(self, prompt: str) -> str:
        """One message; a line that ends with a backslash goes on in the next."""
        lines = [self._line(prompt)]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(self._line("… "))
        return "\n".join(lines).strip()

    def close(self) -> None:
        if not self.is_terminal:
            return
        import readline

        with contextlib.suppress(OSError):
            self._history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            readline.set_history_length(MAX_LINES)
            readline.write_history_file(self._history)
            self._history.chmod(0o600)

    def _line(self, prompt: str) -> str:
        if self.is_terminal:
            return input(prompt)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")

    def _prepare(self, commands: Sequence[str]) -> None:
        import readline

        def complete(text: str, number: int) -> str | None:
            matches = [name for name in commands if name.startswith(text)] if text.startswith("/") else []
            return matches[number] if number < len(matches) else None

        with contextlib.suppress(OSError):
            readline.read_history_file(self._history)
        readline.set_completer_delims(" ")
        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")
