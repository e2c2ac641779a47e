"""What the event-log routes do."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from config.layout import is_accepted_name
from rag.errors import NotFoundError, RagError
from server.schemas.event_logs import EventDetail, EventList, EventSummary, Step, Summary
from server.services.event_writer import EventWriter
from state.events import EventFilter, EventStore, StoredEvent
from state.sessions import SessionStore


class EventLogService:
    """Reads the log; what this process has not written yet is written first, so that a client finds its last chat."""

    def __init__(self, store: EventStore, writer: EventWriter) -> None:
        self._store = store
        self._writer = writer

    def list(
        self,
        namespace: str,
        project: str,
        *,
        event_type: str | None,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        offset: int,
    ) -> EventList:
        """Newest first; none of a project that does not exist."""
        if not (is_accepted_name(namespace) and is_accepted_name(project)):
            return EventList(total=0, events=[], limit=limit, offset=offset)
        self._catch_up()
        wanted = EventFilter(event_type, _seconds(start), _seconds(end))
        total, found = self._store.page(namespace, project, wanted, limit=limit, offset=offset)
        events = [EventSummary(**_summary(namespace, project, event)) for event in found]
        return EventList(total=total, events=events, limit=limit, offset=offset)

    def get(self, namespace: str, project: str, event_id: str) -> EventDetail:
        found = None
        if is_accepted_name(namespace) and is_accepted_name(project) and event_id.isprintable():
            self._catch_up()
            found = self._store.get(namespace, project, event_id)
        if found is None:
            raise NotFoundError(f"Event '{event_id[:100]}' not found in project '{namespace}/{project}'")
        steps, body = _steps(found), found.body
        return EventDetail(
            **_summary(namespace, project, found),
            data={**body["data"], "duration_ms": _ms(found.duration_s)},
            metadata=body["metadata"],
            error=found.error,
            total_elapsed_time_ms=_ms(found.duration_s),
            time_to_first_token_ms=None if found.first_token_s is None else _ms(found.first_token_s),
            events=steps,
            sub_events=steps,
        )

    def _catch_up(self) -> None:
        with suppress(RagError):  # the look that follows says what is wrong
            self._writer.flush()


class ProjectRecords:
    """What a project has in the state beside its files: removed with it."""

    def __init__(self, sessions: SessionStore, events: EventStore) -> None:
        self._sessions = sessions
        self._events = events

    def delete_all(self, namespace: str, project: str) -> int:
        """Returns how many sessions there were."""
        self._events.forget(namespace, project)
        return self._sessions.delete_all(namespace, project)


def _summary(namespace: str, project: str, event: StoredEvent) -> dict[str, Any]:
    duration_ms = _ms(event.duration_s)
    return {
        "event_id": event.event_id,
        "type": event.event_type,
        "event_type": event.event_type,
        "request_id": event.request_id,
        "timestamp": _moment(event.started_at),
        "namespace": namespace,
        "project": project,
        "status": "completed" if event.error is None else "failed",
        "duration_ms": duration_ms,
        "config_hash": event.config_hash,
        "summary": Summary(model=event.model, tokens=event.token_count, duration_ms=duration_ms),
    }


def _steps(event: StoredEvent) -> list[Step]:
    steps, before = [], event.started_at
    for name, at, data in event.body["notes"]:
        passed_ms = _ms(max(0.0, at - before))
        steps.append(Step(timestamp=_moment(at), event_name=name, duration_ms=passed_ms, data=data))
        before = at
    return steps


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
