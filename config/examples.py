"""Example projects on disk: a folder each, with a manifest, a configuration and files.

A folder without a manifest is an example too, when it holds a configuration or a folder `files`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import structlog
from pydantic import AliasChoices, Field, ValidationError

from config.components import resolve_components
from config.layout import CONFIG_FILE_NAMES, is_accepted_name
from config.problems import describe
from config.project import DATASET_NAME
from config.reading import parse_config, read_bounded
from config.runtime import with_model_list
from config.section import Section
from config.settings import Settings
from rag.errors import BadRequestError, ConfigError, NotFoundError

MANIFEST_NAMES = ("example.yaml", "manifest.yaml", "manifest.yml")
FILES_FOLDER = "files"
DOCUMENTATION = "@documentation"
"""In `ingest`: Paddock's own documentation, the one thing that an example may take from outside its folder."""

_PARENT = Path(__file__).parent
BUNDLED = next((path for path in (_PARENT / "bundled", _PARENT.parent) if (path / "examples").is_dir()), _PARENT)
"""Holds `examples/`, `docs/` and README.md: in the source tree its root, in an installed package `config/bundled`."""

log = structlog.get_logger(__name__)


class UnknownExampleError(NotFoundError):
    """No example has this id."""


class BrokenExampleError(BadRequestError):
    """The example's own files are not as they should be; the message says which."""


class _ManifestConfig(Section):
    yaml_path: str | None = None


class _ManifestDataset(Section):
    name: str = Field(min_length=1, max_length=100)
    strategy: str | None = None
    database: str | None = None
    ingest: list[str] = Field(default_factory=list, validation_alias=AliasChoices("ingest", "files"))


class _Manifest(Section):
    id: str | None = None
    slug: str | None = None
    title: str | None = None
    description: str = ""
    tags: list[str] = Field(default_factory=list)
    primary_model: str | None = Field(None, validation_alias=AliasChoices("primaryModel", "primary_model"))
    config: _ManifestConfig = Field(default_factory=_ManifestConfig)
    question: str | None = None
    datasets: list[_ManifestDataset] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ExampleDataset:
    """`strategy` and `database` are None where neither manifest nor configuration names one."""

    name: str
    ingest: tuple[str, ...]
    files: tuple[Path, ...]
    strategy: str | None = None
    database: str | None = None

    @property
    def size_bytes(self) -> int:
        return _size(self.files)


