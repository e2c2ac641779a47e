"""Looks at one config file without a server: what it holds, what is wrong with it, what has no effect."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.reading import parse_config, read_bounded
from rag.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """`problem` names the first few things that make the file unusable; None when there are none."""

    problem: str | None
    warnings: list[str] = field(default_factory=list)


def read_config(path: Path) -> tuple[dict[str, Any], str | None]:
    """The content as plain data, and what is wrong when it cannot be read as such.

    Raises:
        OSError: the file cannot be opened.
    """
    try:
        return parse_config(read_bounded(path), path.name), None
    except ConfigError as error:
        return {}, str(error)


def check_file(path: Path) -> CheckedFile:
    """Apply every rule that the server applies.

    Raises:
        OSError: the file cannot be opened.
    """
    from config.project import ProjectConfig
    from config.warnings import project_warnings

    content, problem = read_config(path)
    if problem is not None:
        return CheckedFile(problem)
    try:
        config = ProjectConfig.parse(content, file_name=path.name)
    except ConfigError as error:
        return CheckedFile(str(error))
    return CheckedFile(None, project_warnings(config))
