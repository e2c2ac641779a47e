"""`lf version`."""

from typing import TYPE_CHECKING

import typer

from cli.client.options import command

if TYPE_CHECKING:
    from cli.client.caller import Caller


def register(app: typer.Typer) -> None:
    command(app, "version")(version)


def version(lf: "Caller") -> None:
    """Print the version of this command, and of the server if one answers."""
    from importlib.metadata import version

    from cli.client.api import without_secret
    from cli.errors import ApiError, NotReachableError

    server = None
    try:
        with lf.api() as api:
            server = api.send("GET", "/info", timeout_s=lf.options.timeout_s or 2.0)
    except (ApiError, NotReachableError) as error:
        lf.out.note(error)
    url = without_secret(lf.server_url)
    document = {"version": version("paddock"), "server": server, "server_url": url}
    lf.out.result(document, lambda: lf.out.text(f"paddock {document['version']}"))
    if server is not None:
        lf.out.note(f"server {server.get('version')} at {url}")
