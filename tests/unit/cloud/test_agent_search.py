"""Search over agents' documents, against a plain reading of its rules."""

import functools
import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event

from rag.errors import InvalidInputError
from state.cloud.agent_data import AgentDataStore, Search
from state.cloud.agent_documents import Place
from state.cloud.agent_groups import Grouping
from state.cloud.agent_orders import read_orders
from state.cloud.agent_search import FEW
from state.cloud.tables import AgentDataRow
from state.database import StateDatabase
from state.tables import Base

PLACE = Place("p1", "agent", "default")
MISSING = object()
TABLES = [Base.metadata.tables[name] for name in ("agent_data", "agent_value")]


pytestmark = pytest.mark.state("sqlite", "postgresql")


class Store(AgentDataStore):
    def __init__(self, database: StateDatabase) -> None:
        self.database = database
        super().__init__(database, clock=lambda: 1_700_000_000.0)

    def emptied(self) -> "Store":
        with self.database.locked() as connection:
            connection.execute(delete(AgentDataRow))
        return self

    def found(self, filters: Mapping[str, Any], order_by: str | None = None, size: int = 7) -> list[str]:
        """Ids over all pages."""
        ids: list[str] = []
        token = None
        for _ in itertools.count():
            page = self.search(Search(PLACE, filters, read_orders(order_by), token=token, limit=size, with_total=True))
            ids += [each.id for each in page.items]
            token = page.next_token
            if token is None:
                assert page.total == len(ids)
                return ids
        return ids


@pytest.fixture
def store(state_kind: str, postgres_url: str | None) -> Iterator[Store]:
    """SQLite in memory, or a PostgreSQL of its own."""
    database = StateDatabase(postgres_url or "sqlite://")
    if state_kind == "sqlite":
        Base.metadata.create_all(database.engine, TABLES)
    yield Store(database)
    database.close()


# -- the rules, read plainly ------------------------------------------------------------------------------------------


def moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or len(value) < 10 or value[4:5] != "-" or value[:4].strip("0123456789"):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def kind(value: Any) -> str:
    if value is None or value is MISSING:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "time" if moment(value) else "text"
    return type(value).__name__


def is_same(value: Any, wanted: Any) -> bool:
    if kind(value) != kind(wanted) or value is MISSING:
        return False
    return moment(value) == moment(wanted) if kind(value) == "time" else bool(value == wanted)


def at(document: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(document, dict) or key not in document:
            return MISSING
        document = document[key]
    return document


def compares(value: Any, operator: str, wanted: Any) -> bool:
    kinds = {kind(value), kind(wanted)}
    if kinds == {"time"}:
        value, wanted = moment(value), moment(wanted)
    elif not (kinds == {"number"} or kinds <= {"text", "time"}):
        return False
    return bool({"gt": value > wanted, "gte": value >= wanted, "lt": value < wanted, "lte": value <= wanted}[operator])


def meets(document: Any, path: str, operator: str, wanted: Any) -> bool:
    value = at(document, path)
    if operator in ("eq", "ne"):
        return is_same(value, wanted) == (operator == "eq")
    if operator in ("includes", "excludes"):
        entries = value if isinstance(value, list) else [value]
        return any(is_same(each, other) for each in entries for other in wanted) == (operator == "includes")
    return compares(value, operator, wanted)


RANKS = {"number": 0, "time": 1, "text": 2, "bool": 3}


def sort_key(value: Any) -> Any:
    found = kind(value)
    return {"time": lambda: moment(value), "bool": lambda: str(value).lower()}.get(found, lambda: value)()


def compare(one: Any, other: Any, *, is_descending: bool) -> int:
    ranks = [RANKS.get(kind(each), 9) for each in (one, other)]
    if ranks[0] != ranks[1]:
        first_is_later = (ranks[0] > ranks[1]) != (is_descending and 9 not in ranks)
        return 1 if first_is_later else -1
    if ranks[0] == 9 or sort_key(one) == sort_key(other):
        return 0
    return (1 if sort_key(one) > sort_key(other) else -1) * (-1 if is_descending else 1)


# -- what is searched -------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(
        ["a", "b", "ab", "B", "é", "z" * 301, "z" * 300, "z" * 299 + "a", "z" * 400, "", "true", "1", "😀", "\ue000"]
    ),
    st.sampled_from(
        ["2024-01-02", "2024-01-02T00:00:00Z", "2024-01-02T01:00:00+01:00", "2023-12-31T23:59:59.5Z", "2024"]
    ),
)
NUMBERS = st.one_of(
    st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.5, 1e300, 2**53, 2**53 + 1, 2**60, 2**60 + 1, -(2**53) - 1])
)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just({}))
DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"x": VALUES, "y": VALUES, "n": st.fixed_dictionaries({}, optional={"x": VALUES})}
    ),
    max_size=12,
)
PATHS = st.sampled_from(["x", "y", "n.x"])
SMALL = NUMBERS.filter(lambda each: abs(each) <= 2**53)
CONDITIONS = st.one_of(
    st.tuples(PATHS, st.sampled_from(["eq", "ne"]), SCALARS.filter(lambda each: each is not None)),
    st.tuples(
        PATHS, st.sampled_from(["gt", "gte", "lt", "lte"]), st.one_of(SMALL, TEXTS.filter(lambda t: len(t) <= 200))
    ),
    st.tuples(PATHS, st.sampled_from(["includes", "excludes"]), st.lists(SCALARS, max_size=3)),
)
ORDERS = st.lists(st.tuples(PATHS, st.booleans()), max_size=3, unique_by=lambda each: each[0])


