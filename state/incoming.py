"""Uploads on their way: written to a file of their own, which becomes part of a dataset or vanishes."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

import structlog

from rag.errors import LimitExceededError, StorageFullError
from state.file_names import StoredFile

if sys.platform != "win32":
    import fcntl

INCOMING = "incoming"
"""The folder, in each dataset's own."""
ABANDONED_AFTER_S = 5.0
DELETED_PROJECT = re.compile(r"\..+\.deleted-\d{20}")
"""What `config.loader.ProjectStore.delete` renames a project's folder to, before it removes the files."""

log = structlog.get_logger(__name__)

Take: TypeAlias = Callable[[Path, str, int, str, str | None], tuple[StoredFile, bool]]
"""(path, hash, size, name, type) → the stored file, and whether its bytes were there already."""


class IncomingFile:
    """An upload on its way. Use as a context manager: whatever is not committed leaves nothing behind."""

    def __init__(self, path: Path, stream: BinaryIO, max_bytes: int, take: Take) -> None:
        self.size = 0
        self._path = path
        self._stream = stream
        self._max_bytes = max_bytes
        self._take = take
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Append bytes. Raises LimitExceededError at the limit and StorageFullError when the disk is full."""
        if self.size + len(data) > self._max_bytes:
            raise LimitExceededError(f"the file is larger than {self._max_bytes} bytes (LF_MAX_UPLOAD_BYTES)")
        with disk_errors():
            self._stream.write(data)
        self._sha256.update(data)
        self.size += len(data)

    def commit(self, name: str, mime: str | None) -> tuple[StoredFile, bool]:
        """Make the file part of the dataset; returns it, and whether the same bytes were already there."""
        with disk_errors():
            self._stream.flush()
            os.fsync(self._stream.fileno())
        return self._take(self._path, self._sha256.hexdigest(), self.size, name, mime)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # flushing to a full disk
            self._stream.close()
        self._path.unlink(missing_ok=True)


def sweep_abandoned(folder: Path) -> None:
    """Remove uploads whose process died. A living writer holds a lock on its file, so that it is never taken away."""
    for path in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_AFTER_S and not _is_in_use(path):
                path.unlink(missing_ok=True)


def sweep_projects(projects_dir: Path) -> None:
    """The same for every dataset, at the start of a server; and what is left of projects whose deletion broke off."""
    for folder in projects_dir.glob(f"*/*/lf_data/datasets/*/{INCOMING}"):
        sweep_abandoned(folder)
    for folder in projects_dir.glob("*/.*.deleted-*"):
        if DELETED_PROJECT.fullmatch(folder.name) and not folder.is_symlink():
            shutil.rmtree(folder, onerror=_note_left)


def _note_left(_function: object, path: str, failure: tuple[type[BaseException], BaseException, object]) -> None:
    if not isinstance(failure[1], FileNotFoundError):  # another process removes the same folder
        log.warning("deleted_project.files_left", path=path, error=str(failure[1]))


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError("the disk is full; the file was not stored. Free space and try again") from error
        raise


def mark_in_use(stream: BinaryIO) -> None:
    if sys.platform != "win32":  # there, an open file cannot be removed anyway
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_in_use(path: Path) -> bool:
    if sys.platform == "win32":
        return False
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
