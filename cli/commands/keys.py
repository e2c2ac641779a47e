"""`lf keys`: what the server on this machine's data directory lets in."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import Yes, command
from cli.server import DataDir

if TYPE_CHECKING:
    from cli.client.caller import Caller

keys = typer.Typer(
    help="Make, list and revoke keys, in the state of this machine's data directory (or LF_DATABASE_URL).",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="For people: who or what the key is for.")]
Which = Annotated[str, typer.Argument(metavar="KEY", help="Its id, or its name where only one is called so.")]
All = Annotated[bool, typer.Option("--all", "-a", help="Revoked ones too.")]


@command(keys)
def create(lf: "Caller", name: Name, data_dir: DataDir = None) -> None:
    """Make a key and print it, this once. From the first key on, the server asks for one.

    With --namespace it is good for that namespace only, with --project too for that project only; without both, for
    everything. For the LlamaCloud API the namespace is `llamacloud` and the project the id of one.
    """
    from cli.keys import create_key

    create_key(lf, name, data_dir)


@command(keys, "list")
def list_keys(lf: "Caller", with_revoked: All = False, data_dir: DataDir = None) -> None:
    """List the keys, without what they are: that is kept nowhere."""
    from cli.keys import list_keys

    list_keys(lf, data_dir, with_revoked=with_revoked)


@command(keys)
def revoke(lf: "Caller", key: Which, yes: Yes = False, data_dir: DataDir = None) -> None:
    """Let a key open nothing any more; a server that runs knows within two seconds."""
    from cli.keys import revoke_key

    revoke_key(lf, key, data_dir, is_sure=yes)
