"""A folder and its project: the llamafarm.yaml here and the one on the server."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from cli.client.caller import Caller
from cli.client.project_file import ProjectName, find_file, read_file
from cli.errors import ApiError, CliError, UsageError

DEFAULT_NAMESPACE = "default"
FILE_NAME = "llamafarm.yaml"


def init_folder(lf: Caller, path: Path, template: str | None, *, fetches: bool) -> None:
    """Raises CliError: the folder has a project already, or the server refused."""
    folder = path.expanduser().absolute()
    found = find_file(folder) if folder.is_dir() else None
    if found is not None:
        raise CliError(f"Project already exists (found {found})")
    if fetches and template is not None:
        raise UsageError("--fetch takes the project as it is: leave --template out")
    project = ProjectName(lf.options.namespace or DEFAULT_NAMESPACE, lf.options.project or folder.name)
    _make_writable(folder)
    with lf.api() as api:
        if not fetches:
            body = {"name": project.name} | ({"config_template": template} if template else {})
            api.post(project.path.rpartition("/")[0], body)
        config = api.get(project.path)["project"]["config"] or {}
    target = folder / FILE_NAME
    write_config(target, config)
    document = {"namespace": project.namespace, "name": project.name, "path": str(folder), "file": str(target)}
    verb = "Fetched" if fetches else "Created"
    lf.out.result(document, lambda: lf.out.text(f"{verb} project {project} in {folder}"))


def _make_writable(folder: Path) -> None:
    """Before the server is asked: a project whose file cannot be written helps nobody."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CliError(f"{folder} cannot be written: {error.strerror}") from error


def write_config(path: Path, config: dict[str, Any]) -> None:
    """Whole or not at all; comments of a file that is there already are kept."""
    from config.writing import render

    try:
        old = path.read_bytes() if path.exists() else None
        content = render(config, old, path.name)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
            Path(temporary).replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}") from error


def pull(lf: Caller) -> None:
    """The server's configuration replaces that of the folder."""
    project = lf.project()
    target = find_file(Path.cwd()) or Path.cwd() / FILE_NAME
    if target.suffix == ".toml":
        raise CliError(f"{target.name} cannot be written here: rename it, and pull makes a {FILE_NAME}")
    with lf.api() as api:
        config = api.get(project.path)["project"]["config"] or {}
    write_config(target, config)
    document = {"namespace": project.namespace, "name": project.name, "file": str(target)}
    lf.out.result(document, lambda: lf.out.text(f"{target} is now as {project} on the server"))


def push(lf: Caller, path: Path | None, *, creates: bool, etag: str | None) -> None:
    """The folder's configuration replaces the server's; `***` keeps the stored secret."""
    source = path or find_file(Path.cwd())
    if source is None:
        raise UsageError("there is no llamafarm.yaml in this folder: name the file, or make one with `lf init`")
    config = read_file(source)
    project = _named_by(lf, config)
    with lf.api() as api:
        if creates:
            try:
                api.get(project.path)
            except ApiError as error:
                if error.status != 404:
                    raise
                api.post(project.path.rpartition("/")[0], {"name": project.name})
        answer = api.put(project.path, {"config": config}, headers={"If-Match": etag} if etag else None)
    warnings = (answer.get("project") or {}).get("warnings") or []
    lf.out.result(answer, lambda: lf.out.text(f"{project} is now as {source}"))
    for warning in warnings:
        lf.out.warning(warning)


def _named_by(lf: Caller, config: dict[str, Any]) -> ProjectName:
    namespace = lf.options.namespace or config.get("namespace")
    name = lf.options.project or config.get("name")
    if not isinstance(namespace, str) or not isinstance(name, str) or not namespace or not name:
        raise UsageError("the file has no namespace and name: give --namespace and --project")
    return ProjectName(namespace, name)
