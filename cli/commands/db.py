"""`lf db`: databases as a whole: what there is, how large it is, making indexes anew, moving to another store."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import command

if TYPE_CHECKING:
    from cli.client.caller import Caller

db = typer.Typer(help="List databases, rebuild their indexes, move them to another store.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Of the database.")]
AnyName = Annotated[str | None, typer.Argument(show_default=False, help="Default: the project's default database.")]
To = Annotated[str | None, typer.Option("--to", show_default=False, help="Name of a store, such as QdrantStore.")]
Config = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", show_default=False, help="key=value: an option of that store; repeatable."),
]
As = Annotated[
    str | None,
    typer.Option("--as", show_default=False, help="Leave the database as it is and make a copy of this name."),
]
DropSource = Annotated[
    bool,
    typer.Option("--drop-source", help="Delete what is stored in the former store; without --to, of earlier moves."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Print the task and return.")]


@command(db, "list")
def list_databases(lf: "Caller") -> None:
    """List the databases of a project with their stores and strategies."""
    from cli.client.rag import print_databases

    print_databases(lf)


@command(db)
def stats(lf: "Caller", name: AnyName = None) -> None:
    """Print the size of a database."""
    from cli.client.rag import print_stats

    print_stats(lf, name, is_verbose=False)


@command(db)
def rebuild(lf: "Caller", name: AnyName = None, no_wait: NoWait = False) -> None:
    """Make the indexes of a database anew from the text and vectors that are kept.

    Nothing is parsed or embedded, and queries go on.
    """
    from cli.client.upkeep import run

    run(lf, name, "rebuild", {}, waits=not no_wait)


@command(db)
def migrate(
    lf: "Caller",
    name: Name,
    to: To = None,
    config: Config = None,
    new_name: As = None,
    drop_source: DropSource = False,
    no_wait: NoWait = False,
) -> None:
    """Copy a database into another store without embedding, and have llamafarm.yaml name that one.

    Queries go on. What is in the old store stays there until it is dropped. Begun again, a migration that broke off
    goes on where it was.
    """
    from cli.client.upkeep import read_options, run

    body = {"to": to, "config": read_options(config or []), "new_name": new_name, "drop_source": drop_source}
    run(lf, name, "migrate", body, waits=not no_wait)
