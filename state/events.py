"""A project's event log in SQL: what a chat or the processing of a file did, step by step, and how long it took."""

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, select

from rag.errors import InvalidInputError
from state.database import StateDatabase
from state.tables import EventRow

EventType = Literal["inference", "rag_processing"]
Note = tuple[str, float, Mapping[str, Any]]
"""(name, seconds since the epoch, data) of one step."""

MAX_MODEL_CHARS: Final = 300
DELETED_AT_ONCE: Final = 5_000
"""Rows that one transaction deletes: others that write wait for it."""

_EVENTS = EventRow.__table__.c
_IN_LIST = (
    _EVENTS.event_id,
    _EVENTS.event_type,
    _EVENTS.request_id,
    _EVENTS.config_hash,
    _EVENTS.started_at,
    _EVENTS.duration_s,
    _EVENTS.first_token_s,
    _EVENTS.error,
    _EVENTS.model,
    _EVENTS.token_count,
)
_IS_TAKEN = select(_EVENTS.id).where(
    _EVENTS.namespace == bindparam("namespace"),
    _EVENTS.project == bindparam("project"),
    _EVENTS.event_id == bindparam("event_id"),
)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that has ended.

    Args:
        key: what its id is derived from, so that the same work has the same id; None makes a random one.
        error: None when it completed.
        token_count: of prompt and answer together.
        data: facts about the whole, by name.
    """

    namespace: str
    project: str
    event_type: EventType
    started_at: float
    ended_at: float
    notes: Sequence[Note]
    error: str | None = None
    key: str | None = None
    request_id: str | None = None
    config_hash: str | None = None
    model: str | None = None
    token_count: int | None = None
    first_token_at: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was stored; `body` only when one event was asked for."""

    event_id: str
    event_type: str
    request_id: str | None
    config_hash: str | None
    started_at: float
    duration_s: float
    first_token_s: float | None
    error: str | None
    model: str | None
    token_count: int | None
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Both times are included."""

    event_type: str | None = None
    start: float | None = None
    end: float | None = None


class EventStore:
    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def add(self, events: Sequence[NewEvent], is_wanted: Callable[[NewEvent], bool] = lambda _: True) -> None:
        """Write events in one transaction, within which `is_wanted` is asked: a `forget` comes before or after both.

        Raises:
            ValueError: one of them holds what the database has no room for, such as a number of too many digits.
        """
        if not events:
            return
        try:
            with self._database.locked() as connection:
                for event in filter(is_wanted, events):
                    add_event(connection, event)
        except InvalidInputError as error:  # the database does answer: waiting would not help
            raise ValueError(f"an event cannot be stored: {error}") from error

    def page(
        self, namespace: str, project: str, wanted: EventFilter, *, limit: int, offset: int
    ) -> tuple[int, list[StoredEvent]]:
        """(how many there are, those of one page), newest first."""
        condition = and_(_of_project(namespace, project), *_conditions(wanted))
        count = select(func.count()).select_from(EventRow).where(condition)
        order = (_EVENTS.started_at.desc(), _EVENTS.id.desc())
        page = select(*_IN_LIST).where(condition).order_by(*order).limit(limit).offset(offset)
        total = int(self._database.rows(count, {})[0][0])
        return total, [StoredEvent(*row) for row in self._database.rows(page, {})]

    def get(self, namespace: str, project: str, event_id: str) -> StoredEvent | None:
        query = select(*_IN_LIST, _EVENTS.body).where(_of_project(namespace, project), _EVENTS.event_id == event_id)
        rows = self._database.rows(query, {})
        return StoredEvent(*rows[0]) if rows else None

    def forget(self, namespace: str, project: str) -> int:
        """Delete the log of a project; returns how many events it had."""
        return self._delete(_of_project(namespace, project))

    def sweep(self, *, kept_s: float, max_per_project: int) -> int:
        """Delete what is older than `kept_s`, and of each project all but its newest; returns how many."""
        deleted = self._delete(_EVENTS.started_at < self._clock() - kept_s)
        crowded = select(_EVENTS.namespace, _EVENTS.project).group_by(_EVENTS.namespace, _EVENTS.project)
        for namespace, project in self._database.rows(crowded.having(func.count() > max_per_project), {}):
            newest = select(_EVENTS.started_at).where(_of_project(namespace, project))
            oldest_kept = newest.order_by(_EVENTS.started_at.desc()).offset(max_per_project - 1).limit(1)
            limit = self._database.rows(oldest_kept, {})
            if limit:
                deleted += self._delete(and_(_of_project(namespace, project), _EVENTS.started_at < limit[0][0]))
        return deleted

    def _delete(self, condition: ColumnElement[bool]) -> int:
        """In several transactions, each short."""
        some = select(_EVENTS.id).where(condition).limit(DELETED_AT_ONCE)
        total = 0
        while True:
            with self._database.locked() as connection:
                count = connection.execute(delete(EventRow).where(_EVENTS.id.in_(some))).rowcount
            total += count
            if count < DELETED_AT_ONCE:
                return total


def add_event(connection: Connection, event: NewEvent) -> str:
    """Write one event within a transaction that holds the write lock; returns its id."""
    row = {
        "namespace": event.namespace,
        "project": event.project,
        "event_id": _free_id(connection, event),
        "event_type": event.event_type,
        "request_id": _storable(event.request_id),
        "config_hash": event.config_hash,
        # To the microsecond that clients are shown: what they send back as a filter finds the event.
        "started_at": round(event.started_at, 6),
        "duration_s": max(0.0, event.ended_at - event.started_at),
        "first_token_s": None if event.first_token_at is None else max(0.0, event.first_token_at - event.started_at),
        "error": _storable(event.error),
        "model": _storable(event.model and event.model[:MAX_MODEL_CHARS]),
        "token_count": event.token_count,
        "body": {
            "notes": [[name, at, dict(data)] for name, at, data in event.notes],
            "data": dict(event.data),
            "metadata": dict(event.metadata),
        },
    }
    connection.execute(insert(EventRow), row)
    return str(row["event_id"])


def _storable(text: str | None) -> str | None:
    """PostgreSQL takes no NUL, and no database half a surrogate pair."""
    return text and text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _free_id(connection: Connection, event: NewEvent) -> str:
    """`evt_<YYYYmmdd_HHMMSS>_<type>_<6 hex>`; two may meet within a busy second, so a taken one is passed over."""
    moment = datetime.fromtimestamp(event.started_at, UTC)
    prefix = f"evt_{moment:%Y%m%d_%H%M%S}_{event.event_type}_"
    place = {"namespace": event.namespace, "project": event.project}
    tries = 0
    while True:
        made = secrets.token_hex(3) if event.key is None else _digest(f"{event.key}:{tries}")
        if connection.scalar(_IS_TAKEN, {**place, "event_id": prefix + made}) is None:
            return prefix + made
        tries += 1


def config_hash(content: bytes) -> str:
    """Names a configuration in the log: equal content, equal name."""
    return f"sha256_{hashlib.sha256(content).hexdigest()[:16]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _of_project(namespace: str, project: str) -> ColumnElement[bool]:
    return and_(_EVENTS.namespace == namespace, _EVENTS.project == project)


def _conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.event_type is not None:
        conditions.append(_EVENTS.event_type == wanted.event_type)
    if wanted.start is not None:
        conditions.append(_EVENTS.started_at >= wanted.start)
    if wanted.end is not None:
        conditions.append(_EVENTS.started_at <= wanted.end)
    return conditions
