"""`lf server logs`: one part, or all with their names in front."""

import contextlib
import sys
from pathlib import Path

from cli.errors import CliError
from cli.logs import follow, tail
from cli.state_file import log_dir


def show_logs(data_dir: Path, part: str | list[str] | None, count: int, *, is_following: bool) -> None:
    """Print the last `count` lines of each log, then new ones until Ctrl-C.

    Raises:
        CliError: there is no such log; names those that exist.
    """
    paths = _paths(log_dir(data_dir), part)
    has_prefix = not isinstance(part, str)
    new_lines = follow(paths)  # before the present ones are read: a line in between comes twice rather than never
    for path in paths:
        for line in tail(path, count):
            _print(path, line, has_prefix=has_prefix)
    if is_following:
        with contextlib.suppress(KeyboardInterrupt):
            for path, line in new_lines:
                _print(path, line, has_prefix=has_prefix)
                sys.stdout.flush()


def _paths(folder: Path, part: str | list[str] | None) -> list[Path]:
    known = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if isinstance(part, list):
        return [known[name] for name in part]
    if part is None:
        if not known:
            raise CliError(f"no logs in {folder}: nothing has been started on this data directory")
        return list(known.values())
    if part not in known:
        raise CliError(f"no log of {part!r} in {folder}: there are {', '.join(known) or 'none'}")
    return [known[part]]


def _print(path: Path, line: str, *, has_prefix: bool) -> None:
    sys.stdout.write(f"{path.stem:<15} | {line}\n" if has_prefix else f"{line}\n")
