"""Where results, remarks and failures of a command go: results to stdout, everything else to stderr."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from cli.errors import ApiError, CliError, StartFailedError, UsageError

PIPE_WIDTH = 1000
"""Columns of a table that no terminal limits: nothing is cut off."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(value: Any) -> str:
    """Text from elsewhere, without what could steer the terminal."""
    return _CONTROL.sub("", str(value))


class Output:
    """With `as_json` nothing but one document reaches stdout, and nothing but errors stderr."""

    def __init__(self, *, as_json: bool = False, is_quiet: bool = False) -> None:
        self.as_json = as_json
        self.has_remarks = not (as_json or is_quiet)

    def result(self, document: Any, show: Callable[[], None]) -> None:
        """Print what the command found: the document as JSON, or what `show` prints."""
        if self.as_json:
            self.document(document)
        else:
            show()

    def document(self, document: Any) -> None:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        try:
            text.encode(sys.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            text = json.dumps(document, indent=2)
        sys.stdout.write(text + "\n")

    def text(self, text: Any = "", *, end: str = "\n") -> None:
        """To stdout, as it is."""
        sys.stdout.write(clean(text) + end)
        sys.stdout.flush()

    def fields(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Names and values below each other; what is not known is left out."""
        known = [(name, value) for name, value in pairs if value not in (None, "")]
        width = max((len(name) for name, _ in known), default=0)
        for name, value in known:
            self.text(f"{name:<{width}}  {value}")

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """On a terminal too narrow for it hashes are shortened, and words broken only where there is no other way."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from cli.client.columns import column_widths, short_hashes

        console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
        cells = [["" if cell is None else clean(cell) for cell in row] for row in rows]
        if column_widths(headings, cells, console.width, fits_whole=True) is None:
            cells, is_shorter = short_hashes(cells)
            if is_shorter:
                self.note("hashes are shortened: a wider terminal, a pipe or --json shows them whole")
        widths: Sequence[int | None] = column_widths(headings, cells, console.width) or [None] * len(headings)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading, width in zip(headings, widths, strict=True):
            table.add_column(heading, overflow="fold", width=width)
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table, highlight=False)

    def note(self, text: Any, *, style: str = "dim", end: str = "\n") -> None:
        """A remark on stderr, which --quiet and --json leave out."""
        if self.has_remarks:
            self._say(clean(text), style, end)

    def warning(self, text: Any) -> None:
        """On stderr, also with --quiet."""
        if not self.as_json:
            self._say(clean(text), "yellow", "\n")

    def failure(self, error: CliError) -> None:
        """What ends the command, on stderr."""
        if self.as_json:
            sys.stderr.write(json.dumps(failure_document(error)) + "\n")
            return
        sys.stderr.write(f"lf: {clean(error)}\n")
        if isinstance(error, StartFailedError):
            sys.stderr.writelines(f"    {clean(line)}\n" for line in error.tail)

    def confirm(self, question: str, *, is_sure: bool) -> None:
        """Ask before something is destroyed.

        Raises:
            UsageError: nobody is there to ask.
            CliError: the answer was not yes.
        """
        if is_sure:
            return
        if self.as_json or not sys.stdin.isatty():
            raise UsageError(f"{question} Nobody can be asked here: say so with --yes")
        if not typer.confirm(clean(question), err=True):
            raise CliError("nothing was done")

    @contextmanager
    def progress(self, *columns: tuple[int, Any]) -> Any:
        """A rich progress display on stderr; silent where remarks are, or where no terminal shows it.

        Args:
            columns: each with the width that a terminal must have to show it.
        """
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        is_shown = self.has_remarks and console.is_terminal
        shown = [column for width, column in columns if console.width >= width]
        with Progress(*shown, console=console, disable=not is_shown, transient=True) as progress:
            yield progress

    def _say(self, text: str, style: str, end: str) -> None:
        from rich.console import Console

        console = Console(stderr=True)
        console.print(text, style=style, end=end, markup=False, highlight=False, soft_wrap=True)


def failure_document(error: CliError) -> dict[str, Any]:
    """What --json prints of an error."""
    document: dict[str, Any] = {"error": str(error), "exit_code": error.exit_code}
    if isinstance(error, ApiError):
        document |= {"status": error.status, "body": error.body}
    return document


def counted(count: Any, what: str) -> str:
    """`1 file`, `2 files`; `?` for what is not known."""
    return f"{'?' if count is None else count} {what}{'' if count == 1 else 's'}"


def human_size(size_bytes: Any) -> str:
    """`2.0 MB`; powers of 1024, as the server counts."""
    if not isinstance(size_bytes, int | float):
        return ""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
