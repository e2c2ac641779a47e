"""Bytes of files of one project, each kept once: `lf_data/cloud/files/{sha256}`.

An upload is written beside them, hashed on the way, and renamed at the end. Files of the same content share their
bytes; these go with the last of them.
"""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePath

from config.layout import ProjectPaths
from config.settings import Settings
from rag.errors import NotFoundError
from state.cloud.ids import NAMESPACE
from state.file_names import StoredFile, mime_type, safe_name
from state.incoming import IncomingFile, disk_errors, mark_in_use, sweep_abandoned

CLOUD = "cloud"
PARSED = "parsed"
JOBS = "jobs"
HASH = re.compile("[0-9a-f]{64}")


class CloudFiles:
    """`root` is the folder of everything that the LlamaCloud side keeps on disk for one project.

    Folders are made in a project that is there: work that outlives its project's deletion brings none of it back.
    """

    def __init__(self, paths: ProjectPaths) -> None:
        self._project = paths.root
        self.root = paths.lf_data / CLOUD
        self._files = self.root / "files"
        self._incoming = self.root / "incoming"

    @classmethod
    def of(cls, settings: Settings, project_id: str) -> "CloudFiles":
        return cls(ProjectPaths.of(settings, NAMESPACE, project_id))

    def receive(self, max_bytes: int) -> IncomingFile:
        """Begin an upload; `commit` gives a StoredFile of which name, size, type and hash are meant."""
        self._require_project()
        with disk_errors():
            for each in (self._files, self._incoming):
                each.mkdir(parents=True, exist_ok=True)
            sweep_abandoned(self._incoming)
            path = self._incoming / f"{secrets.token_hex(16)}.part"
            stream = path.open("xb")
        mark_in_use(stream)
        return IncomingFile(path, stream, max_bytes, self._take)

    def path(self, file_hash: str, name: str | None = None) -> Path:
        """Raises NotFoundError when the bytes are gone; the error calls the file by its name."""
        path = self._files / file_hash
        if path.is_symlink() or not path.is_file():
            named = f"'{name}'" if name else "the file"
            raise NotFoundError(f"{named} is not stored any more: it was deleted; upload it again")
        return path

    def remove(self, file_hash: str) -> None:
        """With every text that was read from them."""
        (self._files / file_hash).unlink(missing_ok=True)
        self.drop_parsed(file_hash)

    def drop_parsed(self, file_hash: str) -> None:
        for path in (self.root / PARSED).glob(f"{PurePath(file_hash).name}.*"):
            path.unlink(missing_ok=True)

    def older_than(self, seconds: float) -> list[str]:
        """Hashes of the bytes that were brought last so long ago, sorted."""
        named = (each for each in _entries(self._files) if HASH.fullmatch(each))
        return sorted(each for each in named if self.is_older_than(each, seconds))

    def is_older_than(self, file_hash: str, seconds: float) -> bool:
        return _age(self._files / file_hash) > seconds

    def sweep_parsed(self) -> int:
        """Drop texts of which the bytes are gone: of a reading that was under way while they went.

        Returns:
            How many there were.
        """
        names = (each for each in _entries(self.root / PARSED) if not each.startswith("."))  # one being written
        doomed = [each for each in names if not (self._files / each.partition(".")[0]).is_file()]
        for each in doomed:
            (self.root / PARSED / each).unlink(missing_ok=True)
        return len(doomed)

    def sweep_jobs(self, seconds: float, known: Callable[[list[str]], set[str]]) -> int:
        """Drop what is kept for jobs that there are no more.

        Args:
            seconds: what was changed within them stays: somebody may be at it.
            known: which of these ids are those of jobs.

        Returns:
            How many there were.
        """
        folder = self.root / JOBS
        ids = {name: name.removesuffix(".npz") for name in _entries(folder) if _age(folder / name) > seconds}
        kept = known(sorted(set(ids.values())))
        doomed = [folder / name for name, job_id in ids.items() if job_id not in kept]
        for each in doomed:
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
        return len(doomed)

    def link_into(self, file_hash: str, target: Path) -> None:
        """Have the bytes at `target` as well, without copying them where the file system allows that."""
        source, draft = self.path(file_hash), target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            os.link(source, draft)
        except OSError:
            _copy(source, draft)
        with disk_errors():
            draft.replace(target)

    def folder(self, *parts: str) -> Path:
        """A folder of its own kind, such as `jobs/<id>`; made when it is missing.

        Raises:
            NotFoundError: the project was deleted.
        """
        self._require_project()
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def has_project(self) -> bool:
        return self._project.is_dir()

    def _require_project(self) -> None:
        if not self.has_project:
            raise NotFoundError(f"Project {self._project.name!r} was deleted; nothing is kept for it any more")

    def _take(self, path: Path, file_hash: str, size: int, name: str, mime: str | None) -> tuple[StoredFile, bool]:
        target = self._files / file_hash
        is_known = target.is_file() and not target.is_symlink()
        if is_known:
            os.utime(target)  # it came anew: `older_than` must not take it for something left over
        else:
            path.replace(target)
        base = safe_name(name)
        stored = StoredFile(
            original_file_name=base,
            resolved_file_name=base,
            timestamp=target.stat().st_mtime,
            size=size,
            mime_type=mime_type(base, mime),
            hash=file_hash,
        )
        return stored, is_known


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` fill a file beside `path`, which then takes its place: nothing half is ever read."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with disk_errors():
            write(draft)
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with disk_errors(), contextlib.ExitStack() as stack:
        reading = stack.enter_context(source.open("rb"))
        writing = stack.enter_context(target.open("xb"))
        while block := reading.read(1 << 20):
            writing.write(block)


def _age(path: Path) -> float:
    """Seconds since the last change; 0 when it is gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _entries(folder: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return [each.name for each in folder.iterdir()]
    return []
