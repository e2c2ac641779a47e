"""Which conversations a project has."""

import time
from datetime import UTC, datetime

from server.schemas.sessions import SessionList, SessionView
from state.sessions import SessionStore


class SessionService:
    """`idle_s`: after which a session that nobody used is no longer live; what was said in it stays."""

    def __init__(self, sessions: SessionStore, *, idle_s: float) -> None:
        self._sessions = sessions
        self._idle_s = idle_s

    def list(self, namespace: str, project: str, *, limit: int, offset: int) -> SessionList:
        found = self._sessions.of_project(namespace, project)
        live_since = time.time() - self._idle_s
        views = [
            SessionView(
                session_id=each.session_id,
                live=(each.last_used_at or 0.0) >= live_since,
                message_count=each.message_count,
                created_at=_moment(each.created_at),
                last_used_at=_moment(each.last_used_at),
            )
            for each in found[offset : offset + limit]
        ]
        live_count = sum((each.last_used_at or 0.0) >= live_since for each in found)
        return SessionList(total=len(found), live_count=live_count, sessions=views, limit=limit, offset=offset)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
