"""Chat sessions in SQL: what was said, by whom, in which project; shared by all API processes."""

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, and_, bindparam, delete, func, insert, select, update

from rag.errors import BadRequestError
from state.database import StateDatabase
from state.session_files import SessionFiles
from state.tables import MessageRow, SessionLeaseRow, SessionRow

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

_LEASES = SessionLeaseRow.__table__.c
_LEASED = and_(
    _LEASES.namespace == bindparam("in_namespace"),
    _LEASES.project == bindparam("in_project"),
    _LEASES.session_id == bindparam("in_session"),
)
_LEASE = select(_LEASES.owner, _LEASES.until).where(_LEASED)
_ADD_LEASE = insert(SessionLeaseRow)
_TAKE_LEASE = update(SessionLeaseRow).where(_LEASED).values(owner=bindparam("new_owner"), until=bindparam("new_until"))
_MINE = and_(_LEASED, _LEASES.owner == bindparam("my_name"))
_RENEW_LEASE = update(SessionLeaseRow).where(_MINE).values(until=bindparam("new_until"))
_DROP_LEASE = delete(SessionLeaseRow).where(_MINE)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """`last_used_at` and `created_at` are None for one that is known from a file of LlamaFarm only."""

    session_id: str
    message_count: int
    created_at: float | None
    last_used_at: float | None


def _leased(key: SessionKey) -> dict[str, str]:
    return {"in_namespace": key.namespace, "in_project": key.project, "in_session": key.session_id}


