"""Chat sessions in SQL: what was said, by whom, in which project; shared by all API processes."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from rag.errors import BadRequestError
from state.database import StateDatabase
from state.tables import MessageRow, SessionRow

SESSION_IDLE_S = 30 * 60
"""A session that was not used for this long is no longer counted as live; what was said in it stays readable."""
SESSION_KEPT_S = 30 * 24 * 3600
"""A session that was not used for this long is swept. Wide, as a clock that jumps must not delete conversations."""
MAX_ID_CHARS = 200

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Names one session. Raises BadRequestError for an id that cannot be told from a path or cannot be printed."""

    namespace: str
    project: str
    session_id: str

    def __post_init__(self) -> None:
        name = self.session_id
        if len(name) > MAX_ID_CHARS:
            raise BadRequestError(f"a session id may have at most {MAX_ID_CHARS} characters, this one has {len(name)}")
        if not name.strip(" .") or not name.isprintable() or "/" in name or "\\" in name:
            raise BadRequestError(
                f"session id {name!r} is not accepted: use printable characters but no slashes, for example a UUID"
            )


def _values(key: SessionKey) -> dict[str, str]:
    return {"namespace": key.namespace, "project": key.project, "session_id": key.session_id}


# Built once: every chat runs these, and building an expression takes longer than SQLite needs to run it.
_NAMED = and_(
    SessionRow.namespace == bindparam("namespace"),
    SessionRow.project == bindparam("project"),
    SessionRow.session_id == bindparam("session_id"),
)
_FIND = select(SessionRow.id).where(_NAMED)
_HISTORY = (
    select(MessageRow.body)
    .join(SessionRow, SessionRow.id == MessageRow.session_row_id)
    .where(_NAMED)
    .order_by(MessageRow.id)
)
_LAST = _HISTORY.order_by(None).order_by(MessageRow.id.desc()).limit(bindparam("last_count"))
_ADD = insert(SessionRow).returning(SessionRow.id)
_TOUCH = update(SessionRow).where(SessionRow.id == bindparam("row_id")).values(last_used_at=bindparam("now"))
_ADD_MESSAGES = insert(MessageRow)


class SessionStore:
    """Messages are OpenAI chat messages. A session comes into being with its first message."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def history(self, key: SessionKey, *, last_count: int | None = None) -> list[dict[str, Any]]:
        """What was said, oldest first, or the last `last_count` messages; empty for a session that does not exist."""
        with self._database.read() as session:
            if last_count is None:
                return list(session.connection().execute(_HISTORY, _values(key)).scalars())
            values = {**_values(key), "last_count": last_count}
            return list(session.connection().execute(_LAST, values).scalars())[::-1]

    def append(self, key: SessionKey, messages: Sequence[Mapping[str, Any]]) -> None:
        """Add messages in one transaction: a reader sees all of them or none."""
        try:
            self._append(key, messages)
        except IntegrityError:  # another process has made the session in between; now it is there
            self._append(key, messages)

    def _append(self, key: SessionKey, messages: Sequence[Mapping[str, Any]]) -> None:
        now = time.time()
        with self._database.write() as session:
            connection = session.connection()
            row_id = connection.scalar(_FIND, _values(key))
            if row_id is None:
                row_id = connection.scalar(_ADD, {**_values(key), "created_at": now, "last_used_at": now})
            else:
                connection.execute(_TOUCH, {"row_id": row_id, "now": now})
            rows = [{"session_row_id": row_id, "body": dict(message), "created_at": now} for message in messages]
            if rows:
                connection.execute(_ADD_MESSAGES, rows)

    def delete(self, key: SessionKey) -> bool:
        """Whether there was anything to delete."""
        return self._delete(_is(key)) > 0

    def delete_all(self, namespace: str, project: str) -> int:
        """Delete every session of a project, live or not, and return how many there were."""
        return self._delete(and_(SessionRow.namespace == namespace, SessionRow.project == project))

    def sweep(self, kept_s: float = SESSION_KEPT_S) -> int:
        """Delete the sessions of all projects that were not used for `kept_s`, and return how many."""
        return self._delete(SessionRow.last_used_at < time.time() - kept_s)

    def live_count(self, idle_s: float = SESSION_IDLE_S) -> int:
        """How many sessions were used within `idle_s`."""
        with self._database.read() as session:
            return len(
                session.scalars(select(SessionRow.id).where(SessionRow.last_used_at >= time.time() - idle_s)).all()
            )

    def _delete(self, condition: ColumnElement[bool]) -> int:
        """Messages go with their session: the tables cascade."""
        with self._database.write() as session:
            result = session.execute(delete(SessionRow).where(condition).execution_options(synchronize_session=False))
            return result.rowcount if isinstance(result, CursorResult) else 0


def unseen(stored: Sequence[Mapping[str, Any]], incoming: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The messages of `incoming` that a session does not hold yet.

    A client that sends the whole transcript each time has its beginning left out; anything else is new as it stands.
    System messages are compared on their own, as many clients repeat or leave them out at will.
    """
    known_system = {_said(message) for message in stored if message.get("role") == "system"}
    known = [_said(message) for message in stored if message.get("role") != "system"]
    said = [_said(message) for message in incoming if message.get("role") != "system"]
    is_continued = bool(known) and len(said) > len(known) and said[: len(known)] == known
    left_out = len(known) if is_continued else 0
    tail: list[Mapping[str, Any]] = []
    for message in incoming:
        if message.get("role") == "system":
            if _said(message) not in known_system:
                tail.append(message)
        elif left_out:
            left_out -= 1
        else:
            tail.append(message)
    return tail


def _said(message: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What makes two messages the same: thoughts, surrounding space and key order do not."""
    content = message.get("content")
    text = _THOUGHT.sub("", content).strip() if isinstance(content, str) else repr(content or "")
    calls = [_call(call) for call in message.get("tool_calls") or ()]
    return str(message.get("role")), "" if text == "''" else text, repr(calls), str(message.get("tool_call_id") or "")


def _call(call: Mapping[str, Any]) -> tuple[str, str]:
    return str(call.get("id")), str((call.get("function") or {}).get("name"))


def _is(key: SessionKey) -> ColumnElement[bool]:
    return and_(
        SessionRow.namespace == key.namespace,
        SessionRow.project == key.project,
        SessionRow.session_id == key.session_id,
    )