@pytest.mark.parametrize("few", [FEW, 0], ids=["looked up first", "walked along the order"])
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents=DOCUMENTS, conditions=st.lists(CONDITIONS, max_size=2, unique_by=lambda each: each[:2]), orders=ORDERS)
def test_a_search_finds_what_a_reading_of_all_documents_finds(
    store: Store, few: int, documents: list[Any], conditions: list[Any], orders: list[Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("state.cloud.agent_search.FEW", few)
        patch.setattr("state.cloud.agent_walk.ASKED", few)
        _check_search(store.emptied(), documents, conditions, orders, size=7 if few else 2)


def _check_search(store: Store, documents: list[Any], conditions: list[Any], orders: list[Any], size: int) -> None:
    ids = [each.id for each in store.create_all(PLACE, documents)]
    store.create(Place("p2", "agent", "default"), {"x": 1, "y": "a"})
    store.create(Place("p1", "agent", "other"), {"x": 1, "y": "a"})
    filters: dict[str, dict[str, Any]] = {}
    for path, operator, wanted in conditions:
        filters.setdefault(path, {})[operator] = wanted
    rows = [row for row in enumerate(documents) if all(meets(row[1], *each) for each in conditions)]

    def compared(one: Any, other: Any) -> int:
        for path, is_descending in orders:
            found = compare(at(one[1], path), at(other[1], path), is_descending=is_descending)
            if found:
                return found
        is_reversed = bool(orders) and orders[-1][1]
        return (one[0] - other[0]) * (-1 if is_reversed else 1)

    wanted_order = [ids[number] for number, _ in sorted(rows, key=functools.cmp_to_key(compared))]
    order_by = ",".join(f"data.{path}{' desc' * is_descending}" for path, is_descending in orders)
    cut = any(isinstance(at(each, path), str) and len(at(each, path)) > 230 for each in documents for path, _ in orders)
    large = any(
        kind(at(each, path)) == "number" and abs(at(each, path)) > 2**53 for each in documents for path, _ in orders
    )
    found = store.found(filters, order_by or None, size)
    if cut or large:  # sorted by what the index keeps of them
        assert sorted(found) == sorted(wanted_order)
    else:
        assert found == wanted_order


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents=DOCUMENTS, fields=st.lists(PATHS, max_size=2, unique=True), by_count=st.booleans())
def test_groups_are_those_of_strictly_equal_values(
    store: Store, documents: list[Any], fields: list[str], *, by_count: bool
) -> None:
    store.emptied().create_all(PLACE, documents)

    def strict(value: Any) -> Any:
        if value is MISSING or value is None:
            return None
        if isinstance(value, list):
            return ("list", tuple(map(strict, value)))
        return ("object",) if isinstance(value, dict) else (isinstance(value, bool), isinstance(value, str), value)

    expected: dict[Any, list[Any]] = {}
    for each in documents:
        expected.setdefault(tuple(strict(at(each, field)) for field in fields), []).append(each)
    groups: list[Any] = []
    token = None
    orders = read_orders("count desc" if by_count else None, record=False)
    while True:
        page = store.aggregate(Search(PLACE, {}, orders, token=token, limit=3), Grouping(fields, orders))
        groups += page.items
        token = page.next_token
        if token is None:
            break
    if not fields and not documents:
        assert [(each.key, each.count, each.first) for each in groups] == [({}, 0, None)]
        return
    wanted = [(len(each), each[0]) for each in expected.values()]
    if by_count:
        wanted.sort(key=lambda each: -each[0])
    assert [(each.count, each.first) for each in groups] == wanted
    for each in groups:
        firsts = {field: at(each.first, field) for field in fields}
        assert each.key == {field: None if value is MISSING else value for field, value in firsts.items()}


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents=DOCUMENTS, condition=CONDITIONS)
def test_deletion_by_query_takes_what_a_search_finds_and_nothing_else(
    store: Store, documents: list[Any], condition: Any
) -> None:
    ids = [each.id for each in store.emptied().create_all(PLACE, documents)]
    filters = {condition[0]: {condition[1]: condition[2]}}
    found = store.found(filters)
    assert store.delete_matching(PLACE, filters) == len(found)
    assert store.found({}) == [each for each in ids if each not in found]
    assert store.found(filters) == []


