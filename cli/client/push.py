"""`lf config push`: the folder's llamafarm.yaml replaces the server's, unless that was changed since."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.client.api import Api, json_of
from cli.client.caller import Caller
from cli.client.folder_state import FolderState, etag_of
from cli.client.project_file import ProjectName, find_file, read_file
from cli.errors import ApiError, CliError, UsageError

Config = dict[str, Any]

LISTS = {
    "datasets": ("datasets",),
    "databases": ("rag", "databases"),
    "processing strategies": ("rag", "data_processing_strategies"),
    "models": ("runtime", "models"),
    "prompts": ("prompts",),
    "MCP servers": ("mcp", "servers"),
}
"""What has names in a llamafarm.yaml, and where it stands."""


def push(lf: Caller, path: Path | None, *, creates: bool, etag: str | None, is_sure: bool) -> None:
    """The folder's configuration replaces the server's; `***` keeps the stored secret.

    Raises:
        ApiError: the server's version is not the one that the file came from; or it refused.
        UsageError: that is not known, something would vanish, and nobody can be asked.
    """
    source = path or find_file(Path.cwd())
    if source is None:
        raise UsageError("there is no llamafarm.yaml in this folder: name the file, or make one with `lf init`")
    config = read_file(source)
    content = _bytes_of(source)
    project = _named_by(lf, config)
    with lf.api() as api:
        state = FolderState.of(api.url, project, source)
        made = _make(api, project) if creates else None
        if made is None and etag is None and not is_sure:
            etag = state.etag or _agreed(lf, api, project, source, config)
        response = _replace(api, project, source, config, etag or made)
        state.keep(etag_of(response), content)
    answer = json_of(response)
    warnings = (answer.get("project") or {}).get("warnings") or []
    lf.out.result(answer, lambda: lf.out.text(f"{project} is now as {source}"))
    for warning in warnings:
        lf.out.warning(warning)


def _bytes_of(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise CliError(f"{source} cannot be read: {error.strerror}") from error


def _make(api: Api, project: ProjectName) -> str | None:
    """The version of a project that was made now: nothing of it can be missed. None: the project was there."""
    try:
        api.get(project.path)
    except ApiError as error:
        if error.status != 404:
            raise
    else:
        return None
    return etag_of(api.answer("POST", project.path.rpartition("/")[0], json={"name": project.name})) or "*"


def _agreed(lf: Caller, api: Api, project: ProjectName, source: Path, config: Config) -> str | None:
    """For a file of unknown origin: the version that may be replaced, which is asked where something would vanish."""
    response = api.answer("GET", project.path)
    vanishing = _missing(_config_of(json_of(response)), config)
    if vanishing:
        question = f"Replace {project} with {source}? Only the server has {vanishing}, which would be gone."
        lf.out.confirm(question, is_sure=False)
    return etag_of(response)


def _replace(api: Api, project: ProjectName, source: Path, config: Config, etag: str | None) -> Any:
    headers = {"If-Match": etag} if etag else None
    try:
        return api.answer("PUT", project.path, json={"config": config}, headers=headers)
    except ApiError as error:
        if error.status != 412:
            raise
        vanishing = _missing(_config_of(api.get(project.path)), config)
        what = f"it has {vanishing}, which {source} lacks" if vanishing else "other values differ"
        raise ApiError(
            f"{project} was changed on the server since {source} was last pulled or pushed: {what}. `lf config pull` "
            "fetches it (and keeps your file as a backup), `lf config push --force` replaces it",
            412,
            error.body,
        ) from error


def _config_of(answer: Any) -> Config:
    return dict((answer.get("project") or {}).get("config") or {})


def _missing(theirs: Config, ours: Config) -> str:
    """`datasets a, b; models c`: names that only the server's configuration has."""
    parts = []
    for kind, path in LISTS.items():
        kept = set(_names(ours, path))
        gone = [name for name in _names(theirs, path) if name not in kept]
        if gone:
            parts.append(f"{kind} {', '.join(gone)}")
    return "; ".join(parts)


def _names(config: Any, path: tuple[str, ...]) -> Iterator[str]:
    for key in path:
        config = config.get(key) if isinstance(config, dict) else None
    for entry in config if isinstance(config, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            yield entry["name"]


def _named_by(lf: Caller, config: Config) -> ProjectName:
    namespace = lf.options.namespace or config.get("namespace")
    name = lf.options.project or config.get("name")
    if not isinstance(namespace, str) or not isinstance(name, str) or not namespace or not name:
        raise UsageError("the file has no namespace and name: give --namespace and --project")
    return ProjectName(namespace, name)
