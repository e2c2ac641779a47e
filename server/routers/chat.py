"""Chat: OpenAI's chat completions over a project's documents, and the sessions that remember them."""

import asyncio
import uuid
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse

from server.deps import ChatServiceDep, ProjectConfigDep, require_project
from server.routing import Router
from server.schemas.chat import ChatAnswer, ChatRequest, History, SessionDeleted, SessionsDeleted
from server.schemas.errors import ERROR_RESPONSES, ErrorBody
from server.schemas.streams import EVENT_STREAM
from server.services.chat import ChatCall
from server.sse import EventStream
from state.sessions import SessionKey

CLIENT_LEFT = 499
SESSION_HEADER = "X-Session-ID"
CHAT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ChatAnswer,
        "description": "The answer; with `stream: true` as server-sent events, the last of which is `[DONE]`.",
        "content": EVENT_STREAM,
    },
    429: {"model": ErrorBody, "description": "The session is still answering another message (LF_SESSION_WAIT_S)."},
}

SESSIONS: dict[str, Any] = {"dependencies": [Depends(require_project)]}

router = Router(prefix="/v1/projects/{namespace}/{project}/chat", tags=["chat"], responses=ERROR_RESPONSES)

Result = TypeVar("Result")


@router.post(
    "/completions",
    operation_id="chat_completions",
    response_class=JSONResponse,
    responses=CHAT_RESPONSES,
    tags=["mcp"],
)
async def complete_chat(
    body: ChatRequest,
    request: Request,
    project: ProjectConfigDep,
    chat: ChatServiceDep,
    x_session_id: Annotated[str | None, Header(description="Continue, or begin, this session.")] = None,
    x_no_session: Annotated[str | None, Header(description="Present, whatever its value: remember nothing.")] = None,
    x_active_project: Annotated[str | None, Header(description="namespace/project; for the assistant's chat.")] = None,
) -> Response:
    """Answer a conversation with the project's model, from its files where it has a database.

    OpenAI's request, and what to retrieve. With `X-Session-ID` the conversation is remembered under that name, without
    any header under a new one that the answer's header tells, with `X-No-Session` not at all.
    """
    given_id = _readable(x_session_id)
    session_id = None if x_no_session is not None else given_id or str(uuid.uuid4())
    headers = {} if session_id is None else {SESSION_HEADER: _sendable(session_id)}
    call = ChatCall(project, body, session_id, x_active_project, is_new_session=given_id is None)
    if body.stream:
        stream = await unless_left(request, chat.stream(call))
        return Response(status_code=CLIENT_LEFT) if stream is None else EventStream(stream, headers)
    answer = await unless_left(request, chat.complete(call))
    return Response(status_code=CLIENT_LEFT) if answer is None else JSONResponse(answer, headers=headers)


@router.get("/sessions/{session_id}/history", operation_id="chat_history", **SESSIONS)
def get_history(namespace: str, project: str, session_id: str, chat: ChatServiceDep) -> History:
    """Read what a session remembers.

    An unknown session has an empty history.
    """
    return History(messages=chat.history(SessionKey(namespace, project, session_id)))


@router.delete("/sessions/{session_id}", operation_id="chat_session_delete", **SESSIONS)
def delete_session(namespace: str, project: str, session_id: str, chat: ChatServiceDep) -> SessionDeleted:
    """Forget one session; an unknown one is no error."""
    chat.delete(SessionKey(namespace, project, session_id))
    return SessionDeleted(message=f"Session {session_id} deleted")


@router.delete("/sessions", operation_id="chat_sessions_delete", **SESSIONS)
def delete_sessions(namespace: str, project: str, chat: ChatServiceDep) -> SessionsDeleted:
    """Forget all sessions of a project."""
    count = chat.delete_all(namespace, project)
    return SessionsDeleted(message=f"Deleted {count} session(s)", count=count)


async def unless_left(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """Run `work`, cancelled as soon as the client has left; then the answer is None."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _left(request: Request) -> None:
    """The body has been read: the next thing to come in can only be the client's departure."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _readable(header: str | None) -> str | None:
    """Header bytes arrive as Latin-1; clients mean UTF-8, as they do in the path."""
    if header is None or not header.strip():
        return None
    try:
        return header.strip().encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return header.strip()


def _sendable(session_id: str) -> str:
    return session_id.encode("utf-8").decode("latin-1")
