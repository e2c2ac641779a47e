"""Finds, reads, checks and writes the llamafarm.yaml of every project."""

import copy
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from config.layout import CONFIG_FILE_NAMES, ProjectPaths, check_name, is_accepted_name
from config.loaded import LoadedProject, ProjectReader, without_file
from config.problems import summarise
from config.project import DATASET_NAME, ProjectConfig
from config.public import from_public, without_file_lists
from config.reading import parse_config, plain_config
from config.settings import Settings
from config.writing import back_up, render, write_atomically
from rag.errors import BadRequestError, ConfigError, ConflictError, NotFoundError, OverloadedError

RESERVED_NAMESPACE = "llamafarm"
TEMPLATES_DIR = Path(__file__).parent / "templates"
LOCK_TIMEOUT_S = 30.0
IMPORT_LOCK_TIMEOUT_S = 1.0

_ENTITY_TAG = re.compile(r'(?P<weak>W/)?"(?P<tag>[^"]*)"')

__all__ = ["LoadedProject", "ProjectStore", "template_names"]


class ProjectStore:
    """All projects below `settings.projects_dir`. Thread-safe; several processes may share the directory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader = ProjectReader()
        self.erase_leftovers: Callable[[str, str], None] = lambda _namespace, _project: None
        """Called before a project is made whose folder is not there: one of that name may have been removed by hand."""

    def paths(self, namespace: str, project: str) -> ProjectPaths:
        return ProjectPaths.of(self._settings, namespace, project)

    def namespaces(self) -> list[str]:
        return [path.name for path in _visible_folders(self._settings.projects_dir)]

    def list(self, namespace: str) -> list[LoadedProject]:
        """By name; broken projects are included with their error, folders without a config file are not."""
        folder = self._settings.projects_dir / check_name("namespace", namespace)
        if folder.is_symlink():
            return []
        found = []
        for path in _visible_folders(folder):
            loaded = self._reader.read(ProjectPaths(namespace, path.name, self._settings.projects_dir))
            if loaded is not None:
                found.append(loaded)
        return found

    def get(self, namespace: str, project: str) -> LoadedProject:
        """The project, also when its config breaks a rule: `validation_error` then says which.

        Raises:
            NotFoundError: there is no such project.
            ConfigError: it has no config file, or one that is not readable at all.
        """
        paths = self.paths(namespace, project)
        if not paths.exists:
            raise _not_found(paths)
        loaded = self._reader.read(paths)
        if loaded is None:
            raise ConfigError(f"project {namespace}/{project} has no config file; {paths.no_config_file}")
        if not loaded.is_readable:
            raise ConfigError(loaded.validation_error or "")
        return loaded

    def load(self, namespace: str, project: str) -> ProjectConfig:
        """The checked config; raises NotFoundError and ConfigError, the latter also for a broken rule."""
        loaded = self.get(namespace, project)
        if loaded.config is None:
            raise ConfigError(loaded.validation_error or "")
        # A file that was copied from another project still names that one; the path decides.
        return loaded.config.model_copy(update={"namespace": namespace, "name": project})

    def create(self, namespace: str, name: str, template: str | None = None) -> LoadedProject:
        """Start a project from a template; None takes the one the settings name.

        Raises:
            BadRequestError: the namespace is reserved, or a name is not accepted.
            NotFoundError: no such template.
            ConflictError: the project exists.
        """
        self.paths(namespace, name)
        refuse_reserved(namespace)
        source = _template(template or self._settings.config_template)
        content = source.read_bytes()
        return self.create_with(namespace, name, parse_config(content, source.name), content)

    def create_with(self, namespace: str, name: str, config: dict[str, Any], content: bytes) -> LoadedProject:
        """Start a project with `config`, in the order and with the comments of the file `content`.

        Raises:
            BadRequestError: a name is not accepted.
            ConfigError: `config` breaks a rule; nothing is written.
            ConflictError: the project exists.
        """
        paths = self.paths(namespace, name)
        config = without_file_lists({**config, "name": name, "namespace": namespace})
        ProjectConfig.parse(config, file_name=CONFIG_FILE_NAMES[0])
        with self._locked(paths):
            if paths.is_linked or paths.existing_config_file is not None:
                raise ConflictError(f"Project {namespace}/{name} already exists")
            if not paths.exists:
                self.erase_leftovers(namespace, name)
                self._begin_anew(paths)
            _refuse_no_file(paths, paths.config_file)
            paths.root.mkdir(parents=True, exist_ok=True)
            write_atomically(paths.config_file, render(config, content, CONFIG_FILE_NAMES[0]))
        return self.get(namespace, name)

    def replace(
        self, namespace: str, project: str, config: dict[str, Any], if_match: str | None = None
    ) -> LoadedProject:
        """Store `config` in place of what is there; name and namespace are those of the path.

        Keys that `config` does not have are gone afterwards. A broken file is repaired. A secret sent as `***`
        keeps its stored value.

        Args:
            if_match: the header of this name; None replaces whatever is there.

        Raises:
            NotFoundError: there is no such project.
            ConfigError: `config` breaks a rule; nothing is written.
            ConflictError: the file changed since `if_match`; its code is PreconditionFailed.
        """
        paths = self.paths(namespace, project)
        with self._locked(paths):
            if not paths.exists:
                raise _not_found(paths)
            stored = self._reader.read(paths)
            if stored is None:
                _refuse_no_file(paths, paths.config_file)
            _check_etag(stored, if_match)
            old = {} if stored is None else stored.raw
            wanted = plain_config(config, paths.config_file.name)
            return self._write(paths, from_public(wanted, old), old)

    def edit(self, namespace: str, project: str, change: Callable[[dict[str, Any]], None]) -> LoadedProject:
        """Let `change` alter a copy of the raw config in place, then check and store it, all under one lock.

        Raises:
            NotFoundError, ConfigError: as `get`; ConfigError also when the result breaks a rule. What `change`
                raises passes through, and nothing is written.
        """
        paths = self.paths(namespace, project)
        with self._locked(paths):
            stored = self.get(namespace, project)
            config = copy.deepcopy(stored.raw)
            change(config)
            if config == stored.raw:
                return stored
            return self._write(paths, plain_config(config, paths.config_file.name), stored.raw)

    def import_lock(self, namespace: str, project: str, database: str) -> FileLock:
        """Of one database, for `DatabaseAccess.alone`."""
        paths = self.paths(namespace, project)
        folder = self._settings.data_dir / "locks" / paths.namespace
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(
            folder / f"{paths.project}.{database}.import", timeout=IMPORT_LOCK_TIMEOUT_S, poll_interval=0.01
        )

    def delete(self, namespace: str, project: str) -> LoadedProject:
        """Remove the project's folder and everything in it; returns what it was. Links are removed, not followed."""
        paths = self.paths(namespace, project)
        with self._locked(paths):
            if not paths.exists:
                raise _not_found(paths)
            loaded = self._reader.read(paths) or without_file(paths)
            # Renamed first: at once it is no project any more, also if removing its files takes a while or breaks off.
            doomed = paths.root.with_name(f".{project}.deleted-{datetime.now(UTC):%Y%m%d%H%M%S%f}")
            paths.root.rename(doomed)
            self._begin_anew(paths)
            self._reader.forget(paths)
        shutil.rmtree(doomed)
        return loaded

    def erase_missing(self, namespace: str, project: str) -> None:
        """Remove what is left of a project whose folder was removed by hand."""
        paths = self.paths(namespace, project)
        with self._locked(paths):
            if not paths.exists:
                self.erase_leftovers(namespace, project)
                self._begin_anew(paths)

    def has_since(self, namespace: str, project: str, moment: float) -> bool:
        """Whether the project is there and was already at that time, rather than another one of its name."""
        paths = self.paths(namespace, project)
        try:
            return paths.exists and self._beginning(paths).stat().st_mtime < moment
        except FileNotFoundError:
            return True

    def began_at(self, namespace: str, project: str) -> float | None:
        """When the project was made, in seconds since 1970; None where that was not kept."""
        try:
            return self._beginning(self.paths(namespace, project)).stat().st_mtime
        except FileNotFoundError:
            return None

    def _begin_anew(self, paths: ProjectPaths) -> None:
        """What is known of a project of this name from before now belongs to a former one; the lock is held."""
        mark = self._beginning(paths)
        mark.touch()
        os.utime(mark, (now := time.time(), now))  # the file system's own clock is behind

    def _beginning(self, paths: ProjectPaths) -> Path:
        return self._settings.data_dir / "locks" / paths.namespace / f"{paths.project}.began"

    def _write(self, paths: ProjectPaths, config: dict[str, Any], old: dict[str, Any]) -> LoadedProject:
        """Check and write `config`; the lock is held."""
        source = paths.existing_config_file
        target = paths.root / CONFIG_FILE_NAMES[0] if source is None or source.suffix == ".toml" else source
        _refuse_no_file(paths, target)
        kept = {**config, "name": paths.project, "namespace": paths.namespace}
        kept = without_file_lists(kept)
        ProjectConfig.parse(kept, file_name=target.name)
        _check_dataset_names(kept, old, target.name)
        previous = None if source is None else source.read_bytes()
        content = render(kept, previous if source == target else None, target.name)
        if source is not None and previous is not None:
            back_up(source, previous, datetime.now(UTC))
        write_atomically(target.resolve(), content)  # a link inside the folder stays one
        if source is not None and source != target:
            source.unlink()  # TOML has no writer here: the project goes on as YAML, the old file is the backup
        return self.get(paths.namespace, paths.project)

    @contextmanager
    def _locked(self, paths: ProjectPaths) -> Iterator[None]:
        """One writer per project, over all threads and processes."""
        # Outside the project's folder, so that deleting the project cannot remove a lock that someone waits for.
        folder = self._settings.data_dir / "locks" / paths.namespace
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{paths.project}.lock", timeout=LOCK_TIMEOUT_S, poll_interval=0.01)
        try:
            lock.acquire()
        except Timeout as error:
            raise OverloadedError(
                f"project {paths.namespace}/{paths.project} is being changed by others; try again"
            ) from error
        try:
            yield
        finally:
            lock.release()


