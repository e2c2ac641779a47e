"""Uploaded files of one dataset on disk, in the layout that LlamaFarm data directories have.

`raw/{sha256}` holds the bytes, `meta/{sha256}.json` what is known about them: a file is in the dataset when its
metadata is there. An upload is written to `incoming/`, hashed on the way, and renamed at the end: nothing half is seen.
"""

import contextlib
import json
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

import structlog
from filelock import FileLock, Timeout

from config.layout import DatasetPaths
from rag.errors import NotFoundError, OverloadedError
from state.file_names import StoredFile, mime_type, safe_name, stamped_name
from state.incoming import INCOMING, IncomingFile, disk_errors, mark_in_use, sweep_abandoned

LOCK_TIMEOUT_S = 30.0
FILE_HASH = re.compile(r"[0-9a-f]{64}")

log = structlog.get_logger(__name__)


class DatasetFiles:
    """The files of one dataset. Safe for several threads and processes."""

    def __init__(self, paths: DatasetPaths) -> None:
        self._paths = paths
        self._incoming = paths.root / INCOMING

    def list(self) -> list[StoredFile]:
        """In order of upload. Damaged metadata is passed over: it names no file that could be worked on."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._paths.meta_dir) as entries:
            for entry in entries:
                stem, _, suffix = entry.name.partition(".")
                if suffix == "json" and FILE_HASH.fullmatch(stem):
                    found.append(_read(entry.path, stem, entry.stat(follow_symlinks=False)))
        return sorted((file for file in found if file is not None), key=lambda file: (file.timestamp, file.hash))

    def find(self, file_hash: str) -> StoredFile | None:
        if not FILE_HASH.fullmatch(file_hash):
            return None
        path = self._paths.meta(file_hash)
        try:
            return _read(str(path), file_hash, path.lstat())
        except OSError:
            return None

    def get(self, file_hash: str) -> StoredFile:
        file = self.find(file_hash)
        if file is None:
            raise NotFoundError(f"File {file_hash[:100]} not found")
        return file

    def receive(self, max_bytes: int) -> IncomingFile:
        """Begin an upload. Raises StorageFullError when the disk is full, NotFoundError when the project is gone."""
        folder = self._incoming
        self._make_folders()
        with disk_errors():
            sweep_abandoned(folder)
            path = folder / f"{secrets.token_hex(16)}.part"
            stream = path.open("xb")
        mark_in_use(stream)
        return IncomingFile(path, stream, max_bytes, self._take)

    def adopt(self, link: Callable[[Path], None], name: str, *, file_hash: str, mime: str | None = None) -> StoredFile:
        """Take in bytes that are on this disk already: `link` puts them where it is told to. Known ones stay.

        The metadata is not forced to disk, which takes milliseconds for each file: what a power cut takes, the caller
        puts back when it looks again at what is missing.
        """
        self._make_folders()
        path = self._incoming / f"{secrets.token_hex(16)}.part"
        try:
            link(path)
            with path.open("rb") as stream:
                mark_in_use(stream)
                return self._take(path, file_hash, path.stat().st_size, name, mime, is_forced=False)[0]
        finally:
            path.unlink(missing_ok=True)  # also after a rename: between two links to the same bytes it does nothing

    def set_overrides(self, file_hash: str, overrides: Mapping[str, Mapping[str, Any]]) -> StoredFile:
        """Keep options of cutting with a file, in place of those that it had."""
        kept = {pattern: dict(options) for pattern, options in overrides.items() if options} or None
        with self.locked():
            file = self.get(file_hash)
            if file.parser_overrides == kept:
                return file
            raw = json.loads(self._paths.meta(file_hash).read_bytes())  # whatever else it holds stays
            raw.pop("parser_overrides", None)
            with disk_errors():
                self._write_meta(file_hash, raw if kept is None else {**raw, "parser_overrides": kept})
        return replace(file, parser_overrides=kept)

    def remove(self, file_hash: str, *, with_bytes: bool) -> None:
        """Take a file out of the dataset; its bytes stay on disk unless `with_bytes`. What is gone already may be."""
        paths = self._paths
        with contextlib.suppress(NotFoundError), self.locked():
            file = self.find(file_hash)
            index = paths.index_by_name
            doomed = [index / file.resolved_file_name] if file else _links_to(index, file_hash)
            doomed += [paths.meta(file_hash), *paths.text_dir.glob(f"{file_hash}*")]
            for path in (*doomed, *([paths.raw(file_hash)] if with_bytes else [])):
                path.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove the dataset's folder; what cannot be removed is logged, as the dataset itself is gone already."""
        with contextlib.suppress(NotFoundError), self.locked():
            shutil.rmtree(self._paths.root, ignore_errors=True)
        try:
            shutil.rmtree(self._paths.root)  # once more: what uploads wrote meanwhile
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("dataset.files_left", dataset=self._paths.root.name, path=error.filename, error=error.strerror)  # noqa: TRY400

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One change to the dataset's folder at a time, over all processes.

        Raises:
            NotFoundError: the dataset has no folder, or it was deleted while this waited for the lock.
            OverloadedError: others held the lock for too long.
        """
        name = self._paths.root.name
        if not self._paths.root.is_dir():
            raise NotFoundError(f"Dataset {name} not found")
        lock = FileLock(self._paths.root / ".lock", timeout=LOCK_TIMEOUT_S)
        try:
            lock.acquire()
        except FileNotFoundError as error:
            raise NotFoundError(f"Dataset {name} not found") from error
        except Timeout as error:
            raise OverloadedError(f"dataset {name} is being changed by others; try again") from error
        try:
            if not self._paths.meta_dir.is_dir():  # the lock makes folders that were deleted a moment ago
                self._drop_bare_folders()
                raise NotFoundError(f"Dataset {name} not found")
            yield
        finally:
            lock.release()

    def _make_folders(self) -> None:
        if not self._project_root.is_dir():
            raise NotFoundError(f"Project {self._project_root.name} not found", code="ProjectNotFound")
        with disk_errors():
            for each in (self._incoming, self._paths.raw_dir, self._paths.meta_dir, self._paths.index_by_name):
                each.mkdir(parents=True, exist_ok=True)

    @property
    def _project_root(self) -> Path:
        return self._paths.root.parents[2]  # <project>/lf_data/datasets/<dataset>

    def _drop_bare_folders(self) -> None:
        """Remove the lock's file and the folders above it, up to the first that holds anything else."""
        (self._paths.root / ".lock").unlink(missing_ok=True)
        for folder in (self._paths.root, *self._paths.root.parents[:3]):
            try:
                folder.rmdir()
            except OSError:
                return

    def _take(
        self, path: Path, file_hash: str, size: int, name: str, mime: str | None, *, is_forced: bool = True
    ) -> tuple[StoredFile, bool]:
        with self.locked():
            raw = self._paths.raw(file_hash)
            known = self.find(file_hash)
            if known is not None and raw.is_file() and not raw.is_symlink():
                return known, True
            try:
                if known is not None:  # the bytes had been lost; the metadata was right
                    path.replace(raw)
                    return known, True
                file = _described(name, mime, file_hash, size, time.time())
                self._make_visible(path, raw, file, is_forced=is_forced)
            except FileNotFoundError as error:
                raise NotFoundError(f"Dataset {self._paths.root.name} was deleted during the upload") from error
            with contextlib.suppress(OSError):  # a convenience for people; some file systems have no links
                (self._paths.index_by_name / file.resolved_file_name).symlink_to(Path("../../raw") / file_hash)
            return file, False

    def _make_visible(self, path: Path, raw: Path, file: StoredFile, *, is_forced: bool) -> None:
        path.replace(raw)
        try:
            with disk_errors():
                values = {key: each for key, each in asdict(file).items() if each is not None}
                self._write_meta(file.hash, values, is_forced=is_forced)
        except BaseException:
            raw.unlink(missing_ok=True)  # bytes that nothing names would stay for ever
            raise

    def _write_meta(self, file_hash: str, values: Mapping[str, Any], *, is_forced: bool = True) -> None:
        self._incoming.mkdir(exist_ok=True)  # a dataset of an existing data directory has none
        draft = self._incoming / f"{file_hash}.{secrets.token_hex(4)}.part"
        try:
            with draft.open("x", encoding="utf-8") as stream:
                json.dump(values, stream, ensure_ascii=False, indent=2)
                stream.flush()
                if is_forced:
                    os.fsync(stream.fileno())
            draft.replace(self._paths.meta(file_hash))
        finally:
            draft.unlink(missing_ok=True)


