"""`lf services`: the server with everything behind it, seen as the parts that its health names."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import command
from cli.server import DataDir

if TYPE_CHECKING:
    from cli.client.caller import Caller

services = typer.Typer(help="Look at the parts of the server, start and stop them.", no_args_is_help=True)

Service = Annotated[
    str | None,
    typer.Option("--service", "-s", show_default=False, help="server, rag, universal-runtime, or a part's own name."),
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")]
Lines = Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")]


@command(services)
def status(lf: "Caller") -> None:
    """Show each part as `/health` sees it. Exit code 0: it is healthy; 1: it is not; 3: no server answers."""
    from cli.client.services import print_status

    print_status(lf)


@command(services)
def start(lf: "Caller", data_dir: DataDir = None) -> None:
    """Start the server with all its parts in the background, unless it runs."""
    from cli.client.services import start_services

    start_services(lf, data_dir)


@command(services)
def stop(lf: "Caller", data_dir: DataDir = None) -> None:
    """Stop the server of this machine with all its parts."""
    from cli.client.services import stop_services

    stop_services(lf, data_dir)


@command(services)
def logs(
    lf: "Caller", service: Service = None, follow: Follow = False, lines: Lines = 100, data_dir: DataDir = None
) -> None:
    """Print the last log lines of the parts on this machine."""
    from cli.client.services import print_logs

    print_logs(lf, service, lines, is_following=follow, data_dir=data_dir)
