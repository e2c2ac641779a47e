"""`lf config`: a project's llamafarm.yaml, here and on the server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import Yes, command

if TYPE_CHECKING:
    from cli.client.caller import Caller

config = typer.Typer(help="Check, show, fetch and send a project's llamafarm.yaml.", no_args_is_help=True)

File = Annotated[Path | None, typer.Argument(show_default=False, help="Default: the one of this folder.")]
Create = Annotated[bool, typer.Option("--create", help="Make the project when the server does not have it.")]
IfMatch = Annotated[
    str | None,
    typer.Option("--if-match", show_default=False, help="Only if the server's version still has this ETag."),
]

Force = Annotated[
    bool,
    typer.Option("--force", "-f", "--yes", "-y", help="Also over changes on the server; what only it has is gone."),
]


@command(config)
def validate(lf: "Caller", file: File = None) -> None:
    """Check a file by the server's rules, without a server. Exit code 1: it cannot be used."""
    from cli.client.config_file import validate_file

    validate_file(lf, file)


@command(config)
def schema(lf: "Caller") -> None:
    """Print the JSON schema of llamafarm.yaml, for editors."""
    from config.schema import json_schema

    lf.out.document(json_schema())


@command(config)
def show(lf: "Caller") -> None:
    """Print the configuration that the server has, as YAML; secrets are shown as ***."""
    from cli.client.config_file import show_config

    show_config(lf)


@command(config)
def pull(lf: "Caller", yes: Yes = False) -> None:
    """Write the server's configuration into this folder's llamafarm.yaml; a changed file is kept beside it as .bak."""
    from cli.client.folder import pull

    pull(lf, is_sure=yes)


@command(config)
def push(
    lf: "Caller", file: File = None, create: Create = False, if_match: IfMatch = None, force: Force = False
) -> None:
    """Send this folder's llamafarm.yaml to the server; secrets that stand there as *** keep their value.

    A project that was changed on the server since the file was pulled or pushed is left as it is.
    """
    from cli.client.push import push

    push(lf, file, creates=create, etag=if_match, is_sure=force)
