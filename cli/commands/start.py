"""`lf start`: the server, if it is not there, and a chat with this folder's project."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import command
from cli.commands.chat import Model, New, Rag

if TYPE_CHECKING:
    from cli.client.caller import Caller

OllamaHost = Annotated[
    str | None,
    typer.Option(
        "--ollama-host", show_default=False, help="For a server that is started now; one that runs keeps its own."
    ),
]


def register(app: typer.Typer) -> None:
    command(app, "start")(start)


def start(lf: "Caller", model: Model = None, rag: Rag = None, new: New = False, ollama_host: OllamaHost = None) -> None:
    """Start the server in the background unless it runs, and chat with this folder's project."""
    from cli.client.chat_request import ChatOptions
    from cli.client.interactive import start

    start(lf, ChatOptions(model=model, rag_enabled=rag), is_new=new, ollama_host=ollama_host)
