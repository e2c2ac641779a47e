"""Where a project's files live below the data directory, and which names may become a part of a path."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from config.settings import Settings
from rag.errors import BadRequestError, NotFoundError

CONFIG_FILE_NAMES = ("llamafarm.yaml", "llamafarm.yml", "llamafarm.toml", "llamafarm.json")
"""Looked for in this order."""
MAX_NAME_CHARS = 100

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_HASH = re.compile(r"[0-9a-f]{64}")


def is_accepted_name(value: str) -> bool:
    return len(value) <= MAX_NAME_CHARS and _NAME.fullmatch(value) is not None


def check_name(kind: str, value: str) -> str:
    """Return `value` if it is safe as a part of a path.

    Args:
        kind: what is named, for the message: namespace, project, dataset …

    Raises:
        BadRequestError: names the value and what is accepted.
    """
    if not is_accepted_name(value):
        shown = value if len(value) <= MAX_NAME_CHARS else value[:MAX_NAME_CHARS] + "…"
        raise BadRequestError(
            f"{kind} {shown!r}: accepted are 1 to {MAX_NAME_CHARS} letters, digits, '_', '-' and '.', "
            "not beginning with '.'"
        )
    return value


@dataclass(frozen=True, slots=True)
class DatasetPaths:
    """The folder of one dataset. `raw` and `meta` raise NotFoundError for what is no SHA-256 in lower-case hex."""

    root: Path

    @property
    def raw_dir(self) -> Path:
        return self.root / "raw"

    @property
    def meta_dir(self) -> Path:
        return self.root / "meta"

    @property
    def index_by_name(self) -> Path:
        return self.root / "index" / "by_name"

    @property
    def text_dir(self) -> Path:
        """Parsed text, kept beside the raw files."""
        return self.root / "text"

    def raw(self, file_hash: str) -> Path:
        return self.raw_dir / _checked_hash(file_hash)

    def meta(self, file_hash: str) -> Path:
        return self.meta_dir / f"{_checked_hash(file_hash)}.json"


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """The folder of one project; made with `of`, which checks the names."""

    namespace: str
    project: str
    projects_dir: Path

    @classmethod
    def of(cls, settings: Settings, namespace: str, project: str) -> Self:
        return cls(check_name("namespace", namespace), check_name("project", project), settings.projects_dir)

    @property
    def root(self) -> Path:
        return self.projects_dir / self.namespace / self.project

    @property
    def config_file(self) -> Path:
        """The first that exists of llamafarm.yaml, .yml, .toml, .json; llamafarm.yaml when none does."""
        return self.existing_config_file or self.root / CONFIG_FILE_NAMES[0]

    @property
    def existing_config_file(self) -> Path | None:
        return next((path for name in CONFIG_FILE_NAMES if self._is_inside(path := self.root / name)), None)

    @property
    def no_config_file(self) -> str:
        """What to do about a missing config file, for people: what stands in its place, or what to add."""
        found = (self.not_a_config_file(self.root / name) for name in CONFIG_FILE_NAMES)
        return next((sentence for sentence in found if sentence), f"add {CONFIG_FILE_NAMES[0]}")

    def not_a_config_file(self, path: Path) -> str | None:
        """What stands at `path` and is neither read nor replaced: a link that leads out of the folder, a folder."""
        if path.is_symlink() and not self._is_inside(path):
            return (
                f"{path.name} is a link to no file in the project's folder, which is not followed; put the file there"
            )
        if path.exists() and not path.is_file():
            return f"{path.name} is a folder or a device, no file; remove it and put a file there"
        return None

    @property
    def lf_data(self) -> Path:
        return self.root / "lf_data"

    def dataset(self, name: str) -> DatasetPaths:
        return DatasetPaths(self.lf_data / "datasets" / check_name("dataset", name))

    @property
    def exists(self) -> bool:
        return self.root.is_dir() and not self.is_linked

    @property
    def is_linked(self) -> bool:
        """A linked folder does not count as a project: what it leads to belongs to someone else."""
        return self.root.is_symlink() or self.root.parent.is_symlink()

    def _is_inside(self, path: Path) -> bool:
        """A link counts only when it stays in the project's folder, as mounted config maps do."""
        return path.is_file() and (not path.is_symlink() or path.resolve().is_relative_to(self.root.resolve()))


def _checked_hash(file_hash: str) -> str:
    if not _HASH.fullmatch(file_hash):
        raise NotFoundError(f"File {file_hash[:80]} not found")
    return file_hash
