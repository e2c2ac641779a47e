"""What is said to a Qdrant server, and what is made of its failures."""

from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from rag.errors import BadRequestError, ConflictError, InvalidInputError, UpstreamError
from rag.filters import Filter, parse_filter
from rag.stores import qdrant as qdrant_module
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity
from rag.types import Record
from tests.fixtures import qdrant
from tests.fixtures.qdrant import QdrantDouble

qdrant_double = qdrant.qdrant_double

DIMENSION = 4
NAME = r"/collections/paddock-[0-9a-f]{40}-0"


def open_store(model_id: str = "model", dimension: int = DIMENSION, **options: object) -> Store:
    return stores.build("QdrantStore", options, identity=StoreIdentity("o", "p", "papers", model_id, dimension))


def record(number: int) -> Record:
    vector = np.eye(DIMENSION, dtype=np.float32)[number % DIMENSION]
    return Record(f"set/a/g1/{number:06d}", f"chunk {number} of ZX-4471-Q", vector, "set/a", "g1", {"page": number})


def test_requests_go_to_the_address_with_the_key(qdrant_double: QdrantDouble) -> None:
    open_store(url=qdrant_double.url, api_key="secret-key").upsert([record(1)])
    assert {headers.get("api-key") for _, _, headers, _ in qdrant_double.requests} == {"secret-key"}


def test_host_and_port_name_a_server_as_well(qdrant_double: QdrantDouble) -> None:
    host, port = qdrant_double.url.removeprefix("http://").split(":")
    store = open_store(host=host, port=int(port))
    store.upsert([record(1)])
    assert store.stats().chunk_count == 1


def test_a_collection_is_made_as_the_options_say(qdrant_double: QdrantDouble) -> None:
    store = open_store(
        url=qdrant_double.url, shard_number=6, replication_factor=2, write_consistency_factor=2, on_disk=True
    )
    store.upsert([record(1)])
    (body,) = qdrant_double.bodies("PUT", NAME)
    assert (body["shard_number"], body["replication_factor"], body["write_consistency_factor"]) == (6, 2, 2)
    assert body["vectors"]["dense"] == {"size": DIMENSION, "distance": "Dot", "on_disk": True}
    assert body["sparse_vectors"]["words"] == {"index": {"on_disk": True}, "modifier": "idf"}
    assert body["metadata"].pop("token")
    assert body["metadata"] == {"format_version": 1, "model_id": "model", "dimension": DIMENSION, "metric": "cosine"}
    indexed = {each["field_name"] for each in qdrant_double.bodies("PUT", f"{NAME}/index")}
    assert indexed == {"pair", "file_key", 'metadata."filename"', 'metadata."file_hash"'}


def test_without_options_the_server_decides(qdrant_double: QdrantDouble) -> None:
    open_store(url=qdrant_double.url).upsert([record(1)])
    (body,) = qdrant_double.bodies("PUT", NAME)
    assert not {"shard_number", "replication_factor", "write_consistency_factor"} & body.keys()


def test_chunks_are_written_found_filtered_and_deleted(qdrant_double: QdrantDouble) -> None:
    store = open_store(url=qdrant_double.url)
    store.upsert([record(number) for number in range(4)])
    store.upsert([record(number) for number in range(4)])
    assert store.generations() == {("set/a", "g1"): 4}
    (best, *_) = store.search_vector(record(2).vector, limit=2, where=Filter())
    assert (best.id, best.score, best.metadata) == (record(2).id, 1.0, {"page": 2})
    found = store.search_text("what says ZX-4471-Q", limit=9, where=parse_filter({"page": {"$gte": 2}}))
    assert {hit.id for hit in found} == {record(2).id, record(3).id}
    assert store.upkeep.rebuild(lambda _: None) == 4
    assert [each.id for each in store.records("set/a", "g1")] == [record(number).id for number in range(4)]
    assert store.delete("set/a") == 4
    assert store.stats().chunk_count == 0


def test_vectors_of_another_model_are_refused_until_all_are_deleted(qdrant_double: QdrantDouble) -> None:
    first, other = open_store(url=qdrant_double.url), open_store("other", url=qdrant_double.url)
    first.upsert([record(1)])
    with pytest.raises(ConflictError, match=r"'model'.*Restore the old embedding strategy"):
        other.upsert([record(1)])
    with pytest.raises(ConflictError, match="Restore the old embedding strategy"):
        other.search_vector(record(1).vector, limit=1, where=Filter())
    assert other.delete("set/a") == 1
    other.upsert([record(1)])
    assert other.upkeep.made_with() is not None


def test_a_vector_size_that_is_not_the_embedders_is_refused(qdrant_double: QdrantDouble) -> None:
    with pytest.raises(BadRequestError, match=r"vector_size is 768.*vectors of 4"):
        open_store(url=qdrant_double.url, vector_size=768).upsert([record(1)])