def _refuse_no_file(paths: ProjectPaths, path: Path) -> None:
    """Raises ConfigError where something other than a file stands in the way: it may belong to someone else."""
    if sentence := paths.not_a_config_file(path):
        raise ConfigError(f"project {paths.namespace}/{paths.project} cannot be written: {sentence}")


def refuse_reserved(namespace: str) -> None:
    """Raises BadRequestError for the namespace of the built-in project, in which nobody else makes one."""
    if namespace == RESERVED_NAMESPACE:
        error = BadRequestError(f"Namespace {RESERVED_NAMESPACE} is reserved")
        error.code = "ReservedNamespace"
        raise error


def _visible_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.is_symlink() and is_accepted_name(path.name)
    )


def template_names() -> list[str]:
    return sorted(path.stem for path in TEMPLATES_DIR.glob("*.yaml"))


def _template(name: str) -> Path:
    names = template_names()
    if name not in names:
        raise NotFoundError(
            f"No config template file found for template '{name}'. Searched: {', '.join(names)}",
            code="ConfigTemplateNotFound",
        )
    return TEMPLATES_DIR / f"{name}.yaml"


def _not_found(paths: ProjectPaths) -> NotFoundError:
    return NotFoundError(f"Project {paths.namespace}/{paths.project} not found", code="ProjectNotFound")


def _check_etag(stored: LoadedProject | None, if_match: str | None) -> None:
    """As RFC 9110 says (13.1.1): `*` is any stored file, and a weak tag promises too little to match."""
    if if_match is None or (if_match.strip() == "*" and stored is not None):
        return
    accepted = {match["tag"] for match in _ENTITY_TAG.finditer(if_match) if not match["weak"]}
    if stored is None or stored.etag not in accepted:
        error = ConflictError("the project was changed by someone else since you read it; read it again, then change")
        error.code = "PreconditionFailed"
        raise error


def _check_dataset_names(config: dict[str, Any], old: dict[str, Any], file_name: str) -> None:
    """Names that stood in the file before are left alone; new ones must follow the rule."""
    before = old.get("datasets")
    known = [entry.get("name") for entry in before if isinstance(entry, dict)] if isinstance(before, list) else []
    sentences = [
        f"datasets[{index}].name = {entry['name']!r}; accepted: 1 to 100 letters, digits, '_' and '-'"
        for index, entry in enumerate(config.get("datasets") or [])
        if entry["name"] not in known and not DATASET_NAME.fullmatch(entry["name"])
    ]
    if sentences:
        raise ConfigError(summarise(sentences, file_name))
