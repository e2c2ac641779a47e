"""The event log of a project: what chats and the processing of files did, and how long each step took."""

from typing import Annotated

from fastapi import Query

from server.deps import EventLogServiceDep
from server.routing import Router
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.event_logs import EventDetail, EventList, Moment

MAX_OFFSET = 2**31 - 1

router = Router(
    prefix="/v1/projects/{namespace}/{project}/event_logs", tags=["event-logs", "mcp"], responses=ERROR_RESPONSES
)


@router.get("", operation_id="event_logs_list")
def list_events(
    namespace: str,
    project: str,
    events: EventLogServiceDep,
    type_: Annotated[
        str | None, Query(alias="type", max_length=64, description="Only this type: inference or rag_processing.")
    ] = None,
    start_time: Annotated[
        Moment | None, Query(description="Only events that began then or later: ISO 8601; without a zone, UTC.")
    ] = None,
    end_time: Annotated[Moment | None, Query(description="Only events that began then or before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Most events in one answer.")] = 10,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Events to pass over.")] = 0,
) -> EventList:
    """List what happened in a project, newest first: chats and processed files, with model, tokens and duration.

    A project that does not exist, or in which nothing happened, has an empty list.
    """
    return events.list(namespace, project, event_type=type_, start=start_time, end=end_time, limit=limit, offset=offset)


@router.get("/{event_id}", operation_id="event_log_get")
def get_event(namespace: str, project: str, event_id: str, events: EventLogServiceDep) -> EventDetail:
    """Show one event with all its steps: what was searched and found, what the model did, where a file failed."""
    return events.get(namespace, project, event_id)
