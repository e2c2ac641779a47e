"""`lf projects`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.client.options import Yes, command

if TYPE_CHECKING:
    from cli.client.caller import Caller

projects = typer.Typer(help="List, make, check and delete projects.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the project, or namespace/project.")]
MaybeName = Annotated[
    str | None, typer.Argument(show_default=False, help="Name, or namespace/project; default: that of this folder.")
]
Template = Annotated[str | None, typer.Option(show_default=False, help="default, rag, server or advanced.")]


@command(projects, "list")
def list_projects(lf: "Caller") -> None:
    """List the projects of a namespace."""
    from cli.client.api import segment

    namespace = lf.namespace()
    with lf.api() as api:
        found = api.get(f"/v1/projects/{segment(namespace)}")
    lf.out.result(found, lambda: _print_list(lf, namespace, found.get("projects") or []))


@command(projects)
def create(lf: "Caller", name: Name, template: Template = None) -> None:
    """Make a project from a template. `lf init` also writes its llamafarm.yaml into a folder."""
    from cli.client.api import segment

    project = _named(lf, name)
    body = {"name": project.name} | ({"config_template": template} if template else {})
    with lf.api() as api:
        answer = api.post(f"/v1/projects/{segment(project.namespace)}", body)
    lf.out.result(answer, lambda: lf.out.text(f"created project {project}"))


@command(projects)
def delete(lf: "Caller", name: Name, yes: Yes = False) -> None:
    """Delete a project with its datasets, files and chunks."""
    project = _named(lf, name)
    lf.out.confirm(f"Delete project {project} with all its files?", is_sure=yes)
    with lf.api() as api:
        answer = api.delete(project.path)
    lf.out.result(answer, lambda: lf.out.text(f"deleted project {project}"))


@command(projects)
def validate(lf: "Caller", name: MaybeName = None) -> None:
    """Say whether the server can use a project's configuration. Exit code 1: it cannot."""
    from cli.errors import CliError

    project = _named(lf, name)
    with lf.api() as api:
        found = api.get(project.path)["project"]
    problem, warnings = found.get("validation_error"), found.get("warnings") or []
    if problem:
        raise CliError(f"{project}: {problem}")
    document = {"namespace": project.namespace, "name": project.name, "valid": True, "warnings": warnings}
    lf.out.result(document, lambda: lf.out.text(f"{project} is valid"))
    for warning in warnings:
        lf.out.warning(warning)


def _named(lf: "Caller", name: str | None) -> Any:
    from cli.client.project_file import ProjectName

    if name is None or "/" in name:
        return lf.project(name)
    return ProjectName(lf.namespace(), name)


def _print_list(lf: "Caller", namespace: str, found: list[dict[str, Any]]) -> None:
    if not found:
        lf.out.note(f"No projects found in namespace {namespace}")
    for each in found:
        broken = "  (its configuration cannot be used)" if each.get("validation_error") else ""
        lf.out.text(f"{each.get('namespace', namespace)}/{each['name']}{broken}")
