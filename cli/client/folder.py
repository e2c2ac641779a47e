"""A folder and its project: the llamafarm.yaml here and the one on the server."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.client.api import json_of
from cli.client.caller import Caller
from cli.client.folder_state import FolderState, etag_of
from cli.client.project_file import ProjectName, find_file
from cli.errors import CliError, UsageError

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
    target = folder / FILE_NAME
    with _writable(folder), lf.api() as api:
        if not fetches:
            body = {"name": project.name} | ({"config_template": template} if template else {})
            api.post(project.path.rpartition("/")[0], body)
        response = api.answer("GET", project.path)
        content = _rendered(json_of(response)["project"]["config"] or {}, None, target)
        _write(target, content)
        FolderState.of(api.url, project, target).keep(etag_of(response), content)
    document = {"namespace": project.namespace, "name": project.name, "path": str(folder), "file": str(target)}
    verb = "Fetched" if fetches else "Created"
    lf.out.result(document, lambda: lf.out.text(f"{verb} project {project} in {folder}"))


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Before the server is asked: a project whose file cannot be written helps nobody.

    Folders that were made for it go again when the server refuses.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise CliError(f"{folder} cannot be written: {error.strerror}") from error
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # what is not empty stays
            for each in made:
                each.rmdir()
        raise


def _rendered(config: dict[str, Any], old: bytes | None, target: Path) -> bytes:
    """Comments of the old file are kept."""
    from config.writing import render

    return render(config, old, target.name)


def _write(path: Path, content: bytes, *, mode_of: Path | None = None) -> None:
    """Whole or not at all; readable for whom the file `mode_of`, or the old one, was."""
    like = mode_of or path
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(temporary).chmod(like.stat().st_mode & 0o777 if like.exists() else 0o644)
            Path(temporary).replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}") from error


def pull(lf: Caller, *, is_sure: bool) -> None:
    """The server's configuration replaces that of the folder; a file that was edited here only after asking."""
    project = lf.project()
    target = find_file(Path.cwd()) or Path.cwd() / FILE_NAME
    if target.suffix == ".toml":
        raise CliError(f"{target.name} cannot be written here: rename it, and pull makes a {FILE_NAME}")
    with lf.api() as api:
        response = api.answer("GET", project.path)
        state = FolderState.of(api.url, project, target)
    old = _old(target)
    content = _rendered(json_of(response)["project"]["config"] or {}, old, target)
    backup = None
    if old is not None and content != old:
        if not state.knows(old):
            question = f"{target.name} holds what was not pulled from {project} or pushed there. Replace it?"
            lf.out.confirm(question, is_sure=is_sure)
        backup = _keep_backup(target, old)
    if content != old:
        _write(target, content)
    state.keep(etag_of(response), content)
    document = {"namespace": project.namespace, "name": project.name, "file": str(target)}
    document |= {"backup": str(backup)} if backup else {}
    lf.out.result(document, lambda: lf.out.text(f"{target} is now as {project} on the server"))
    if backup:
        lf.out.note(f"what it was before: {backup.name}")


def _old(target: Path) -> bytes | None:
    try:
        return target.read_bytes() if target.exists() else None
    except OSError as error:
        raise CliError(f"{target} cannot be read: {error.strerror}") from error


def _keep_backup(target: Path, old: bytes) -> Path:
    backup = target.with_name(f"{target.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.bak")
    _write(backup, old, mode_of=target)
    return backup
