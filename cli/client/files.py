"""From what was typed – files, folders, patterns – to the files that are meant."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NOTHING = "no such file, folder or match"


@dataclass(frozen=True, slots=True)
class Found:
    """`lost`: what was named or found and cannot be read, with the reason."""

    paths: list[Path]
    lost: dict[str, str]


def find_files(given: Iterable[str], *, is_recursive: bool = False, with_hidden: bool = False) -> Found:
    """Each file once, in the order of what was given.

    A folder gives the files in it, those of its subfolders only with `is_recursive`; links to folders are not
    followed there. A pattern may hold `*`, `?`, `[…]` and `**`. Names that begin with a dot are left out of folders
    and patterns unless `with_hidden`.
    """
    found: dict[Path, Path] = {}
    lost: dict[str, str] = {}

    def lose(error: OSError) -> None:
        lost[str(error.filename)] = error.strerror or str(error)

    for text in given:
        try:
            paths = list(_expand(text, lose, is_recursive=is_recursive, with_hidden=with_hidden))
            if not paths and not Path(text).expanduser().is_dir():
                lost[text] = NOTHING
        except OSError as error:  # a folder above it may not be entered
            lost[text] = error.strerror or str(error)
            continue
        for path in paths:
            found.setdefault(path.resolve(), path)
    return Found([path for path in found.values() if _is_readable(path, lose)], lost)


def _is_readable(path: Path, lose: Callable[[OSError], None]) -> bool:
    """Tried before anything is sent: in a request of many files one would spoil all."""
    try:
        path.open("rb").close()
    except OSError as error:
        lose(error)
        return False
    return True


def _expand(text: str, lose: Callable[[OSError], None], *, is_recursive: bool, with_hidden: bool) -> Iterator[Path]:
    path = Path(text).expanduser()
    if path.is_dir():
        yield from _of_folder(path, lose, is_recursive=is_recursive, with_hidden=with_hidden)
    elif path.is_file():  # before patterns: names may hold brackets
        yield path
    else:
        matches = glob.iglob(str(path), recursive=True, include_hidden=with_hidden)  # noqa: PTH207 - needs include_hidden
        yield from (match for each in sorted(matches) if (match := Path(each)).is_file())


def _of_folder(
    folder: Path, lose: Callable[[OSError], None], *, is_recursive: bool, with_hidden: bool
) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, onerror=lose):
        folders[:] = sorted(name for name in folders if with_hidden or not name.startswith(".")) if is_recursive else []
        for name in sorted(names):
            path = Path(root) / name
            if (with_hidden or not name.startswith(".")) and path.is_file():
                yield path
