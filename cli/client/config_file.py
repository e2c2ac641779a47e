"""What `lf config validate` and `lf config show` do."""

from pathlib import Path

from cli.client.caller import Caller
from cli.client.project_file import find_file
from cli.errors import CliError, UsageError


def validate_file(lf: Caller, given: Path | None) -> None:
    """Raises CliError when the file cannot be used; what is wrong is then in its document or message."""
    from config.checking import check_file

    path = given or find_file(Path.cwd())
    if path is None:
        raise UsageError("there is no llamafarm.yaml in this folder: name the file")
    try:
        checked = check_file(path)
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}") from error
    if checked.problem is not None:
        raise CliError(checked.problem)
    document = {"file": str(path), "valid": True, "warnings": checked.warnings}
    lf.out.result(document, lambda: lf.out.text(f"{path} is valid"))
    for warning in checked.warnings:
        lf.out.warning(warning)


def show_config(lf: Caller) -> None:
    from config.writing import render

    with lf.api() as api:
        project = api.get(lf.project().path)["project"]
    config = project.get("config") or {}
    lf.out.result(config, lambda: lf.out.text(render(config, None, "llamafarm.yaml").decode(), end=""))
    if project.get("validation_error"):
        lf.out.warning(f"it cannot be used: {project['validation_error']}")
