"""Where a pipeline may take files from besides uploads: which kinds there are, and what each is told."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.environment import expand_env
from config.outside import OWN_HEADERS, check_form
from config.settings import Settings
from rag.errors import BadRequestError, InvalidInputError

DIRECTORY = "local_directory"
URLS = "web_urls"
ALIASES = {
    "directory": DIRECTORY,
    "local_directory": DIRECTORY,
    "filesystem": DIRECTORY,
    "url": URLS,
    "urls": URLS,
    "web_url": URLS,
    "web_urls": URLS,
}
MAX_URLS = 1_000
MAX_PATTERNS = 100
_REFERENCE = re.compile(r"(?:[A-Za-z]+ )?\$\{(?:env:)?[A-Za-z_][A-Za-z0-9_]*\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


class DirectorySource(BaseModel):
    """A directory of the server's machine, below one of LF_DATA_SOURCE_DIRS."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=4_000, description="Absolute.")
    recursive: bool = Field(True, description="Also what lies in folders below it.")
    patterns: list[Annotated[str, Field(max_length=200)]] | None = Field(
        None, max_length=MAX_PATTERNS, description="Names to take, such as `*.pdf`; absent: all."
    )
    class_name: str | None = None


class UrlSource(BaseModel):
    """Files that other servers give out by http or https."""

    model_config = ConfigDict(extra="forbid")

    urls: list[Annotated[str, Field(max_length=8_000)]] = Field(min_length=1, max_length=MAX_URLS)
    headers: dict[str, str] | None = Field(
        None, description="Sent with each request. Values are references such as `Bearer ${NAME}`, never secrets."
    )
    class_name: str | None = None


SourceConfig: TypeAlias = DirectorySource | UrlSource
_MODELS: Mapping[str, type[SourceConfig]] = {DIRECTORY: DirectorySource, URLS: UrlSource}


def read_source(source_type: str, config: Mapping[str, Any], settings: Settings) -> tuple[str, SourceConfig]:
    """The kind by its proper name, and what it is told, checked.

    Raises:
        BadRequestError: a kind that there is not, or a configuration that it does not take.
    """
    kind = ALIASES.get(source_type.strip().lower())
    if kind is None:
        raise BadRequestError(
            f"source_type {source_type[:100]!r} is not served here. Supported: {DIRECTORY} (config: path, recursive, "
            f"patterns) and {URLS} (config: urls, headers)"
        )
    try:
        found = _MODELS[kind].model_validate(dict(config))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(["config", *(str(each)[:100] for each in problem["loc"])])
        raise BadRequestError(f"{place}: {problem['msg']} (source_type {kind})") from error
    try:
        _check(found, settings)
    except InvalidInputError as error:
        raise BadRequestError(error.message) from error
    return kind, found


def _check(found: SourceConfig, settings: Settings) -> None:
    if isinstance(found, DirectorySource):
        allowed_directory(found.path, settings)
        return
    for url in found.urls:
        check_form(url)
    for name, value in (found.headers or {}).items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in OWN_HEADERS or not _REFERENCE.fullmatch(value):
            raise BadRequestError(
                f"config.headers: {name[:100]!r} takes a reference such as 'Bearer ${{NAME}}', for a variable that is "
                "set where the server runs: secrets are not stored"
            )


def request_headers(source: UrlSource, settings: Settings) -> dict[str, str]:
    """With the values of the variables; raises ConfigError for one that is not set, or that may not be used."""
    expanded = expand_env(dict(source.headers or {}), allowed=settings.project_variables)
    return {name: str(value) for name, value in expanded.items()}


def allowed_directory(path: str, settings: Settings) -> Path:
    """The directory itself, whatever links lead to it.

    Raises:
        BadRequestError: it is not there, or not below a directory that the operator allows.
    """
    allowed = [Path(each).expanduser().resolve() for each in settings.data_source_dirs]
    if not allowed:
        raise BadRequestError(
            "directories cannot be data sources here: the operator has to name them in LF_DATA_SOURCE_DIRS"
        )
    try:
        found = Path(path).resolve() if Path(path).is_absolute() else None
    except (OSError, ValueError, RuntimeError):
        found = None
    if found is None or not any(found == each or each in found.parents for each in allowed) or not found.is_dir():
        raise BadRequestError(f"config.path {path[:200]!r} is no directory below those of LF_DATA_SOURCE_DIRS")
    return found
