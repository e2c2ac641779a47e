"""`lf events`: what the server noted of each chat and each file."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import command

if TYPE_CHECKING:
    from cli.client.caller import Caller

events = typer.Typer(help="Read the event log of a project.", no_args_is_help=True)

Kind = Annotated[
    str | None, typer.Option("--type", show_default=False, help="Only these: inference or rag_processing.")
]
Since = Annotated[
    str | None, typer.Option("--since", "--start-time", show_default=False, help="From this time on, ISO 8601.")
]
Until = Annotated[str | None, typer.Option("--until", "--end-time", show_default=False, help="Up to this time.")]
Limit = Annotated[int, typer.Option("--limit", "-l", min=1, max=100, help="At most so many.")]
Offset = Annotated[int, typer.Option("--offset", min=0, help="Leave out so many of the newest.")]
EventId = Annotated[str, typer.Argument(help="As `lf events list` shows it.")]


@command(events, "list")
def list_events(
    lf: "Caller", kind: Kind = None, since: Since = None, until: Until = None, limit: Limit = 10, offset: Offset = 0
) -> None:
    """List events, newest first."""
    from cli.client.events import print_list

    print_list(lf, {"type": kind, "start_time": since, "end_time": until, "limit": limit, "offset": offset})


@command(events)
def show(lf: "Caller", event_id: EventId) -> None:
    """Print one event step by step."""
    from cli.client.events import print_event

    print_event(lf, event_id)
