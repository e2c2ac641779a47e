"""What every store promises. Each test runs over the fake, the real thing and the view of live chunks."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import httpx
import numpy as np
import pytest

from rag.errors import (
    CancelledTaskError,
    ConflictError,
    EmbeddingError,
    InvalidInputError,
    UnknownComponentError,
    UpstreamError,
)
from rag.filters import Filter, parse_filter
from rag.stores import stores
from rag.stores.base import Metric, Store, StoreIdentity, StoreStats, VectorFacts
from rag.stores.chroma import ChromaStore
from rag.stores.live import LiveStore
from rag.stores.qdrant import QdrantStore
from rag.types import Record, Scalar
from tests.fixtures import chroma, qdrant

chroma_process = chroma.chroma_process
qdrant_double = qdrant.qdrant_double

DIMENSION = 16
EVERYTHING = Filter()
MakeStore = Callable[..., Store]
_numbers = count()
CHROMA = [pytest.mark.chroma, pytest.mark.xdist_group("chroma")]


@pytest.fixture(
    params=[
        "memory",
        pytest.param("chroma", marks=CHROMA),
        "qdrant",
        "qdrant over http",
        "live over memory",
        pytest.param("live", marks=CHROMA),
    ]
)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """A factory: `make_store(database="a", model_id="m")`; equal databases of one test share their data on Chroma.

    Qdrant is its embedded mode: the client's own model of the server, which compares with every vector. Over HTTP, that
    is behind a double of the server.
    """
    kind: str = request.param
    number = next(_numbers)
    url = request.getfixturevalue("chroma_process").url if kind in ("chroma", "live") else ""

    def make(database: str = "papers", model_id: str = "model", dimension: int = DIMENSION, metric: Metric = "cosine"):
        identity = StoreIdentity("org", f"project-{number}", database, model_id, dimension, metric)
        if kind == "qdrant":
            return stores.build("QdrantStore", {"path": f"contract-{number}"}, identity=identity)
        if kind == "qdrant over http":
            double = request.getfixturevalue("qdrant_double")
            return stores.build("QdrantStore", {"url": double.url}, identity=identity)
        name = "ChromaStore" if url else "MemoryStore"
        store = stores.build(name, {}, identity=identity, url=url, data_dir=tmp_path)
        request.addfinalizer(store.close)
        return LiveStore(store, set) if kind.startswith("live") else store

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store()


def unit(seed: int, dimension: int = DIMENSION) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


def record(number: int, text: str = "", file_key: str = "set/a", generation: str = "g1", **metadata: Scalar) -> Record:
    return Record(
        f"{file_key}-{generation}-{number:05d}", text or f"chunk {number}", unit(number), file_key, generation, metadata
    )


def ids(hits: list) -> list[str]:
    return [hit.id for hit in hits]


def test_a_new_store_is_empty_and_reading_creates_nothing(store: Store, tmp_path: Path) -> None:
    assert store.search_vector(unit(1), limit=5, where=EVERYTHING) == []
    assert store.search_text("anything", limit=5, where=EVERYTHING) == []
    assert store.records("set/a") == []
    assert store.delete("set/a") == 0
    assert store.generations() == {}
    assert store.stats() == StoreStats(0, 0)
    assert list(tmp_path.rglob("*.sqlite3")) == []


def test_nothing_to_write_writes_nothing(store: Store) -> None:
    store.upsert([])
    assert store.stats() == StoreStats(0, 0)


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_vector_hits_are_the_nearest_with_scores_in_order(make_store: MakeStore, metric: Metric) -> None:
    store = make_store(metric=metric)
    records = [record(number) for number in range(60)]
    store.upsert(records)
    query = unit(7) + 0.1 * unit(99)
    hits = store.search_vector(query, limit=10, where=EVERYTHING)
    matrix = np.stack([each.vector for each in records])
    keys = ((matrix - query) ** 2).sum(axis=1) if metric == "l2" else -(matrix @ query)
    assert ids(hits) == [records[position].id for position in np.argsort(keys)[:10]]
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert hits[0].scores == {"vector": hits[0].score}


def test_scores_follow_the_published_formulas(make_store: MakeStore) -> None:
    """cosine 1 - d/2, l2 1 / (1 + d/100) of the squared distance, ip (1 + dot)/2 clipped."""
    base, other = np.zeros(DIMENSION, np.float32), np.zeros(DIMENSION, np.float32)
    base[0], other[:2] = 1.0, (0.6, 0.8)
    expected = {"cosine": 0.8, "l2": 1 / (1 + 0.8 / 100), "ip": 0.8}
    for metric, score in expected.items():
        store = make_store(database=f"papers_{metric}", metric=metric)
        store.upsert([replace(record(1), vector=other)])
        (hit,) = store.search_vector(base, limit=1, where=EVERYTHING)
        assert hit.score == pytest.approx(score, abs=1e-5)


def test_hits_carry_everything_that_was_stored(store: Store) -> None:
    stored = record(
        1, "Ünïcode — 日本語 🚀 \"quotes\" 'single' \x00 end\n", filename="naïve résumé.pdf", page=3, ok=True, x=1.5
    )
    store.upsert([stored])
    for hit in (
        *store.search_vector(stored.vector, limit=1, where=EVERYTHING),
        *store.search_text("ünïcode", limit=1, where=EVERYTHING),
    ):
        assert (hit.id, hit.text, hit.file_key, hit.generation) == (stored.id, stored.text, "set/a", "g1")
        assert hit.metadata == stored.metadata
        assert hit.vector is not None
        assert np.array_equal(hit.vector, stored.vector)


def test_writing_the_same_again_changes_nothing(store: Store) -> None:
    records = [record(number, f"wing {number}", page=number) for number in range(30)]
    store.upsert(records)
    before = (store.search_text("wing", limit=50, where=EVERYTHING), store.stats(), store.generations())
    store.upsert(records)
    store.upsert(records[5:15])
    assert (ids(store.search_text("wing", limit=50, where=EVERYTHING))) == ids(before[0])
    assert (store.stats(), store.generations()) == before[1:]


def test_a_chunk_written_anew_is_replaced_whole(store: Store) -> None:
    """Text, vector and metadata: no key, no word and no place in the index stays of what it was."""
    store.upsert([record(1, "turbine", color="red", old=True)])
    changed = replace(record(1, "propeller", color="blue"), vector=unit(500))
    store.upsert([changed])
    assert store.search_text("turbine", limit=5, where=EVERYTHING) == []
    (hit,) = store.search_vector(unit(500), limit=5, where=EVERYTHING)
    assert hit.metadata == {"color": "blue"}
    assert hit.score == pytest.approx(1.0, abs=1e-5)
    assert store.search_vector(unit(1), limit=5, where=parse_filter({"old": True})) == []


def test_two_different_chunks_under_one_id_are_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="set/a-g1-00001"):
        store.upsert([record(1, "one"), record(1, "two")])
    assert store.stats() == StoreStats(0, 0)


def test_text_that_is_not_unicode_is_refused_and_may_be_asked_for(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="not valid Unicode"):
        store.upsert([record(1, "half a pair \ud83d")])
    store.upsert([record(1, "half a pair")])
    assert len(store.search_text("pair \ud83d", limit=1, where=EVERYTHING)) == 1


def broken_vectors() -> dict[str, np.ndarray]:
    nan, infinite = unit(1), unit(1)
    nan[3], infinite[3] = np.nan, np.inf
    return {
        "zero": np.zeros(DIMENSION, np.float32), "NaN": nan, "infinite": infinite,
        "short": unit(1, DIMENSION - 1), "long": unit(1, DIMENSION + 1), "empty": np.array([], np.float32),
    }  # fmt: skip


@pytest.mark.parametrize("name", broken_vectors())
def test_a_bad_vector_is_refused_with_all_that_came_with_it(store: Store, name: str) -> None:
    bad = replace(record(2), vector=broken_vectors()[name])
    with pytest.raises(EmbeddingError, match=bad.id):
        store.upsert([record(1), bad, record(3)])
    assert store.stats() == StoreStats(0, 0)
    assert store.search_vector(unit(1), limit=5, where=EVERYTHING) == []
    with pytest.raises(EmbeddingError):
        store.search_vector(broken_vectors()[name], limit=5, where=EVERYTHING)


METADATA: list[dict[str, Scalar]] = [
    {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"b": 2}, {"a": 2}, {"a": "x"}, {"a": 1.5}, {"a": False}, {},
    {"a": -3}, {"a": ""}, {"a": "2024-05-01"}, {"a": "2025-01-31", "b": 7}, {"a": 0}, {"a.b": 5}, {'a"b': 6},
    {"a\\b": 6}, {"ключ": "значение"}, {"a": "Ünï"}, {"a": 2**53 + 1}, {"a": 10**30}, {"a": 1e300},
    {"filename": "x.pdf"}, {"filename": 4}, {"file_hash": "ab", "a": "x"}, {"a b": "c"}, {"$a": 1},
    {"a": "x' OR '1'='1"}, {"tags": "red, green"}, {"tags": "red"}, {"tags": "dark red, blue"}, {"tags": 3},
    {"tags": "1, 3, 13"}, {"tags": True}, {'t"ags': "red, a'b, 50%"}, {"tags": "Ünï, green_1"},
]  # fmt: skip

FILTERS: list[dict] = [
    {"a": 1}, {"a": 1.0}, {"a": True}, {"a": False}, {"a": "1"}, {"a": 0}, {"a": ""}, {"a": [1, "x"]}, {"a": [True, 2]},
    {"a": []}, {"a": {"$eq": 1}}, {"a": {"$ne": 1}}, {"a": {"$ne": True}}, {"a": {"$ne": "x"}},
    {"a": {"$nin": [1, "x"]}}, {"a": {"$nin": []}}, {"a": {"$in": [1.5, 2]}}, {"a": {"$gt": 1}}, {"a": {"gte": 1}},
    {"a": {"$lt": 1}}, {"a": {"lte": 1.5}}, {"a": {"$gte": "2024-01-01", "$lt": "2025"}}, {"a": {"$gt": "x"}},
    {"a": {"$gt": True}}, {"a": {"$gte": 1}, "b": {"$gte": 0}}, {"b": {"$gt": 1}}, {"missing": 1},
    {"missing": {"$ne": 1}}, {"a": list(range(2, 3000))}, {"a": {"$nin": [str(n) for n in range(3000)]}},
    {"missing": {"$nin": [1]}}, {"a.b": 5}, {'a"b': 6}, {'a"b': {"$ne": 5}}, {"a\\b": 6}, {"a\\b": {"$gte": 6}},
    {"ключ": "значение"}, {"a": "Ünï"}, {"a": 2**53 + 1}, {"a": 10**30}, {"a": {"$lt": 10**30}}, {"filename": "x.pdf"},
    {"filename": 4}, {"filename": ["x.pdf", 4]}, {"filename": {"$ne": "x.pdf"}}, {"file_hash": "ab"}, {"a b": "c"},
    {"a": "x' OR '1'='1"}, {"a') OR 1=1 --": 1}, {'a" OR 1=1 --': {"$ne": 2}},
    {"a": {"$ne": "'; DROP TABLE chunk; --"}},
    {"$or": [{"a": 1}, {"b": 2}]}, {"$not": {"a": 1}}, {"$not": {"a": {"$ne": 1}}}, {"a": {"$not": {"$gt": 0}}},
    {"$and": [{"a": {"$gt": 0}}, {"$or": [{"b": 7}, {"a": {"$lt": 2}}]}]}, {"$not": {"$or": [{"a": "x"}, {"b": 2}]}},
    {"$or": [{"a'b": 1}, {'a"b': 6}, {"missing": 1}]}, {"b": {"$gt": 1}, "$not": {"a": {"$gte": "2025"}}},
    {"tags": {"$contains": "red"}}, {"tags": {"contains": "green"}}, {"tags": {"$contains": 3}}, {"tags": "red"},
    {"tags": {"$contains": "red, green"}}, {"tags": {"$contains": "Ünï"}}, {'t"ags': {"$contains": "a'b"}},
    {'t"ags': {"$contains": "%"}}, {"$not": {"tags": {"$contains": "red"}}}, {"tags": {"$contains": "Red"}},
    {"$or": [{"tags": {"$contains": "blue"}}, {"tags": {"$contains": "13"}}]}, {"tags": {"$contains": "gree_"}},
    {"$not": {"a": 10**30}}, {"$or": [{"a": 2**53 + 1}, {"a": 1e300}]},
]  # fmt: skip


def test_filters_mean_the_same_in_every_store(store: Store) -> None:
    """Every operator, type and missing key; searched by vector and by words; compared with `Filter.matches`."""
    records = [record(number, "common words", **metadata) for number, metadata in enumerate(METADATA)]
    store.upsert(records)
    for raw in FILTERS:
        where = parse_filter(raw)
        expected = {each.id for each in records if where.matches(each.metadata)}
        assert set(ids(store.search_vector(unit(1), limit=100, where=where))) == expected, raw
        assert set(ids(store.search_text("common", limit=100, where=where))) == expected, raw


def test_filters_are_applied_before_the_limit(store: Store) -> None:
    """The few that match are far from the query, so that they are found only if the rest does not take their place."""
    records = [record(number, "wing", rare=number % 400 == 399, half=number % 2 == 0) for number in range(2000)]
    store.upsert(records)
    query = records[0].vector
    rare = store.search_vector(query, limit=10, where=parse_filter({"rare": True}))
    assert sorted(ids(rare)) == [each.id for each in records if each.metadata["rare"]]
    half = store.search_vector(query, limit=10, where=parse_filter({"half": True}))
    exact = sorted(records[::2], key=lambda each: -float(each.vector @ query))
    assert len(set(ids(half)) & {each.id for each in exact[:10]}) >= 9  # an index may miss one neighbour
    assert len(store.search_text("wing", limit=10, where=parse_filter({"rare": True}))) == 5


INJECTIONS = [
    'NEAR("a" "b", 5)', "text: wing", "place : *", '"', '""', '"unclosed', "'; DROP TABLE chunk; --", "wing AND", "OR",
    "NOT", "^wing", "wing*", "{text place} : wing", "-wing", "(((", "a\x00b", "\x00", "", "   ", "💥", "wing + tail",
    "\\", "%", "_", "words MATCH 'x'", "wing\x00\" OR 1", "\ud7ff", "a" * 100_000, "the of and",
]  # fmt: skip


@pytest.mark.parametrize("query", INJECTIONS, ids=lambda query: repr(query[:20]))
def test_query_syntax_is_only_text(store: Store, query: str) -> None:
    store.upsert([record(1, "a wing and a tail"), record(2, "something else")])
    hits = store.search_text(query, limit=5, where=EVERYTHING)
    assert {"set/a-g1-00002"} >= {hit.id for hit in hits if "wing" not in hit.text}
    assert store.stats() == StoreStats(2, 1)
    if "wing" in query and "\x00" not in query:
        assert ids(hits)[:1] == ["set/a-g1-00001"]


def test_text_hits_rank_words_stems_and_places(store: Store) -> None:
    store.upsert(
        [
            record(1, "The boundary layers separated over heated plates.", filename="a.txt"),
            record(2, "Heat transfer is discussed.", filename="b.txt"),
            record(3, "Nothing of interest.", filename="boundary-layer.txt"),
            record(4, "Cooking with rice.", filename="c.txt", heading_path="Kitchen > Desserts"),
        ]
    )
    hits = store.search_text("what is a boundary layer?", limit=5, where=EVERYTHING)
    assert ids(hits) == ["set/a-g1-00001", "set/a-g1-00003"]
    assert 0 <= hits[1].score < hits[0].score < 1
    assert ids(store.search_text("dessert", limit=5, where=EVERYTHING)) == ["set/a-g1-00004"]


@pytest.mark.parametrize(
    "identifier", ["ZX-4471-Q", "208.24(d)", "foo_bar.baz", "RFC 9110 §15.4", "file:///etc/x.conf"]
)
def test_the_chunk_with_the_exact_identifier_ranks_first(store: Store, identifier: str) -> None:
    parts = identifier.replace("-", " and ").replace(".", " and ").replace("(", " and ").replace("_", " and ")
    store.upsert(
        [record(1, f"{parts} " * 3), record(2, f"As said in {identifier}, the limit is 5."), record(3, "limit")]
    )
    assert ids(store.search_text(f'where is "{identifier}"', limit=3, where=EVERYTHING))[0] == "set/a-g1-00002"
    assert ids(store.search_text(f"what does {identifier} say", limit=3, where=EVERYTHING))[0] == "set/a-g1-00002"


def test_a_file_and_a_generation_can_be_deleted(store: Store) -> None:
    store.upsert([record(number, "wing", "set/a", "g1") for number in range(5)])
    store.upsert([record(number, "wing", "set/a", "g2") for number in range(3)])
    store.upsert([record(number, "wing", "set/b", "g1") for number in range(4)])
    assert store.generations() == {("set/a", "g1"): 5, ("set/a", "g2"): 3, ("set/b", "g1"): 4}
    assert store.delete("set/a", "g1") == 5
    assert store.delete("set/a", "g1") == 0
    found = store.search_vector(unit(1), limit=50, where=EVERYTHING)
    assert {(hit.file_key, hit.generation) for hit in found} == {("set/a", "g2"), ("set/b", "g1")}
    assert len(store.search_text("wing", limit=50, where=EVERYTHING)) == len(found) == 7
    assert store.delete("set/a") == 3
    assert store.stats() == StoreStats(chunk_count=4, file_count=1)


def test_records_of_a_file_come_back_whole_in_order(store: Store) -> None:
    written = [record(number, f"t{number}", "set/a", "g1", page=number) for number in range(12)]
    store.upsert(written[::-1])
    store.upsert([record(1, "other", "set/a", "g2")])
    found = store.records("set/a", "g1")
    assert [(each.id, each.text, each.metadata) for each in found] == [(r.id, r.text, r.metadata) for r in written]
    assert all(np.array_equal(each.vector, stored.vector) for each, stored in zip(found, written, strict=True))
    assert len(store.records("set/a")) == 13


def test_chunks_are_looked_up_by_their_ids_and_a_filter(store: Store) -> None:
    written = [record(number, f"t{number}", page=number) for number in range(6)]
    assert store.by_ids([written[0].id], where=EVERYTHING) == {}
    store.upsert(written)
    found = store.by_ids([written[4].id, "absent", written[2].id], where=EVERYTHING)
    assert {key: (each.text, each.metadata, each.file_key) for key, each in found.items()} == {
        each.id: (each.text, each.metadata, each.file_key) for each in (written[2], written[4])
    }
    wanted = [each.id for each in written]
    assert set(store.by_ids(wanted, where=parse_filter({"page": {"$gte": 4}}))) == {written[4].id, written[5].id}
    assert store.by_ids([], where=EVERYTHING) == {}


def test_databases_do_not_see_each_other(make_store: MakeStore) -> None:
    first, second = make_store(database="a"), make_store(database="b")
    first.upsert([record(1, "wing")])
    assert second.search_vector(unit(1), limit=5, where=EVERYTHING) == []
    assert second.search_text("wing", limit=5, where=EVERYTHING) == []
    second.drop()
    assert first.stats() == StoreStats(1, 1)


def test_a_dropped_database_is_empty_and_can_be_written_again(store: Store) -> None:
    store.upsert([record(1, "wing")])
    store.drop()
    store.drop()
    assert store.stats() == StoreStats(0, 0)
    assert store.search_vector(unit(1), limit=5, where=EVERYTHING) == []
    store.upsert([record(2, "wing")])
    assert ids(store.search_text("wing", limit=5, where=EVERYTHING)) == ["set/a-g1-00002"]


def test_thousands_of_chunks_in_one_call(store: Store) -> None:
    records = [record(number, f"number {number}", f"set/{number % 50}") for number in range(6500)]
    store.upsert(records)
    assert store.stats() == StoreStats(6500, 50)
    for number in (0, 3210, 6499):
        assert ids(store.search_vector(unit(number), limit=3, where=EVERYTHING))[0] == records[number].id
        assert ids(store.search_text(f"{number}", limit=3, where=EVERYTHING)) == [records[number].id]
    assert len(store.search_vector(unit(1), limit=1000, where=EVERYTHING)) == 1000


def test_threads_may_share_a_store(store: Store) -> None:
    def work(worker: int) -> int:
        mine = [record(number, f"worker{worker}", f"set/{worker}") for number in range(20)]
        store.upsert(mine)
        store.search_vector(unit(worker), limit=5, where=EVERYTHING)
        return len(store.search_text(f"worker{worker}", limit=50, where=EVERYTHING))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(12))) == [20] * 12
    assert store.stats() == StoreStats(240, 12)


class TestUpkeep:
    """What is asked of a store beside its embedder: dead generations count as live ones do."""

    @pytest.fixture
    def filled(self, store: Store) -> Store:
        store.upsert(
            [record(number, f"wing {number}", "set/a", "g1", filename="a.txt", page=number) for number in range(9)]
        )
        store.upsert([record(number, "tail", "set/a", "g2", filename="a.txt") for number in range(3)])
        store.upsert([record(number, "wool", "set/b", "g1", filename="b.txt", page=1) for number in range(2)])
        return store

    def test_looking_at_a_new_store_creates_nothing(self, store: Store, tmp_path: Path) -> None:
        upkeep = store.upkeep
        assert upkeep.contents([("set/a", "g1")]) == upkeep.unsound() == upkeep.strays() == {}
        assert upkeep.matching(parse_filter({"a": 1})) == set()
        assert list(upkeep.batches(("set/a", "g1"), 10)) == []
        assert upkeep.made_with() is None
        assert upkeep.vector_count() == upkeep.indexed_count() == 0
        upkeep.compact()
        assert list(tmp_path.rglob("*.sqlite3")) == []

    def test_contents_are_those_of_the_generations_asked_for(self, filled: Store) -> None:
        found = filled.upkeep.contents([("set/a", "g2"), ("set/b", "g1"), ("set/b", "g9")])
        assert {pair: each.chunk_count for pair, each in found.items()} == {("set/a", "g2"): 3, ("set/b", "g1"): 2}
        assert found["set/b", "g1"].metadata == {"filename": "b.txt", "page": 1}

    def test_matching_names_generations_with_a_chunk_that_matches(self, filled: Store) -> None:
        assert filled.upkeep.matching(parse_filter({"page": {"$gte": 1}})) == {("set/a", "g1"), ("set/b", "g1")}
        assert filled.upkeep.matching(parse_filter({"filename": "b.txt"})) == {("set/b", "g1")}
        assert filled.upkeep.matching(EVERYTHING) == {("set/a", "g1"), ("set/a", "g2"), ("set/b", "g1")}

    def test_batches_give_every_chunk_once_in_order(self, filled: Store) -> None:
        batches = list(filled.upkeep.batches(("set/a", "g1"), 4))
        assert [len(batch) for batch in batches] == [4, 4, 1]
        given = [each for batch in batches for each in batch]
        assert [each.id for each in given] == [each.id for each in filled.records("set/a", "g1")]
        assert np.array_equal(given[3].vector, record(3).vector)

    def test_counts_and_facts(self, filled: Store) -> None:
        assert filled.upkeep.made_with() == VectorFacts("model", DIMENSION, "cosine")
        assert filled.upkeep.vector_count() == filled.upkeep.indexed_count() == 14
        assert filled.upkeep.size_bytes() > 14 * DIMENSION * 4
        assert filled.upkeep.unsound() == filled.upkeep.strays() == {}

    def test_compacting_gives_room_back_and_changes_no_answer(self, filled: Store) -> None:
        filled.upsert([record(number, "filler " * 200, "set/c", "g1") for number in range(400)])
        filled.delete("set/c")
        before = filled.upkeep.size_bytes()
        words = ids(filled.search_text("wing", limit=20, where=EVERYTHING))
        nearest = ids(filled.search_vector(unit(3), limit=20, where=EVERYTHING))
        filled.upkeep.compact()
        if not isinstance(filled, QdrantStore):  # whose server gives room back when it likes
            assert filled.upkeep.size_bytes() < before
        assert ids(filled.search_text("wing", limit=20, where=EVERYTHING)) == words
        assert ids(filled.search_vector(unit(3), limit=20, where=EVERYTHING)) == nearest
        filled.upsert([record(77, "later", "set/d", "g1")])
        assert ids(filled.search_text("later", limit=5, where=EVERYTHING)) == ["set/d-g1-00077"]

    def test_rebuilding_changes_no_answer_and_can_be_repeated(self, filled: Store) -> None:
        words = ids(filled.search_text("wing", limit=20, where=EVERYTHING))
        nearest = ids(filled.search_vector(unit(3), limit=20, where=EVERYTHING))
        done: list[int] = []
        assert filled.upkeep.rebuild(done.append) == filled.upkeep.rebuild(lambda _: None) == 14
        assert done[-1] == 14
        assert ids(filled.search_text("wing", limit=20, where=EVERYTHING)) == words
        assert ids(filled.search_vector(unit(3), limit=20, where=EVERYTHING)) == nearest
        assert filled.upkeep.vector_count() == filled.upkeep.indexed_count() == 14
        filled.upsert([record(77, "later", "set/d", "g1")])
        assert ids(filled.search_text("later", limit=5, where=EVERYTHING)) == ["set/d-g1-00077"]
        assert ids(filled.search_vector(unit(77), limit=1, where=EVERYTHING)) == ["set/d-g1-00077"]

    def test_a_rebuild_that_is_broken_off_changes_nothing_and_can_be_begun_again(self, filled: Store) -> None:
        def stop(_: int) -> None:
            raise CancelledTaskError("Task cancelled")

        nearest = ids(filled.search_vector(unit(3), limit=20, where=EVERYTHING))
        with pytest.raises(CancelledTaskError):
            filled.upkeep.rebuild(stop)
        assert ids(filled.search_vector(unit(3), limit=20, where=EVERYTHING)) == nearest
        assert filled.upkeep.rebuild(lambda _: None) == 14
        assert ids(filled.search_vector(unit(3), limit=20, where=EVERYTHING)) == nearest

    def test_what_is_deleted_while_a_store_is_rebuilt_does_not_come_back(self, filled: Store) -> None:
        deleted: list[int] = []

        def report(done: int) -> None:
            if done and not deleted:
                deleted.append(filled.delete("set/b"))

        filled.upkeep.rebuild(report)
        assert deleted == [2]
        assert filled.upkeep.vector_count() == filled.upkeep.indexed_count() == 12
        assert filled.search_text("wool", limit=5, where=EVERYTHING) == []
        assert filled.upkeep.strays() == {}

    def test_a_rebuild_that_is_broken_off_at_last_leaves_nothing(self, filled: Store) -> None:
        calls: list[int] = []
        filled.upkeep.rebuild(calls.append)

        def stop(_: int) -> None:
            calls.pop()
            if not calls:
                raise CancelledTaskError("Task cancelled")

        with pytest.raises(CancelledTaskError):
            filled.upkeep.rebuild(stop)
        assert filled.upkeep.vector_count() == 14
        assert len(filled.search_vector(unit(3), limit=20, where=EVERYTHING)) == 14

    def test_an_empty_store_has_nothing_to_rebuild(self, store: Store, tmp_path: Path) -> None:
        assert store.upkeep.rebuild(lambda _: None) == 0
        assert list(tmp_path.rglob("*.sqlite3")) == []


def test_vectors_that_a_damaged_disk_left_are_told() -> None:
    store = stores.build("MemoryStore", {}, identity=StoreIdentity("o", "p", "d", "m", DIMENSION))
    store.upsert([record(number, "wing", "set/a", "g1") for number in range(4)])
    nan = np.full(DIMENSION, np.nan, np.float32).tobytes()
    with store._ledger.connections.writing() as connection:
        for number, blob in enumerate((b"", nan, bytes(4 * DIMENSION)), start=1):
            connection.execute("UPDATE body SET vector = ? WHERE n = ?", (blob, number))
    assert store.upkeep.unsound() == {("set/a", "g1"): 3}


def test_an_unknown_store_lists_the_known_ones() -> None:
    with pytest.raises(UnknownComponentError, match="ChromaStore, MemoryStore, QdrantStore"):
        stores.build("FaissStore", {})


class TestLiveStore:
    def test_chunks_of_dead_generations_are_never_found_and_their_places_are_filled(self) -> None:
        live = {("set/a", "g2")}
        inner = stores.build("MemoryStore", {}, identity=StoreIdentity("o", "p", "d", "m", DIMENSION))
        store = LiveStore(inner, lambda pairs: pairs & live)
        store.upsert([record(number, "wing", "set/a", "g1") for number in range(200)])
        store.upsert([record(number, "wing tail", "set/a", "g2") for number in range(200, 220)])
        for hits in (
            store.search_vector(unit(3), limit=10, where=EVERYTHING),
            store.search_text("wing", limit=10, where=EVERYTHING),
        ):
            assert len(hits) == 10
            assert {hit.generation for hit in hits} == {"g2"}
        assert store.stats() == StoreStats(20, 1)
        assert len(store.search_vector(unit(3), limit=500, where=EVERYTHING)) == 20


@pytest.fixture
def chroma_store(chroma_process: chroma.ChromaProcess, tmp_path: Path) -> Callable[..., ChromaStore]:
    number = next(_numbers)

    def make(model_id: str = "model", dimension: int = DIMENSION, metric: Metric = "cosine") -> ChromaStore:
        identity = StoreIdentity("org", f"chroma-{number}", "papers", model_id, dimension, metric)
        return ChromaStore(ChromaStore.Options(), identity=identity, url=chroma_process.url, data_dir=tmp_path)

    return make


def collections_url(server: chroma.ChromaProcess) -> str:
    return f"{server.url}/api/v2/tenants/default_tenant/databases/default_database/collections"


@pytest.mark.chroma
@pytest.mark.xdist_group("chroma")
class TestChromaStore:
    @pytest.mark.parametrize("other", [{"model_id": "other"}, {"dimension": 8}, {"metric": "l2"}], ids=str)
    @pytest.mark.parametrize("ledger_lost", [False, True])
    def test_vectors_of_another_model_are_refused(self, chroma_store, tmp_path: Path, other, ledger_lost: bool) -> None:
        chroma_store().upsert([record(1)])
        if ledger_lost:
            for path in tmp_path.rglob("*.sqlite3*"):
                path.unlink()
        mismatched = chroma_store(**other)
        vector = unit(1, mismatched.identity.dimension)
        with pytest.raises(ConflictError, match=r"'model'.*Restore the old embedding strategy"):
            mismatched.search_vector(vector, limit=1, where=EVERYTHING)
        with pytest.raises(ConflictError, match="process the files again into a new database"):
            mismatched.upsert([replace(record(1), vector=vector)])
        if not ledger_lost:
            with pytest.raises(ConflictError):
                mismatched.search_text("chunk", limit=1, where=EVERYTHING)
            assert chroma_store().stats() == StoreStats(1, 1)

    @pytest.mark.parametrize("other", [{"model_id": "other"}, {"dimension": 8}, {"metric": "l2"}], ids=str)
    def test_another_model_can_begin_anew_once_everything_was_deleted(self, chroma_store, other) -> None:
        chroma_store().upsert([record(1)])
        chroma_store().delete(record(1).file_key)
        corrected = chroma_store(**other)
        vector = unit(1, corrected.identity.dimension)
        assert corrected.search_vector(vector, limit=1, where=EVERYTHING) == []
        corrected.upsert([replace(record(1), vector=vector)])
        assert [hit.id for hit in corrected.search_vector(vector, limit=1, where=EVERYTHING)] == [record(1).id]
        with pytest.raises(ConflictError):
            chroma_store().search_vector(unit(1), limit=1, where=EVERYTHING)

    def test_vectors_that_the_ledger_does_not_know_are_told_and_deleted(self, chroma_store, monkeypatch) -> None:
        store = chroma_store()
        store.upsert([record(number, "wing", "set/a") for number in range(5)])
        monkeypatch.setattr(store._ledger, "write", lambda batch: None)  # as if the process had died before it
        store.upsert([record(number, "tail", "set/b") for number in range(3)])
        looking = chroma_store(model_id="unknown", dimension=1)
        assert looking.upkeep.vector_count() == 8
        assert looking.upkeep.strays() == {("set/b", "g1"): 3}
        looking.delete("set/b", "g1")
        assert looking.upkeep.strays() == {}
        assert looking.upkeep.vector_count() == looking.upkeep.indexed_count() == 5

    def test_a_newer_format_is_refused_with_a_sentence(self, chroma_store, chroma_process, tmp_path: Path) -> None:
        store = chroma_store()
        body = {"name": store.name, "metadata": {"format_version": 99, "model_id": "model"}}
        httpx.post(collections_url(chroma_process), json=body).raise_for_status()
        with pytest.raises(ConflictError, match=r"format 99.*Upgrade Paddock"):
            store.upsert([record(1)])
        assert not list(tmp_path.rglob("*.sqlite3"))

    def test_a_collection_deleted_behind_our_back_is_built_again(self, chroma_store, chroma_process) -> None:
        store = chroma_store()
        store.upsert([record(number) for number in range(20)])
        httpx.delete(f"{collections_url(chroma_process)}/{store.name}").raise_for_status()
        assert len(store.search_vector(unit(3), limit=5, where=EVERYTHING)) == 5
        httpx.delete(f"{collections_url(chroma_process)}/{store.name}").raise_for_status()
        store.upsert([record(100)])
        assert ids(chroma_store().search_vector(unit(3), limit=1, where=EVERYTHING)) == ["set/a-g1-00003"]
        httpx.delete(f"{collections_url(chroma_process)}/{store.name}").raise_for_status()
        assert store.delete("set/a") == 21

    def test_vectors_that_the_ledger_does_not_know_are_not_returned(self, chroma_store, tmp_path: Path) -> None:
        """As a crash between the two writes leaves them; writing or deleting the file again repairs it."""
        store = chroma_store()
        store.upsert([record(number) for number in range(40)])
        store._ledger.delete("set/a", None)
        store.upsert([record(number, file_key="set/b") for number in range(100, 110)])
        hits = store.search_vector(unit(3), limit=10, where=EVERYTHING)
        assert {hit.file_key for hit in hits} == {"set/b"}
        assert len(hits) == 10
        store.upsert([record(3)])
        assert ids(store.search_vector(unit(3), limit=1, where=EVERYTHING)) == ["set/a-g1-00003"]
        store.delete("set/a")
        assert store._server.count(store._find().id) == 10

    def test_a_filter_of_many_far_chunks_is_still_answered_in_full(self, chroma_store, monkeypatch) -> None:
        monkeypatch.setattr("rag.stores.chroma.EXACT_CAP", 50)
        monkeypatch.setattr("rag.stores.chroma.MAX_OVERFETCH", 64)
        store = chroma_store()
        query = unit(0)
        records = sorted((record(number) for number in range(1000)), key=lambda each: -float(each.vector @ query))
        far = {each.id for each in records[-120:]}
        store.upsert([replace(each, metadata={"far": each.id in far}) for each in records])
        hits = store.search_vector(query, limit=20, where=parse_filter({"far": True}))
        assert ids(hits) == [each.id for each in records[-120:-100]]

    def test_a_process_that_had_the_old_collection_open_finds_the_rebuilt_one(self, chroma_store) -> None:
        first, second = chroma_store(), chroma_store()
        first.upsert([record(number) for number in range(20)])
        assert len(first.search_vector(unit(3), limit=20, where=EVERYTHING)) == 20
        assert second.upkeep.rebuild(lambda _: None) == 20
        assert len(first.search_vector(unit(3), limit=20, where=EVERYTHING)) == 20
        first.upsert([record(100)])
        assert ids(second.search_vector(unit(100), limit=1, where=EVERYTHING)) == [record(100).id]
        assert second.delete("set/a") == 21

    def test_a_rebuild_that_died_between_its_two_renamings_costs_nothing(
        self, chroma_store, chroma_process, monkeypatch
    ) -> None:
        store = chroma_store()
        store.upsert([record(number) for number in range(20)])
        rename, times = store._server.rename, count()

        def once(collection: str, name: str) -> None:
            if next(times):
                raise UpstreamError("killed")
            rename(collection, name)

        monkeypatch.setattr(store._server, "rename", once)
        with pytest.raises(UpstreamError):
            store.upkeep.rebuild(lambda _: None)
        monkeypatch.undo()
        assert len(chroma_store().search_vector(unit(3), limit=20, where=EVERYTHING)) == 20
        assert store.upkeep.rebuild(lambda _: None) == 20
        store.drop()
        names = [each["name"] for each in httpx.get(f"{collections_url(chroma_process)}?limit=1000").json()]
        assert not [name for name in names if name.startswith(store.name)]

    def test_a_collection_that_lost_its_vectors_is_restored_by_a_rebuild(self, chroma_store, chroma_process) -> None:
        """F9: the files of the index are overwritten behind the server's back."""
        store = chroma_store()
        store.upsert([record(number) for number in range(1500)])
        before = ids(store.search_vector(unit(5), limit=10, where=EVERYTHING))
        chroma_process.kill()
        damaged = 0
        for path in chroma_process.index_files():
            path.write_bytes(b"\xff" * min(path.stat().st_size, 4096))
            damaged += 1
        chroma_process.start()
        assert damaged
        healed = chroma_store()
        assert healed.upkeep.rebuild(lambda _: None) == 1500
        assert ids(healed.search_vector(unit(5), limit=10, where=EVERYTHING)) == before

    def test_another_process_sees_writes_and_a_drop(self, chroma_store) -> None:
        first, second = chroma_store(), chroma_store()
        first.upsert([record(1, "wing")])
        assert second.stats() == StoreStats(1, 1)
        second.drop()
        assert first.stats() == StoreStats(0, 0)
        assert first.search_vector(unit(1), limit=1, where=EVERYTHING) == []
        first.upsert([record(2, "wing")])
        assert ids(second.search_vector(unit(2), limit=5, where=EVERYTHING)) == ["set/a-g1-00002"]

    @pytest.mark.parametrize("number", [500, 1500])
    def test_a_killed_server_gives_the_same_hits_when_it_is_back(
        self, chroma_store, chroma_process, number: int
    ) -> None:
        """Around the number of vectors that Chroma keeps in its log before it writes its index."""
        store = chroma_store()
        store.upsert([record(each) for each in range(number)])
        queries = [unit(seed) for seed in range(10_000, 10_020)]
        before = [ids(store.search_vector(query, limit=10, where=EVERYTHING)) for query in queries]
        chroma_process.kill()
        started = time.monotonic()
        with pytest.raises(UpstreamError, match=chroma_process.url):
            store.search_vector(queries[0], limit=10, where=EVERYTHING)
        with pytest.raises(UpstreamError, match="Check that it runs"):
            store.upsert([record(9_999)])
        assert time.monotonic() - started < 5
        assert len(store.search_text("chunk", limit=10, where=EVERYTHING)) == 10
        chroma_process.start()
        assert [ids(store.search_vector(query, limit=10, where=EVERYTHING)) for query in queries] == before
        assert store.stats().chunk_count == number
