"""The `lf` command. Modules are imported when a command needs them, so that `lf --help` answers at once."""

import sys
from typing import Annotated

import typer

from cli.errors import CliError, StartFailedError
from cli.server import server

app = typer.Typer(
    name="lf",
    help="Paddock: a self-hosted RAG backend, from a folder of files to a cited answer.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(server, name="server")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"paddock {version('paddock')}")
        raise typer.Exit


@app.callback()
def lf(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run and look after the backend."""


def main() -> None:
    """Entry point; what a command cannot do is one sentence on stderr, and its exit code."""
    try:
        app()
    except CliError as error:
        sys.stderr.write(f"lf: {error}\n")
        if isinstance(error, StartFailedError):
            sys.stderr.writelines(f"    {line}\n" for line in error.tail)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
