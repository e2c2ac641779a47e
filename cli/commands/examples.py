"""`lf examples`: projects to begin with."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import command

if TYPE_CHECKING:
    from cli.client.caller import Caller

examples = typer.Typer(help="Projects that come with the server, to begin with.", no_args_is_help=True)

ExampleId = Annotated[str, typer.Argument(help="As `lf examples list` shows it.")]
Name = Annotated[str | None, typer.Option("--name", show_default=False, help="Name of the project; default: the id.")]
IntoProject = Annotated[
    bool, typer.Option("--into-project", help="Add its datasets to the project of --project, or of this folder.")
]
Dataset = Annotated[
    str | None, typer.Option("--dataset", show_default=False, help="Only this dataset, into an existing project.")
]
Process = Annotated[bool, typer.Option("--process/--no-process", help="Process the files.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until they are processed.")]


@command(examples, "list")
def list_examples(lf: "Caller") -> None:
    """List the examples of the server."""
    with lf.api() as api:
        found = api.get("/v1/examples")
    rows = [
        (each.get("id"), each.get("dataset_count"), each.get("data_size_human"), each.get("description"))
        for each in found.get("examples") or []
    ]
    lf.out.result(found, lambda: lf.out.table(("EXAMPLE", "DATASETS", "SIZE", "DESCRIPTION"), rows))


@command(examples, "import")
def import_example(
    lf: "Caller",
    example: ExampleId,
    name: Name = None,
    into_project: IntoProject = False,
    dataset: Dataset = None,
    process: Process = True,
    wait: Wait = True,
) -> None:
    """Import an example as a project of its own, or its data into one. The namespace is `examples` if none is given."""
    from cli.client.examples import import_example

    import_example(lf, example, name=name, into_project=into_project, dataset=dataset, processes=process, waits=wait)
