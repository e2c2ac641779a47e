"""Chat sessions: conversations in which a model looks into indexes by itself."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from rag.errors import InvalidInputError
from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.chat import (
    CreateSessionRequest,
    FullSession,
    SessionPage,
    SessionSummary,
    StreamRequest,
    TitleRequest,
)
from server.llamacloud.services.chat.sessions import ChatSessions
from server.routing import Router
from server.schemas.streams import EVENT_STREAM
from server.sse import EventStream

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "One event per line of `data:`, as JSON; the last one is `stop`.", "content": EVENT_STREAM}
}

router = Router(prefix="/api", tags=["chat"])


@router.get("/v1/chat", operation_id="cloud_chat_list")
def list_sessions(
    cloud: CloudDep,
    scope: ScopeDep,
    page_size: Annotated[int | None, Query(ge=1, description="Default 100; more than 1,000 are 1,000.")] = None,
    page_token: str | None = None,
) -> SessionPage:
    """List the chat sessions of a project in the order in which they were made."""
    return ChatSessions(cloud, scope).page(page_token, page_size)


async def refuse_null(request: Request) -> None:
    """A body may be missing; one that is there is an object."""
    if (await request.body()).strip() == b"null":
        raise InvalidInputError("the body is null: send a JSON object, or no body at all")


@router.post("/v1/chat", operation_id="cloud_chat_create", dependencies=[Depends(refuse_null)])
def create_session(cloud: CloudDep, scope: ScopeDep, body: CreateSessionRequest | None = None) -> SessionSummary:
    """Create a chat session, bound to indexes or to none."""
    return ChatSessions(cloud, scope).create(body.index_ids if body else None)


@router.get("/v1/chat/{session_id}", operation_id="cloud_chat_get")
def get_session(session_id: str, cloud: CloudDep, scope: ScopeDep) -> FullSession:
    """Read a session with all its events, without the pieces that were streamed."""
    return ChatSessions(cloud, scope).get(session_id)


@router.delete("/v1/chat/{session_id}", operation_id="cloud_chat_delete", status_code=204, response_class=Response)
def delete_session(session_id: str, cloud: CloudDep, scope: ScopeDep) -> None:
    """Forget a session and all that was said in it."""
    ChatSessions(cloud, scope).delete(session_id)


@router.get("/v1/chat/{session_id}/summary", operation_id="cloud_chat_summary")
def get_summary(session_id: str, cloud: CloudDep, scope: ScopeDep) -> SessionSummary:
    """Read a session without its events."""
    return ChatSessions(cloud, scope).summary(session_id)


@router.post("/v1/chat/{session_id}/title", operation_id="cloud_chat_title")
async def set_title(session_id: str, body: TitleRequest, cloud: CloudDep, scope: ScopeDep) -> SessionSummary:
    """Give a session a title that is inferred from its first message."""
    return await ChatSessions(cloud, scope).set_title(session_id, body.first_message)


@router.post(
    "/v1/chat/{session_id}/messages/stream",
    operation_id="cloud_chat_stream",
    response_class=Response,
    responses=STREAM,
    response_model=None,
)
async def stream_message(session_id: str, body: StreamRequest, cloud: CloudDep, scope: ScopeDep) -> EventStream:
    """Answer a message as server-sent events: what the model thinks, looks up and says, as it happens.

    A failure after the first event is a `stop` with `is_error`. A client that leaves ends the turn.
    """
    return EventStream(await ChatSessions(cloud, scope).stream(session_id, body))