def test_a_collection_is_known_again_under_another_address(qdrant_double: QdrantDouble) -> None:
    store, other = (
        open_store(url=qdrant_double.url),
        open_store(url=qdrant_double.url.replace("127.0.0.1", "localhost")),
    )
    assert store.upkeep.token() is None
    store.upsert([record(1)])
    assert store.upkeep.token() == other.upkeep.token() is not None
    before = store.upkeep.token()
    store.drop()
    store.upsert([record(1)])
    assert store.upkeep.token() != before


def test_a_server_that_is_away_is_named() -> None:
    store = open_store(url="http://127.0.0.1:9")
    with pytest.raises(UpstreamError, match=r"Qdrant at http://127\.0\.0\.1:9 does not answer.*config\.url"):
        store.upsert([record(1)])


@pytest.mark.parametrize(("status", "sentence"), [(401, "api_key"), (403, "api_key"), (500, "answered 500")])
def test_a_server_that_refuses_is_named(qdrant_double: QdrantDouble, status: int, sentence: str) -> None:
    qdrant_double.refusal = status
    with pytest.raises(UpstreamError, match=sentence):
        open_store(url=qdrant_double.url).stats()


def test_a_database_without_an_address_is_refused_with_what_to_set() -> None:
    with pytest.raises(BadRequestError, match=r"set config\.url"):
        open_store()


def test_embedded_mode_and_a_server_exclude_each_other() -> None:
    with pytest.raises(InvalidInputError, match="not both"):
        open_store(path="here", url="http://127.0.0.1:6333")


def test_a_folder_that_another_process_has_open_is_refused(tmp_path: Path) -> None:
    elsewhere = QdrantClient(path=str(tmp_path / "qdrant" / "mine"))
    identity = StoreIdentity("o", "p", "papers", "model", DIMENSION)
    with pytest.raises(ConflictError, match=r"'mine' is open in another process.*run a Qdrant server"):
        stores.build("QdrantStore", {"path": "mine"}, identity=identity, data_dir=tmp_path)
    elsewhere.close()
    stores.build("QdrantStore", {"path": "mine"}, identity=identity, data_dir=tmp_path).upsert([record(1)])
    assert list((tmp_path / "qdrant" / "mine").rglob("*.sqlite"))


@pytest.mark.parametrize("path", ["../up", "a/b", "/etc", ""])
def test_the_folder_of_embedded_mode_is_a_plain_name(path: str) -> None:
    with pytest.raises(InvalidInputError, match="path"):
        open_store(path=path)


def dated(number: int) -> Record:
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[:2] = np.cos(number / 1000), np.sin(number / 1000)
    metadata = {"date": f"2026-{number // 28 + 1:02d}-{number % 28 + 1:02d}"}
    text = "wool and hay" if number >= 290 else "wool wool wool"
    return Record(f"set/a/g1/{number:06d}", text, vector, "set/a", "g1", metadata)


LATE = parse_filter({"date": {"$gte": "2026-11-15"}})


@pytest.mark.parametrize("kind", ["vector", "text"])
def test_a_filter_that_qdrant_cannot_say_fetches_only_metadata_beyond_the_first_hits(
    qdrant_double: QdrantDouble, kind: str
) -> None:
    store = open_store(url=qdrant_double.url)
    records = [dated(number) for number in range(300)]
    store.upsert(records)
    qdrant_double.requests.clear()
    if kind == "vector":  # what matches is the farthest
        hits = store.search_vector(records[0].vector, limit=3, where=LATE)
        late = [record.id for record in records if LATE.matches(record.metadata)]
        assert [hit.id for hit in hits] == late[:3]
    else:
        hits = store.search_text("wool", limit=3, where=LATE)
        assert len(hits) == 3
    assert all(LATE.matches(hit.metadata) for hit in hits)
    searches = qdrant_double.bodies("POST", r"/collections/[^/]+/points/query")
    assert [body["limit"] for body in searches] == [12, 3]
    looked = qdrant_double.bodies("POST", r"/collections/[^/]+/points/scroll")
    assert looked
    assert all(body["with_payload"] == ["metadata"] and body["with_vector"] is False for body in looked)


def test_a_filter_that_would_have_too_much_looked_at_is_refused_by_name(
    qdrant_double: QdrantDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_module, "MOST_LOOKED_AT", 100)
    store = open_store(url=qdrant_double.url)
    store.upsert([dated(number) for number in range(300)])
    with pytest.raises(InvalidInputError, match=r"Qdrant cannot compare this filter.*more than 100 chunks"):
        store.search_vector(dated(0).vector, limit=3, where=LATE)
    filtered = parse_filter({"date": {"$gte": "2026-01-02"}})
    assert len(store.search_vector(dated(0).vector, limit=3, where=filtered)) == 3
