"""Says what happens to the parts: one line each, on the terminal and in `logs/supervisor.log`."""

from datetime import datetime
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.markup import escape


class Reporter(Protocol):
    def line(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...


class ConsoleReporter:
    """With `console=None` (in the background) only the log file is written."""

    def __init__(self, log_path: Path, console: Console | None) -> None:
        self._log_path = log_path
        self._console = console

    def line(self, text: str) -> None:
        self._write("info", text)
        if self._console is not None:
            self._console.print(escape(text), highlight=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        self._write("warning", text)
        if self._console is not None:
            self._console.print(f"[yellow]{escape(text)}[/yellow]", highlight=False, soft_wrap=True)

    def _write(self, level: str, text: str) -> None:
        stamp = datetime.now().astimezone().isoformat(timespec="milliseconds")
        try:
            with self._log_path.open("a", encoding="utf-8") as log:
                log.write(f"{stamp} {level} {text}\n")
        except OSError:  # a full disk must not stop the supervisor
            return