@pytest.mark.parametrize("order_by", [None, "data.x", "data.x desc", "created_at desc", "data.x, data.y desc", "id"])
def test_pages_lose_and_repeat_nothing_while_others_insert(store: Store, order_by: str | None) -> None:
    before = [store.create(PLACE, {"x": number % 4, "y": number % 3}).id for number in range(40)]
    seen: list[str] = []
    token = None
    while True:
        page = store.search(Search(PLACE, {"x": {"gte": 1}}, read_orders(order_by), token=token, limit=4))
        seen += [each.id for each in page.items]
        token = page.next_token
        if token is None:
            break
        store.create(PLACE, {"x": len(seen) % 4 - 0.5})
        if len(seen) > 300:
            pytest.fail("the pages do not end")
    assert len(seen) == len(set(seen))
    assert {each for number, each in enumerate(before) if number % 4 >= 1} <= set(seen)


def test_a_token_of_another_query_is_refused(store: Store) -> None:
    for number in range(5):
        store.create(PLACE, {"x": number})
    token = store.search(Search(PLACE, {}, read_orders("data.x"), limit=2)).next_token
    assert token
    for other in (
        Search(PLACE, {}, read_orders("data.x desc"), token=token, limit=2),
        Search(PLACE, {"x": {"gt": 1}}, read_orders("data.x"), token=token, limit=2),
        Search(Place("p1", "agent", "else"), {}, read_orders("data.x"), token=token, limit=2),
    ):
        with pytest.raises(InvalidInputError, match="page_token"):
            store.search(other)


def test_keys_with_dots_control_characters_and_great_length_are_found(store: Store) -> None:
    wanted = {"a.b": 1, "c\x1f": 2, "k" * 3000: 3, "d": {"e.f": 4}, "": 5, "g": [{"h": 6}, {"h": [7]}]}
    item = store.create(PLACE, wanted).id
    for path, value in (("a.b", 1), ("c\x1f", 2), ("k" * 3000, 3), ("d.e.f", 4)):
        assert store.found({path: {"eq": value}}, f"data.{path}" if path.isprintable() else None) == [item]
        assert store.found({path: {"eq": value + 1}}) == []
    assert store.found({"g.h": {"includes": [7]}}) == [item]
    assert store.found({"g.h": {"eq": 6}}) == []


def test_texts_with_a_nul_are_told_apart(store: Store) -> None:
    item = store.create(PLACE, {"x": "a\x00b"}).id
    assert store.found({"x": {"eq": "a\x00b"}}) == [item]
    assert store.found({"x": {"eq": "a\x01b"}}) == []


