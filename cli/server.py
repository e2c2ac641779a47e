"""`lf server start | stop | status | logs`."""

from pathlib import Path
from typing import Annotated

import typer

server = typer.Typer(help="Start, stop and watch the server with everything it needs.", no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is kept (LF_DATA_DIR).", show_default=False)
]
EXIT_DEGRADED = 1
EXIT_NOT_RUNNING = 3


@server.command()
def start(
    host: Annotated[str | None, typer.Option(help="Address to listen on (LF_HOST).", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (LF_PORT).", show_default=False)] = None,
    data_dir: DataDir = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when ready, run in the background.")] = False,
    example: Annotated[str | None, typer.Option(help="Import this example and ask its question.")] = None,
    is_background: Annotated[bool, typer.Option("--background", hidden=True)] = False,
) -> None:
    """Start the API, its workers, and whatever store has no URL of its own; wait until all are ready."""
    from cli.environment import load_settings

    settings = load_settings(host=host, port=port, data_dir=data_dir)
    if detach:
        from cli.background import start_in_background

        start_in_background(settings, example)
    else:
        from cli.foreground import run_supervisor

        run_supervisor(settings, example, is_background=is_background)


@server.command()
def stop(
    data_dir: DataDir = None,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait before killing.")] = 15.0,
) -> None:
    """Stop the server that runs on this data directory; says so when none does."""
    from cli.background import stop_supervisor

    typer.echo(stop_supervisor(_resolve(data_dir), timeout_s))


@server.command()
def status(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each part. Exit code 0: all run; 1: some do not; 3: nothing runs."""
    from cli.status import make_status, print_status

    found = make_status(_resolve(data_dir))
    print_status(found, as_json=as_json)
    if found.state == "not running":
        raise typer.Exit(EXIT_NOT_RUNNING)
    if not found.is_complete:
        raise typer.Exit(EXIT_DEGRADED)


@server.command()
def logs(
    part: Annotated[
        str | None, typer.Argument(help="redis, chroma, worker-parse, …, supervisor; all if absent.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 100,
    data_dir: DataDir = None,
) -> None:
    """Print the last log lines of one part, or of all."""
    from cli.show_logs import show_logs

    show_logs(_resolve(data_dir), part, lines, is_following=follow)


def _resolve(data_dir: Path | None) -> Path:
    """A given folder needs no settings: a wrong one must not keep anybody from stopping the server."""
    if data_dir is not None:
        return data_dir.expanduser().absolute()
    from cli.environment import load_settings

    return load_settings().data_dir
