"""`lf init`: a folder becomes a project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import command

if TYPE_CHECKING:
    from cli.client.caller import Caller

Folder = Annotated[Path, typer.Argument(help="The folder; made when it does not exist.")]
Template = Annotated[
    str | None, typer.Option(show_default=False, help="Template of the project: default, rag, server, advanced.")
]
Fetch = Annotated[bool, typer.Option("--fetch", help="The project exists: only write its llamafarm.yaml here.")]


def register(app: typer.Typer) -> None:
    command(app, "init")(init)


def init(lf: "Caller", path: Folder = Path(), template: Template = None, fetch: Fetch = False) -> None:
    """Make a project on the server and write its llamafarm.yaml into a folder.

    The project is called as --project says, else as the folder; its namespace is `default` unless --namespace is given.
    """
    from cli.client.folder import init_folder

    init_folder(lf, path, template, fetches=fetch)