def test_a_text_that_looks_like_the_index_entry_of_a_long_one_is_not_taken_for_it(store: Store) -> None:
    long = "z" * 400
    alike = f"{'z' * 230}\x1f{hashlib.sha256(long.encode()).hexdigest()}"
    ids = [store.create(PLACE, {"x": each}).id for each in (long, alike)]
    assert [store.found({"x": {"eq": each}}) for each in (long, alike)] == [[ids[0]], [ids[1]]]
    assert [each.count for each in store.aggregate(Search(PLACE, {}), Grouping(["x"], ())).items] == [1, 1]


@pytest.mark.parametrize("order_by", ["updated_at desc", "created_at, data.x desc", "data.x, updated_at", "data.x, id"])
@pytest.mark.parametrize("few", [FEW, 0], ids=["looked up first", "walked along the order"])
def test_times_of_the_record_are_an_order_like_any_other(
    store: Store, few: int, order_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state.cloud.agent_search.FEW", few)
    monkeypatch.setattr("state.cloud.agent_walk.ASKED", few)
    kept = store.create_all(PLACE, [{"x": number % 3, "y": number} for number in range(12)])
    items = [store.replace(kept[number].id, {"x": number % 3, "y": number}) for number in (5, 2, 8)]
    items += [each for number, each in enumerate(kept) if number not in (5, 2, 8)]
    x_of = {each.id: number % 3 for number, each in enumerate(kept)}
    numbers = {each.id: number for number, each in enumerate(kept)}
    plain = {
        "updated_at desc": lambda each: (-each.updated_at, -numbers[each.id]),
        "created_at, data.x desc": lambda each: (-x_of[each.id], -numbers[each.id]),
        "data.x, updated_at": lambda each: (x_of[each.id], each.updated_at, numbers[each.id]),
        "data.x, id": lambda each: (x_of[each.id], each.id),
    }[order_by]
    wanted = [each.id for each in sorted(items, key=plain) if numbers[each.id] > 1]
    assert store.found({"y": {"gt": 1}}, order_by, size=2) == wanted


def test_numbers_beyond_a_float_are_equal_to_themselves_alone(store: Store) -> None:
    ids = [store.create(PLACE, {"x": 2**53 + number}).id for number in range(3)]
    for number, item in enumerate(ids):
        assert store.found({"x": {"eq": 2**53 + number}}) == [item]
    assert math.isclose(float(2**53), float(2**53 + 1))


def test_deletion_by_query_takes_as_many_steps_as_it_needs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("state.cloud.agent_data.DELETED_AT_ONCE", 2)
    store.create_all(PLACE, [{"x": number % 2} for number in range(11)])
    store.create(Place("p2", "agent", "default"), {"x": 1})
    assert store.delete_matching(PLACE, {"x": {"eq": 1}}) == 5
    assert store.delete_matching(PLACE, {}) == 6
    assert len(store.search(Search(Place("p2", "agent", "default"), {})).items) == 1


@pytest.mark.state("sqlite")
@pytest.mark.parametrize("order_by", ["data.x", "data.x desc, data.y", "updated_at desc", None])
def test_a_walk_and_its_conditions_are_answered_by_indexes_alone(
    store: Store, order_by: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state.cloud.agent_search.FEW", 0)
    store.create_all(PLACE, [{"x": 1, "y": number, "z": "a"} for number in range(30)])
    plans: list[str] = []

    @event.listens_for(store.database.engine, "before_cursor_execute")
    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "agent_value" in statement or "LIMIT" in statement:
            steps = connection.connection.dbapi_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(step[3] for step in steps)

    query = Search(PLACE, {"z": {"eq": "a"}}, read_orders(order_by), limit=5, with_total=True)
    assert store.search(query).total == 30
    reads = [each for each in plans if each.startswith(("SEARCH agent", "SEARCH probe", "SCAN agent", "SCAN probe"))]
    of_few = [each for each in reads if "(rowid=?)" in each or "ix_agent_value_number" in each]
    assert [each for each in reads if each not in of_few and "COVERING INDEX" not in each] == []
    assert any("ix_agent_value_text" in each for each in reads)