def _links_to(folder: Path, file_hash: str) -> list[Path]:
    """For a file whose metadata, which names its link, is gone."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_symlink() and path.readlink().name == file_hash]


def _described(name: str, mime: str | None, file_hash: str, size: int, now: float) -> StoredFile:
    base = safe_name(name)
    return StoredFile(
        original_file_name=base,
        resolved_file_name=stamped_name(base, f"{now:.6f}"),
        timestamp=now,
        size=size,
        mime_type=mime_type(base, mime),
        hash=file_hash,
    )


def _read(path: str, file_hash: str, status: os.stat_result) -> StoredFile | None:
    """None for what is damaged, or no plain file: a link in the data directory may lead anywhere."""
    return _read_meta(path, file_hash, status.st_mtime_ns, status.st_size) if S_ISREG(status.st_mode) else None


@lru_cache(maxsize=100_000)
def _read_meta(path: str, file_hash: str, _mtime_ns: int, _size: int) -> StoredFile | None:
    """Cached by modification time: a dataset of 10,000 files is listed without opening 10,000 files."""
    try:
        raw = json.loads(Path(path).read_bytes())
        name = safe_name(str(raw["original_file_name"]))
        return StoredFile(
            original_file_name=name,
            resolved_file_name=safe_name(str(raw.get("resolved_file_name") or name)),
            timestamp=_finite(raw.get("timestamp")),
            size=int(raw.get("size") or 0),
            mime_type=mime_type(name, str(raw.get("mime_type"))),
            hash=file_hash,
            parser_overrides=_overrides(raw.get("parser_overrides")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _overrides(value: object) -> Mapping[str, Mapping[str, Any]] | None:
    """None for what was damaged by hand."""
    if not isinstance(value, dict) or not all(isinstance(options, dict) for options in value.values()):
        return None
    return value or None


def _finite(value: object) -> float:
    number = float(value) if isinstance(value, int | float | str) else 0.0
    return number if math.isfinite(number) else 0.0
