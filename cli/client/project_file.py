"""The llamafarm.yaml of the folder a command is called in: which project it means."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.client.api import segment
from cli.errors import CliError, UsageError


@dataclass(frozen=True, slots=True)
class ProjectName:
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Where the project's routes begin."""
        return f"/v1/projects/{segment(self.namespace)}/{segment(self.name)}"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def find_file(folder: Path) -> Path | None:
    from config.layout import CONFIG_FILE_NAMES

    return next((path for name in CONFIG_FILE_NAMES if (path := folder / name).is_file()), None)


def read_file(path: Path) -> dict[str, Any]:
    """Raises CliError: it cannot be read, or is no mapping."""
    from config.checking import read_config

    try:
        content, problem = read_config(path)
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}") from error
    if problem is not None:
        raise CliError(problem)
    return content


def parse_name(text: str) -> ProjectName:
    """`namespace/project`; raises UsageError."""
    namespace, slash, name = text.partition("/")
    if not (slash and namespace and name) or "/" in name:
        raise UsageError(f"{text!r}: a project is given as namespace/project")
    return ProjectName(namespace, name)