class SessionStore:
    """Messages are OpenAI chat messages. A session comes into being with its first message.

    One at a time may answer in a session, over all processes: `begin` leases it, `append` or `release` ends that.

    Args:
        files: where conversations are looked for that are not in SQL.
    """

    def __init__(self, database: StateDatabase, files: SessionFiles | None = None) -> None:
        self._database = database
        self._files = files

    def history(self, key: SessionKey, *, last_count: int | None = None) -> list[dict[str, Any]]:
        """What was said, oldest first, or the last `last_count` messages; empty for a session that does not exist."""
        with self._database.read() as session:
            return self._said(session.connection(), key, last_count)

    def of_project(self, namespace: str, project: str) -> list[SessionInfo]:
        """The sessions of a project, last used first; those that only a file knows come last."""
        count = select(func.count(MessageRow.id)).where(MessageRow.session_row_id == SessionRow.id)
        of_project = and_(SessionRow.namespace == namespace, SessionRow.project == project)
        columns = (SessionRow.session_id, count.scalar_subquery(), SessionRow.created_at, SessionRow.last_used_at)
        query = select(*columns).where(of_project).order_by(SessionRow.last_used_at.desc(), SessionRow.id.desc())
        found = [SessionInfo(*row) for row in self._database.rows(query, {})]
        known = {each.session_id for each in found}
        others = [key for key in self._keys_of_files(namespace, project) if key.session_id not in known]
        counts = {key.session_id: len(self._from_file(key)) for key in others}
        return [*found, *(SessionInfo(name, count, None, None) for name, count in counts.items() if count)]

    def begin(
        self, key: SessionKey, owner: str, *, lease_s: float, last_count: int | None = None
    ) -> list[dict[str, Any]] | None:
        """Lease a session and give what was said in it, as `history`; None while somebody else answers in it."""
        now = time.time()
        with self._database.locked() as connection:
            held = connection.execute(_LEASE, _leased(key)).first()
            if held is None:
                lease = {**_values(key), "owner": owner, "until": now + lease_s}
                connection.execute(_ADD_LEASE, lease)
            elif held.until > now and held.owner != owner:
                return None
            else:
                connection.execute(_TAKE_LEASE, {**_leased(key), "new_owner": owner, "new_until": now + lease_s})
            return self._said(connection, key, last_count)

    def renew(self, key: SessionKey, owner: str, *, lease_s: float) -> None:
        with self._database.locked() as connection:
            values = {**_leased(key), "my_name": owner, "new_until": time.time() + lease_s}
            connection.execute(_RENEW_LEASE, values)

    def release(self, key: SessionKey, owner: str) -> None:
        with self._database.locked() as connection:
            connection.execute(_DROP_LEASE, {**_leased(key), "my_name": owner})

    def append(self, key: SessionKey, messages: Sequence[Mapping[str, Any]], *, owner: str | None = None) -> bool:
        """Add messages in one transaction: a reader sees all of them or none. Ends the lease of `owner`.

        Returns:
            False, and nothing was added, when `owner` lost its lease: the session was deleted, or others went on.
        """
        with self._database.locked() as connection:
            if (
                owner is not None
                and _rowcount(connection.execute(_DROP_LEASE, {**_leased(key), "my_name": owner})) == 0
            ):
                return False
            is_taken_over = self._append(connection, key, messages)
        if is_taken_over and self._files is not None:
            self._files.mark_taken_over(key)
        return True

    def delete(self, key: SessionKey) -> bool:
        """Whether there was anything to delete. What is being answered in it is not remembered either."""
        is_deleted = self._delete(_is(key), lease=_leased_by(key.namespace, key.project, key.session_id)) > 0
        was_in_file = self._files.remove(key) if self._files is not None else False
        return is_deleted or was_in_file

    def delete_all(self, namespace: str, project: str) -> int:
        """Delete every session of a project, live or not, and return how many there were."""
        of_project = and_(SessionRow.namespace == namespace, SessionRow.project == project)
        names = {row[0] for row in self._database.rows(select(SessionRow.session_id).where(of_project), {})}
        count = self._delete(of_project, lease=_leased_by(namespace, project))
        for key in self._keys_of_files(namespace, project):
            was_in_file = self._files.remove(key) if self._files is not None else False
            count += was_in_file and key.session_id not in names
        return count

    def sweep(self, kept_s: float) -> int:
        """Delete the sessions of all projects that were not used for `kept_s`, and return how many."""
        now = time.time()
        return self._delete(SessionRow.last_used_at < now - kept_s, lease=_LEASES.until < now)

    def _said(self, connection: Connection, key: SessionKey, last_count: int | None) -> list[dict[str, Any]]:
        if last_count is None:
            said = list(connection.execute(_HISTORY, _values(key)).scalars())
        else:
            said = list(connection.execute(_LAST, {**_values(key), "last_count": last_count}).scalars())[::-1]
        return said or self._from_file(key)[-(last_count or 0) :]

    def _from_file(self, key: SessionKey) -> list[dict[str, Any]]:
        return self._files.read(key) if self._files is not None else []

    def _keys_of_files(self, namespace: str, project: str) -> list[SessionKey]:
        """Of folders whose name could be a session's."""
        keys = []
        for name in self._files.ids(namespace, project) if self._files is not None else ():
            with suppress(BadRequestError):
                keys.append(SessionKey(namespace, project, name))
        return keys

    def _append(self, connection: Connection, key: SessionKey, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a file's messages were taken over: they come before the new ones."""
        now = time.time()
        row_id = connection.scalar(_FIND, _values(key))
        earlier: Sequence[Mapping[str, Any]] = ()
        if row_id is None:
            earlier = self._from_file(key)
            row_id = connection.scalar(_ADD, {**_values(key), "created_at": now, "last_used_at": now})
        else:
            connection.execute(_TOUCH, {"row_id": row_id, "now": now})
        rows = [{"session_row_id": row_id, "body": dict(each), "created_at": now} for each in [*earlier, *messages]]
        if rows:
            connection.execute(_ADD_MESSAGES, rows)
        return bool(earlier)

    def _delete(self, condition: ColumnElement[bool], *, lease: ColumnElement[bool]) -> int:
        """Messages go with their session: the tables cascade."""
        with self._database.locked() as connection:
            connection.execute(delete(SessionLeaseRow).where(lease))
            return _rowcount(connection.execute(delete(SessionRow).where(condition)))


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


def _leased_by(namespace: str, project: str, session_id: str | None = None) -> ColumnElement[bool]:
    condition = and_(_LEASES.namespace == namespace, _LEASES.project == project)
    return condition if session_id is None else and_(condition, _LEASES.session_id == session_id)


def _rowcount(result: Any) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0


def _is(key: SessionKey) -> ColumnElement[bool]:
    return and_(
        SessionRow.namespace == key.namespace,
        SessionRow.project == key.project,
        SessionRow.session_id == key.session_id,
    )
