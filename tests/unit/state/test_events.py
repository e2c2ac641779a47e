"""The event log in SQL: what is written can be found, by type and time, page by page; and it does not grow for ever."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, OperationalError

from rag.errors import UpstreamError
from state.database import StateDatabase
from state.events import EventFilter, EventStore, NewEvent

NOON = 1_705_320_000.0  # 2024-01-15 12:00:00 UTC
DAY_S = 86_400.0
ALL = EventFilter()

pytestmark = pytest.mark.state("sqlite", "postgresql")


@pytest.fixture
def database(state_database: StateDatabase) -> StateDatabase:
    return state_database


@pytest.fixture
def events(database: StateDatabase) -> EventStore:
    return EventStore(database, clock=lambda: NOON)


def new(started_at: float = NOON, project: str = "bot", **values: Any) -> NewEvent:
    defaults: dict[str, Any] = {"event_type": "inference", "ended_at": started_at + 1.25, "notes": ()}
    return NewEvent(namespace="org", project=project, started_at=started_at, **{**defaults, **values})


def ids(events: EventStore, wanted: EventFilter = ALL, limit: int = 100, offset: int = 0) -> tuple[int, list[float]]:
    total, found = events.page("org", "bot", wanted, limit=limit, offset=offset)
    return total, [each.started_at for each in found]


def test_an_event_comes_back_whole(events: EventStore) -> None:
    note = ("request_received", NOON + 0.5, {"message_length": 3})
    events.add([new(notes=[note], error="it broke", model="m", token_count=7, first_token_at=NOON + 1, data={"a": 1})])
    (listed,) = events.page("org", "bot", ALL, limit=10, offset=0)[1]
    assert re.fullmatch(r"evt_20240115_120000_inference_[0-9a-f]{6}", listed.event_id)
    assert (listed.duration_s, listed.first_token_s, listed.error, listed.token_count) == (1.25, 1.0, "it broke", 7)
    found = events.get("org", "bot", listed.event_id)
    assert found is not None
    assert found.body == {"notes": [[note[0], note[1], note[2]]], "data": {"a": 1}, "metadata": {}}
    assert events.get("org", "cat", listed.event_id) is None


def test_events_are_found_by_type_and_time_newest_first(events: EventStore) -> None:
    events.add([new(NOON + number) for number in range(5)])
    events.add([new(NOON + 10, event_type="rag_processing"), new(NOON + 20, project="cat")])
    assert ids(events) == (6, [NOON + 10, NOON + 4, NOON + 3, NOON + 2, NOON + 1, NOON])
    assert ids(events, EventFilter("rag_processing")) == (1, [NOON + 10])
    assert ids(events, EventFilter("no such type")) == (0, [])
    assert ids(events, EventFilter(start=NOON + 3)) == (3, [NOON + 10, NOON + 4, NOON + 3])
    assert ids(events, EventFilter("inference", start=NOON + 1, end=NOON + 2)) == (2, [NOON + 2, NOON + 1])
    assert ids(events, EventFilter(start=NOON + 2, end=NOON + 1)) == (0, [])


def test_a_moment_as_it_is_shown_finds_its_event(events: EventStore) -> None:
    for number in range(50):
        exact = NOON + number + 0.123_456_7 + number * 1e-7
        events.add([new(exact)])
        shown = datetime.fromtimestamp(events.page("org", "bot", ALL, limit=1, offset=0)[1][0].started_at, UTC)
        moment = datetime.fromisoformat(shown.isoformat()).timestamp()
        assert ids(events, EventFilter(start=moment, end=moment))[0] == 1


def test_pages_join_without_gap_or_overlap(events: EventStore) -> None:
    events.add([new(NOON + number // 3) for number in range(10)])  # several begin in the same moment
    whole = [each.event_id for each in events.page("org", "bot", ALL, limit=100, offset=0)[1]]
    pages = [events.page("org", "bot", ALL, limit=4, offset=offset) for offset in (0, 4, 8, 12)]
    assert [each.event_id for _, page in pages for each in page] == whole
    assert {total for total, _ in pages} == {10}


def test_work_of_the_same_key_in_one_second_still_gets_ids_of_its_own(events: EventStore) -> None:
    events.add([new(key="same"), new(key="same"), new(key="other")])
    found = [each.event_id for each in events.page("org", "bot", ALL, limit=10, offset=0)[1]]
    assert len(set(found)) == 3


def test_old_events_and_those_beyond_the_number_are_swept(events: EventStore) -> None:
    events.add([new(NOON - 31 * DAY_S), new(NOON - 40 * DAY_S, project="cat")])
    events.add([new(NOON - number) for number in range(6)])
    assert events.sweep(kept_s=30 * DAY_S, max_per_project=4) == 4
    assert ids(events) == (4, [NOON, NOON - 1, NOON - 2, NOON - 3])
    assert events.sweep(kept_s=30 * DAY_S, max_per_project=4) == 0


def test_sweeping_deletes_more_than_one_transaction_does(events: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("state.events.DELETED_AT_ONCE", 3)
    events.add([new(NOON - 99 * DAY_S - number) for number in range(10)])
    assert events.sweep(kept_s=DAY_S, max_per_project=100) == 10
    assert ids(events) == (0, [])


def test_a_value_that_the_database_refuses_is_told_from_a_database_that_is_away(
    events: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter(
        [DataError("INSERT", {}, ValueError("out of range")), OperationalError("INSERT", {}, OSError("gone"))]
    )

    def refuse(*_: Any) -> None:
        raise next(errors)

    monkeypatch.setattr("state.events.add_event", refuse)
    with pytest.raises(ValueError, match="out of range"):
        events.add([new()])
    with pytest.raises(UpstreamError, match="does not answer"):
        events.add([new()])


def test_texts_are_stored_without_the_characters_that_databases_refuse(events: EventStore) -> None:
    events.add([new(error="a\0b", model="m\0", request_id="r\ud800")])
    (found,) = events.page("org", "bot", ALL, limit=9, offset=0)[1]
    assert (found.error, found.model, found.request_id) == ("a\ufffdb", "m\ufffd", "r?")


def test_a_deleted_project_has_no_log(events: EventStore) -> None:
    events.add([new(), new(project="cat")])
    assert events.forget("org", "bot") == 1
    assert ids(events) == (0, [])
    assert events.page("org", "cat", ALL, limit=10, offset=0)[0] == 1


@pytest.mark.state("sqlite")
@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("", "ix_event_project_time"),
        (" AND started_at >= 1 AND started_at <= 9", "ix_event_project_time"),
        (" AND event_type = 'inference'", "ix_event_project_type_time"),
    ],
)
def test_a_page_of_a_large_log_is_read_by_an_index(database: StateDatabase, condition: str, index: str) -> None:
    """So that it takes no longer among 100,000 events than among ten."""
    query = "SELECT event_id FROM event WHERE namespace = 'o' AND project = 'p'"
    order = " ORDER BY started_at DESC, id DESC LIMIT 10"
    with database.engine.connect() as connection:
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {query}{condition}{order}")).all()
    steps = " / ".join(str(row[-1]) for row in plan)
    assert index in steps
    assert "TEMP B-TREE" not in steps
