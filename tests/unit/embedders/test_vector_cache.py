"""Vectors by the digest of their text: what is embedded again, and what happens to the file."""

from pathlib import Path

import numpy as np
import pytest

from rag.embedders.hash import HashEmbedder
from rag.embedders.vector_cache import CachedEmbedder, VectorCache
from rag.types import Matrix

ROW_BYTES = 4 * 64 + 64


class CountingEmbedder(HashEmbedder):
    """Notes what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__(HashEmbedder.Options(dimension=64))
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> Matrix:
        self.asked += texts
        return super().embed_documents(texts)


@pytest.fixture
def inner() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "cache" / "vectors.sqlite3", max_bytes=1 << 20)


def test_a_text_is_embedded_once_even_within_one_call(inner: CountingEmbedder, cache: VectorCache) -> None:
    embedder = CachedEmbedder(inner, cache)

    first = embedder.embed_documents(["bread", "flour", "bread"])
    second = embedder.embed_documents(["salt", "flour"])

    assert inner.asked == ["bread", "flour", "salt"]
    assert np.array_equal(first, HashEmbedder.embed_documents(inner, ["bread", "flour", "bread"]))
    assert np.array_equal(second[1], first[1])


def test_another_process_finds_what_was_kept(inner: CountingEmbedder, cache: VectorCache, tmp_path: Path) -> None:
    CachedEmbedder(inner, cache).embed_documents(["bread"])
    cache.close()

    other = VectorCache(tmp_path / "cache" / "vectors.sqlite3", max_bytes=1 << 20)

    assert np.array_equal(other.get(inner.model_id, ["bread"])["bread"], inner.embed_documents(["bread"])[0])


def test_vectors_of_another_model_are_not_taken(inner: CountingEmbedder, cache: VectorCache) -> None:
    CachedEmbedder(inner, cache).embed_documents(["bread"])

    assert cache.get("another-model", ["bread"]) == {}


def test_vectors_of_another_length_are_made_anew(inner: CountingEmbedder, cache: VectorCache) -> None:
    cache.put(inner.model_id, ["bread"], np.ones((1, 8), dtype=np.float32))

    assert CachedEmbedder(inner, cache).embed_documents(["bread"]).shape == (1, 64)


def test_without_reading_everything_is_embedded_and_replaces_what_was_known(
    inner: CountingEmbedder, cache: VectorCache
) -> None:
    cache.put(inner.model_id, ["bread"], np.ones((1, 64), dtype=np.float32))

    found = CachedEmbedder(inner, cache, reads=False).embed_documents(["bread"])

    assert inner.asked == ["bread"]
    assert np.array_equal(cache.get(inner.model_id, ["bread"])["bread"], found[0])


def test_the_oldest_give_way_when_it_is_full(inner: CountingEmbedder, tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "small.sqlite3", max_bytes=3 * ROW_BYTES)
    for text in ("one", "two", "three", "four"):
        CachedEmbedder(inner, cache).embed_documents([text])

    assert set(cache.get(inner.model_id, ["one", "two", "three", "four"])) == {"two", "three", "four"}


def test_with_no_room_nothing_is_kept_or_written(inner: CountingEmbedder, tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "none.sqlite3", max_bytes=0)
    embedder = CachedEmbedder(inner, cache)
    embedder.embed_documents(["bread"])
    embedder.embed_documents(["bread"])

    assert inner.asked == ["bread", "bread"]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_costs_only_the_time_of_embedding(inner: CountingEmbedder, tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite3"
    path.write_bytes(b"this is not a database, and it is long enough to be taken for one" * 100)
    embedder = CachedEmbedder(inner, VectorCache(path, max_bytes=1 << 20))

    assert embedder.embed_documents(["bread"]).shape == (1, 64)
    assert inner.asked == ["bread"]


def test_more_texts_than_one_query_takes(inner: CountingEmbedder, cache: VectorCache) -> None:
    texts = [f"text {number}" for number in range(1200)]
    embedder = CachedEmbedder(inner, cache)
    embedder.embed_documents(texts)
    inner.asked.clear()

    embedder.embed_documents(texts)

    assert inner.asked == []
