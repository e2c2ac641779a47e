"""Vectors by the digest of their text: what is embedded again, and what happens to the file."""

from pathlib import Path

import numpy as np
import pytest

from rag.embedders import embedders
from rag.embedders.base import Embedder
from rag.embedders.hash import HashEmbedder
from rag.embedders.vector_cache import CachedEmbedder, VectorCache
from rag.types import Matrix
from tests.unit.embedders.embedding_server import DIMENSION, running_server

ROW_BYTES = 4 * 64 + 64


class CountingEmbedder(HashEmbedder):
    """Notes what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__(HashEmbedder.Options(dimension=64))
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> Matrix:
        self.asked += texts
        return super().embed_documents(texts)


def cached(inner: Embedder, cache: VectorCache, project: str = "acme/farm", *, reads: bool = True) -> CachedEmbedder:
    return CachedEmbedder(inner, cache, project=project, reads=reads)


def maker(inner: Embedder) -> str:
    return cached(inner, VectorCache(Path("unused"), max_bytes=0)).maker


@pytest.fixture
def inner() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "cache" / "vectors.sqlite3", max_bytes=1 << 20)


def test_a_text_is_embedded_once_even_within_one_call(inner: CountingEmbedder, cache: VectorCache) -> None:
    embedder = cached(inner, cache)

    first = embedder.embed_documents(["bread", "flour", "bread"])
    second = embedder.embed_documents(["salt", "flour"])

    assert inner.asked == ["bread", "flour", "salt"]
    assert np.array_equal(first, HashEmbedder.embed_documents(inner, ["bread", "flour", "bread"]))
    assert np.array_equal(second[1], first[1])


def test_another_process_finds_what_was_kept(inner: CountingEmbedder, cache: VectorCache, tmp_path: Path) -> None:
    cached(inner, cache).embed_documents(["bread"])
    cache.close()

    other = VectorCache(tmp_path / "cache" / "vectors.sqlite3", max_bytes=1 << 20)

    assert np.array_equal(other.get(maker(inner), ["bread"])["bread"], inner.embed_documents(["bread"])[0])


def test_vectors_of_another_model_are_not_taken(inner: CountingEmbedder, cache: VectorCache) -> None:
    cached(inner, cache).embed_documents(["bread"])

    assert cache.get("another-model", ["bread"]) == {}


def test_vectors_of_another_length_are_made_anew(inner: CountingEmbedder, cache: VectorCache) -> None:
    cache.put(maker(inner), ["bread"], np.ones((1, 8), dtype=np.float32))

    assert cached(inner, cache).embed_documents(["bread"]).shape == (1, 64)


def test_without_reading_everything_is_embedded_and_replaces_what_was_known(
    inner: CountingEmbedder, cache: VectorCache
) -> None:
    cache.put(maker(inner), ["bread"], np.ones((1, 64), dtype=np.float32))

    found = cached(inner, cache, reads=False).embed_documents(["bread"])

    assert inner.asked == ["bread"]
    assert np.array_equal(cache.get(maker(inner), ["bread"])["bread"], found[0])


def test_the_oldest_give_way_when_it_is_full(inner: CountingEmbedder, tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "small.sqlite3", max_bytes=3 * ROW_BYTES)
    for text in ("one", "two", "three", "four"):
        cached(inner, cache).embed_documents([text])

    assert set(cache.get(maker(inner), ["one", "two", "three", "four"])) == {"two", "three", "four"}


def test_with_no_room_nothing_is_kept_or_written(inner: CountingEmbedder, tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "none.sqlite3", max_bytes=0)
    embedder = cached(inner, cache)
    embedder.embed_documents(["bread"])
    embedder.embed_documents(["bread"])

    assert inner.asked == ["bread", "bread"]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_costs_only_the_time_of_embedding(inner: CountingEmbedder, tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite3"
    path.write_bytes(b"this is not a database, and it is long enough to be taken for one" * 100)
    embedder = cached(inner, VectorCache(path, max_bytes=1 << 20))

    assert embedder.embed_documents(["bread"]).shape == (1, 64)
    assert inner.asked == ["bread"]


def test_more_texts_than_one_query_takes(inner: CountingEmbedder, cache: VectorCache) -> None:
    texts = [f"text {number}" for number in range(1200)]
    embedder = cached(inner, cache)
    embedder.embed_documents(texts)
    inner.asked.clear()

    embedder.embed_documents(texts)

    assert inner.asked == []


def forged(texts: list[str]) -> list[list[float]]:
    return [[1.0] + [0.0] * (DIMENSION - 1) for _ in texts]


REMOTE = [
    ("OpenAIEmbedder", {"model": "text-embedding-3-small"}),
    ("OllamaEmbedder", {"model": "nomic-embed-text"}),
    ("UniversalEmbedder", {"model": "org/model"}),
]


@pytest.mark.parametrize(("name", "options"), REMOTE, ids=lambda each: each if isinstance(each, str) else "")
def test_what_one_server_made_is_not_taken_for_another_of_the_same_model(
    cache: VectorCache, name: str, options: dict[str, str]
) -> None:
    with running_server() as foreign, running_server() as own:
        foreign.vectors = forged
        theirs, ours = (embedders.build(name, {**options, "base_url": f"{each.url}/v1"}) for each in (foreign, own))
        assert theirs.model_id == ours.model_id
        cached(theirs, cache).embed_documents(["bread"])

        found = cached(ours, cache).embed_documents(["bread"])

        assert np.array_equal(found, ours.embed_documents(["bread"]))
        assert not np.array_equal(found, theirs.embed_documents(["bread"]))
        for each in (theirs, ours):
            each.close()


def test_what_a_server_made_for_one_project_is_not_given_to_another(cache: VectorCache) -> None:
    with running_server() as server:
        embedder = embedders.build("OpenAIEmbedder", {"model": "m", "base_url": f"{server.url}/v1"})
        for project in ("acme/farm", "acme/farm", "other/farm"):
            cached(embedder, cache, project).embed_documents(["bread"])
        asked = [body["input"] for body in server.bodies]
        embedder.close()
    assert asked.count(["bread"]) == 2


def test_what_this_process_computes_is_shared_by_projects(inner: CountingEmbedder, cache: VectorCache) -> None:
    for project in ("acme/farm", "other/farm"):
        cached(inner, cache, project).embed_documents(["bread"])

    assert inner.asked == ["bread"]


def test_a_name_cannot_be_taken_for_that_of_another_maker(inner: CountingEmbedder, cache: VectorCache) -> None:
    one, other = CountingEmbedder(), CountingEmbedder()
    one.model_id, other.model_id = "a", 'a", "computed'
    assert cached(one, cache).maker != cached(other, cache).maker
