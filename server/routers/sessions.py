"""The chat sessions of a project. What was said in one, and deleting: see `server/routers/chat.py`."""

from typing import Annotated

from fastapi import Depends, Query

from server.deps import SessionServiceDep, require_project
from server.routing import Router
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.sessions import SessionList

MAX_OFFSET = 2**31 - 1

router = Router(prefix="/v1/projects/{namespace}/{project}/chat", tags=["chat"], responses=ERROR_RESPONSES)


@router.get("/sessions", operation_id="chat_sessions_list", dependencies=[Depends(require_project)])
def list_sessions(
    namespace: str,
    project: str,
    sessions: SessionServiceDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most sessions in one answer.")] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Sessions to pass over.")] = 0,
) -> SessionList:
    """List the conversations that the project remembers, last used first."""
    return sessions.list(namespace, project, limit=limit, offset=offset)