@dataclass(frozen=True)
class Example:
    """One example. `raw` is its configuration as written, without names under `components`; None when it has none."""

    id: str
    slug: str
    title: str
    description: str
    tags: tuple[str, ...]
    question: str | None
    stated_model: str | None
    folder: Path
    config_file: Path | None
    raw: dict[str, Any] | None
    datasets: tuple[ExampleDataset, ...]

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Of all datasets, each once."""
        return tuple(sorted({path for dataset in self.datasets for path in dataset.files}))

    @property
    def data_size_bytes(self) -> int:
        return _size(self.files)

    @property
    def project_files(self) -> tuple[Path, ...]:
        """Manifest and configuration."""
        manifest = _manifest_path(self.folder)
        return tuple(path for path in (manifest, self.config_file) if path is not None)

    @property
    def project_size_bytes(self) -> int:
        return _size(self.project_files)

    @property
    def updated_at(self) -> datetime:
        """When the newest of its files changed."""
        times = [path.stat().st_mtime for path in (*self.project_files, *self.files)]
        return datetime.fromtimestamp(max(times, default=self.folder.stat().st_mtime), UTC)

    @property
    def model(self) -> str:
        """The name of the model that answers when a request names none."""
        runtime = _mapping((self.raw or {}).get("runtime"))
        first: dict[str, Any] = next(iter(_mappings(with_model_list(runtime).get("models"))), {})
        return str(runtime.get("default_model") or first.get("name") or "default")

    @property
    def primary_model(self) -> str | None:
        return self.stated_model or (self.model if self.raw is not None else None)

    def dataset(self, name: str) -> ExampleDataset:
        for entry in self.datasets:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.datasets) or "none"
        raise NotFoundError(f"Dataset '{name}' not found in example '{self.id}'. Available: {known}")

    def config_for(self, namespace: str, project: str) -> dict[str, Any]:
        """The configuration of a project made from this example: with an entry for each of its datasets.

        Raises:
            BrokenExampleError: the example has no configuration.
        """
        if self.raw is None:
            raise BrokenExampleError(
                f"Example '{self.id}' has no configuration; import its data into a project of yours (import-data)"
            )
        configured = _mappings(self.raw.get("datasets"))
        present = {entry.get("name") for entry in configured}
        databases = self._parts("databases")
        more = [
            {
                "name": dataset.name,
                "database": dataset.database or next(iter(databases), "main_database"),
                **({"data_processing_strategy": dataset.strategy} if dataset.strategy else {}),
            }
            for dataset in self.datasets
            if dataset.name not in present
        ]
        datasets = {"datasets": [*configured, *more]} if more else {}
        return {**self.raw, **datasets, "name": project, "namespace": namespace}

    def database(self, name: str | None) -> dict[str, Any] | None:
        return self._parts("databases").get(name)

    def strategy(self, name: str | None) -> dict[str, Any] | None:
        return self._parts("data_processing_strategies").get(name)

    def _parts(self, section: str) -> dict[str | None, dict[str, Any]]:
        """Entries of `rag.<section>` by name, with what they take from `components` written out."""
        try:
            rag = _mapping(resolve_components(self.raw or {}).get("rag"))
        except ValueError as error:
            raise BrokenExampleError(f"Example '{self.id}': {error}") from error
        return {entry["name"]: entry for entry in _mappings(rag.get(section)) if isinstance(entry.get("name"), str)}


def examples_root(settings: Settings) -> Path:
    return (settings.examples_dir or BUNDLED / "examples").expanduser()


def documentation() -> tuple[Path, ...]:
    """Paddock's README and the pages of `docs/`."""
    return tuple(path for path in (BUNDLED / "README.md", *sorted((BUNDLED / "docs").glob("*.md"))) if path.is_file())


def list_examples(settings: Settings) -> list[Example]:
    """By id. An example that cannot be read is logged and left out."""
    found: dict[str, Example] = {}
    for folder in _folders(examples_root(settings)):
        try:
            example = _read(folder)
        except (BrokenExampleError, ConfigError) as error:
            log.warning("example.unreadable", example=folder.name, error=error.message)
            continue
        found.setdefault(example.id, example)
    return [found[key] for key in sorted(found)]


def read_example(settings: Settings, example_id: str) -> Example:
    """By id, which is the folder's name unless the manifest says another.

    Raises:
        UnknownExampleError: there is none.
        BrokenExampleError: its manifest or configuration cannot be used.
    """
    root = examples_root(settings)
    if is_accepted_name(example_id) and (folder := root / example_id) in _folders(root):
        try:
            example = _read(folder)
        except ConfigError as error:
            raise BrokenExampleError(f"Example '{example_id}': {error.message}") from error
        if example.id == example_id:
            return example
    for example in list_examples(settings):
        if example.id == example_id:
            return example
    raise UnknownExampleError(f"Example '{example_id[:100]}' not found")


def _folders(root: Path) -> list[Path]:
    """Those that hold an example; a link that leads out of `root` is none."""
    if not root.is_dir():
        return []
    inside = root.resolve()
    return sorted(
        path
        for path in root.iterdir()
        if is_accepted_name(path.name) and path.is_dir() and path.resolve().is_relative_to(inside) and _is_example(path)
    )


def _is_example(folder: Path) -> bool:
    names = (*MANIFEST_NAMES, *CONFIG_FILE_NAMES)
    return (folder / FILES_FOLDER).is_dir() or any((folder / name).is_file() for name in names)


def _manifest_path(folder: Path) -> Path | None:
    return next((path for name in MANIFEST_NAMES if (path := folder / name).is_file()), None)


