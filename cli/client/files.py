"""From what was typed – files, folders, patterns – to the files that are meant."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.errors import UsageError


def find_files(given: Iterable[str], *, is_recursive: bool = False, with_hidden: bool = False) -> list[Path]:
    """Each file once, in the order of what was given.

    A folder gives the files in it, those of its subfolders only with `is_recursive`; links to folders are not
    followed there. A pattern may hold `*`, `?`, `[…]` and `**`. Names that begin with a dot are left out of folders
    and patterns unless `with_hidden`.

    Raises:
        UsageError: names what does not exist, or what matches nothing.
    """
    found: dict[Path, Path] = {}
    missing = []
    for text in given:
        paths = list(_expand(text, is_recursive=is_recursive, with_hidden=with_hidden))
        if not paths and not Path(text).is_dir():
            missing.append(text)
        for path in paths:
            found.setdefault(path.resolve(), path)
    if missing:
        raise UsageError(f"no such file, folder or match: {', '.join(missing)}")
    return list(found.values())


def _expand(text: str, *, is_recursive: bool, with_hidden: bool) -> Iterator[Path]:
    path = Path(text).expanduser()
    if path.is_dir():
        yield from _of_folder(path, is_recursive=is_recursive, with_hidden=with_hidden)
    elif path.is_file():  # before patterns: names may hold brackets
        yield path
    else:
        matches = glob.iglob(str(path), recursive=True, include_hidden=with_hidden)  # noqa: PTH207 - needs include_hidden
        yield from (match for each in sorted(matches) if (match := Path(each)).is_file())


def _of_folder(folder: Path, *, is_recursive: bool, with_hidden: bool) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if with_hidden or not name.startswith(".")) if is_recursive else []
        for name in sorted(names):
            path = Path(root) / name
            if (with_hidden or not name.startswith(".")) and path.is_file():
                yield path
