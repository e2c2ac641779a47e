"""`lf logs`."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import command
from cli.commands.services import Follow, Lines
from cli.server import DataDir

if TYPE_CHECKING:
    from cli.client.caller import Caller

Part = Annotated[
    str | None,
    typer.Argument(show_default=False, help="api, worker-parse, redis, …, or server, rag; all if absent."),
]


def register(app: typer.Typer) -> None:
    command(app, "logs")(logs)


def logs(lf: "Caller", part: Part = None, follow: Follow = False, lines: Lines = 100, data_dir: DataDir = None) -> None:
    """Print the last log lines of the server of this machine."""
    from cli.client.services import print_logs

    print_logs(lf, part, lines, is_following=follow, data_dir=data_dir)