def _read(folder: Path) -> Example:
    manifest = _read_manifest(folder)
    config_file = _config_file(folder, manifest)
    raw = None if config_file is None else _content(config_file, folder)
    example_id = manifest.id or folder.name
    if not is_accepted_name(example_id):
        raise BrokenExampleError(
            f"Example '{folder.name}': the id {example_id!r} is not accepted; use letters and digits"
        )
    return Example(
        id=example_id,
        slug=manifest.slug or example_id,
        title=manifest.title or example_id,
        description=manifest.description,
        tags=tuple(manifest.tags),
        question=manifest.question,
        stated_model=manifest.primary_model,
        folder=folder,
        config_file=config_file,
        raw=raw,
        datasets=tuple(_datasets(folder, raw or {}, manifest)),
    )


def _read_manifest(folder: Path) -> _Manifest:
    path = _manifest_path(folder)
    if path is None:
        return _Manifest()
    raw = _content(path, folder)
    try:
        return _Manifest.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(describe(error, raw, f"{folder.name}/{path.name}")) from None


def _content(path: Path, folder: Path) -> dict[str, Any]:
    """Shared between callers: change nothing in it."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BrokenExampleError(f"Example '{folder.name}': {path.name} is a link that leads out of its folder")
    try:
        status = path.stat()
        return _parsed(path, f"{folder.name}/{path.name}", status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise BrokenExampleError(f"Example '{folder.name}': {path.name} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=256)
def _parsed(path: Path, shown_name: str, _mtime_ns: int, _size: int) -> dict[str, Any]:
    return parse_config(read_bounded(path), shown_name)


def _config_file(folder: Path, manifest: _Manifest) -> Path | None:
    named = manifest.config.yaml_path
    if named is None:
        return next((path for name in CONFIG_FILE_NAMES if (path := folder / name).is_file()), None)
    path = folder / named
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise BrokenExampleError(f"Example '{folder.name}': config.yaml_path = '{named}' is no file in its folder")
    return path


def _datasets(folder: Path, raw: dict[str, Any], manifest: _Manifest) -> Iterator[ExampleDataset]:
    """The manifest's, then those that only the configuration has; failing both, all of `files/` in one.

    Of the second kind, files are those in `files/<dataset>/`.
    """
    configured = {str(entry["name"]): entry for entry in _mappings(raw.get("datasets")) if entry.get("name")}
    listed = {entry.name: entry for entry in manifest.datasets}
    names = list(dict.fromkeys([*listed, *configured]))
    if not names and (folder / FILES_FOLDER).is_dir():
        name = folder.name.replace(".", "_")
        names, listed = [name], {name: _ManifestDataset(name=name, ingest=[f"{FILES_FOLDER}/**/*"])}
    for name in names:
        if not DATASET_NAME.fullmatch(name):
            raise BrokenExampleError(f"Example '{folder.name}': dataset {name!r}: letters, digits, '_' and '-' only")
        entry, known = listed.get(name), configured.get(name, {})
        ingest = tuple(entry.ingest if entry and entry.ingest else [f"{FILES_FOLDER}/{name}/**/*"])
        yield ExampleDataset(
            name=name,
            ingest=ingest,
            files=tuple(sorted(set(_matches(folder, ingest)))),
            strategy=(entry.strategy if entry else None) or _text(known.get("data_processing_strategy")),
            database=(entry.database if entry else None) or _text(known.get("database")),
        )


def _matches(folder: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Plain files inside `folder` only: neither a pattern nor a link leads out of it."""
    inside = folder.resolve()
    for pattern in patterns:
        if pattern == DOCUMENTATION:
            yield from documentation()
            continue
        path = PurePosixPath(pattern)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in pattern:
            raise BrokenExampleError(f"Example '{folder.name}': ingest '{pattern}' leads out of the example's folder")
        try:
            found = list(folder.glob(pattern))
        except ValueError as error:
            raise BrokenExampleError(f"Example '{folder.name}': ingest '{pattern}' is no pattern: {error}") from error
        yield from (each for each in found if each.is_file() and each.resolve().is_relative_to(inside))


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _mapping(value: Any) -> dict[str, Any]:
    """`value` if it is one: what is no valid configuration is told when it is imported, not when it is listed."""
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
