"""Reads projects from disk, and remembers each until its file changes."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config.layout import CONFIG_FILE_NAMES, ProjectPaths
from config.project import ProjectConfig
from config.reading import parse_config, read_bounded
from rag.errors import ConfigError

CACHED_PROJECTS = 4096

Stamp = tuple[str, int, int, int]
"""Path, mtime in ns, size and inode: a file that changed has another one."""


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """One project as it stood on disk. Shared between callers: change nothing in it.

    Args:
        config: None when the file is broken; `validation_error` then says why.
        raw: the file's content as written; empty when it is not readable at all.
        etag: changes whenever the file's bytes do.
    """

    namespace: str
    name: str
    config: ProjectConfig | None
    raw: dict[str, Any]
    validation_error: str | None
    last_modified: datetime
    etag: str
    is_readable: bool = True
    file_name: str = CONFIG_FILE_NAMES[0]

    @property
    def file_warnings(self) -> list[str]:
        if not self.file_name.endswith(".toml"):
            return []
        sentence = (
            f"{self.file_name}: the next change over the API writes {CONFIG_FILE_NAMES[0]} in its place, without the "
            "comments, and keeps the old file as a backup"
        )
        return [sentence]


class ProjectReader:
    """Thread-safe. A file is read again whenever its stamp changed, whoever changed it."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, str], tuple[Stamp, LoadedProject]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, paths: ProjectPaths) -> LoadedProject | None:
        """None without a config file."""
        path = paths.existing_config_file
        if path is None:
            return None
        try:
            return self._read_file(paths, path)
        except FileNotFoundError:
            return None  # deleted in this very moment

    def forget(self, paths: ProjectPaths) -> None:
        with self._lock:
            self._cache.pop((paths.namespace, paths.project), None)

    def _read_file(self, paths: ProjectPaths, path: Path) -> LoadedProject:
        # Stamped before it is read: if it changes meanwhile, the next look sees another stamp and reads again.
        stamp, key = _stamp(path), (paths.namespace, paths.project)
        with self._lock:
            cached = self._cache.get(key)
            if cached is not None and cached[0] == stamp:
                self._cache.move_to_end(key)
                return cached[1]
        loaded = _load_file(paths, path)
        with self._lock:
            self._cache[key] = (stamp, loaded)
            while len(self._cache) > CACHED_PROJECTS:
                self._cache.popitem(last=False)
        return loaded


def without_file(paths: ProjectPaths) -> LoadedProject:
    """A project folder that holds no config file."""
    modified = datetime.fromtimestamp(paths.root.stat().st_mtime, UTC)
    problem = "the project has no config file"
    return LoadedProject(paths.namespace, paths.project, None, {}, problem, modified, etag="", is_readable=False)


def _load_file(paths: ProjectPaths, path: Path) -> LoadedProject:
    raw: dict[str, Any] = {}
    config, problem, is_readable, content = None, None, False, b""
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    try:
        content = read_bounded(path)
        raw = parse_config(content, path.name)
        is_readable = True
        named = {**raw, "name": paths.project, "namespace": paths.namespace}
        config = ProjectConfig.parse(named, file_name=path.name)
    except ConfigError as error:
        problem = error.message
    except PermissionError:
        problem = f"{path.name}: the server may not read the file; change its permissions"
    return LoadedProject(
        namespace=paths.namespace,
        name=paths.project,
        config=config,
        raw=raw,
        validation_error=problem,
        last_modified=modified,
        etag=hashlib.sha256(content).hexdigest()[:32],
        is_readable=is_readable,
        file_name=path.name,
    )


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino
