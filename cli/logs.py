"""The log files of the parts: bounded in size, read from the end, followed."""

import shutil
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

MAX_LOG_BYTES = 20_000_000
KEPT_LOGS = 3
FOLLOW_INTERVAL_S = 0.3


def rotate(path: Path, *, max_bytes: int = MAX_LOG_BYTES, kept: int = KEPT_LOGS) -> None:
    """Set a log aside as `<name>.1` when it has grown too large; older ones move up, the oldest goes.

    The file is copied and emptied, not renamed: the part that writes it has it open for appending and goes on.
    """
    if not path.exists() or path.stat().st_size <= max_bytes:
        return
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)


def tail(path: Path, count: int) -> list[str]:
    """The last `count` lines; an absent file has none."""
    if count <= 0 or not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def follow(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """Lines that are written from this call on, with the file they came from. Never ends."""
    return _follow({path: path.stat().st_size if path.exists() else 0 for path in paths})


def _follow(offsets: dict[Path, int]) -> Iterator[tuple[Path, str]]:
    while True:
        for path in offsets:
            for line in _new_lines(path, offsets):
                yield path, line
        time.sleep(FOLLOW_INTERVAL_S)


def _new_lines(path: Path, offsets: dict[Path, int]) -> list[str]:
    if not path.exists():
        return []
    if path.stat().st_size < offsets[path]:  # it was rotated
        offsets[path] = 0
    with path.open("rb") as file:
        file.seek(offsets[path])
        new = file.read()
    complete = new[: new.rfind(b"\n") + 1]
    offsets[path] += len(complete)
    return complete.decode(errors="replace").splitlines()
