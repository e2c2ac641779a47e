import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rag.chunkers.base import TokenCounter
from rag.embedders.batching import BatchingEmbedder
from rag.embedders.hash import HashEmbedder
from rag.errors import EmbeddingError, UpstreamError
from rag.types import Matrix, Vector


class GatedEmbedder:
    """A HashEmbedder that notes its calls, can be held, and refuses texts that begin with "bad"."""

    def __init__(self) -> None:
        self._inner = HashEmbedder(HashEmbedder.Options(dimension=32))
        self.model_id = self._inner.model_id
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.calls: list[list[str]] = []
        self.is_down = False
        self.is_closed = False

    def cache_scope(self, project: str) -> str:
        return self._inner.cache_scope(project)

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    @property
    def token_counter(self) -> TokenCounter:
        return self._inner.token_counter

    def embed_documents(self, texts: list[str]) -> Matrix:
        self.calls.append(texts)
        self.entered.release()
        assert self.gate.wait(10)
        if self.is_down:
            raise UpstreamError("down")
        if any(text.startswith("bad") for text in texts):
            raise EmbeddingError("refused")
        return self._inner.embed_documents(texts)

    def embed_query(self, text: str) -> Vector:
        return self.embed_queries([text])[0]

    def embed_queries(self, texts: list[str]) -> Matrix:
        return self.embed_documents(texts)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def inner() -> GatedEmbedder:
    return GatedEmbedder()


@pytest.fixture
def batching(inner: GatedEmbedder) -> Iterator[BatchingEmbedder]:
    embedder = BatchingEmbedder(inner, max_batch_tokens=1000)
    yield embedder
    inner.gate.set()
    embedder.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def hold(inner: GatedEmbedder, batching: BatchingEmbedder, pool: ThreadPoolExecutor) -> None:
    """Keep the model busy until `inner.gate` is set."""
    inner.gate.clear()
    pool.submit(batching.embed_query, "occupies the model")
    assert inner.entered.acquire(timeout=10)


def wait_for(batching: BatchingEmbedder, *, queries: int = 0, texts: int = 0) -> None:
    done = threading.Event()
    for _ in range(1000):
        if len(batching._queries) >= queries and len(batching._texts) >= texts:
            return
        done.wait(0.005)
    raise AssertionError("the calls did not arrive")


def test_queries_that_wait_are_computed_together_and_equal_ones_once(
    inner: GatedEmbedder, batching: BatchingEmbedder, pool: ThreadPoolExecutor
) -> None:
    hold(inner, batching, pool)
    answers = [pool.submit(batching.embed_query, text) for text in ("one", "two", "one", "three")]
    wait_for(batching, queries=3)
    inner.gate.set()
    vectors = [answer.result(10) for answer in answers]
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert [sorted(call) for call in inner.calls] == [["occupies the model"], ["one", "three", "two"]]


def test_repeated_query_is_remembered_and_its_copy_cannot_be_spoiled(
    inner: GatedEmbedder, batching: BatchingEmbedder
) -> None:
    first = batching.embed_query("one")
    expected = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(batching.embed_query("one"), expected)
    assert len(inner.calls) == 1


def test_documents_of_several_callers_share_batches_sorted_by_length(
    inner: GatedEmbedder, batching: BatchingEmbedder, pool: ThreadPoolExecutor
) -> None:
    hold(inner, batching, pool)
    texts = [["a b c", "a"], ["a b", "a b c d"]]
    answers = [pool.submit(batching.embed_documents, group) for group in texts]
    wait_for(batching, texts=4)
    inner.gate.set()
    for group, answer in zip(texts, answers, strict=True):
        expected = HashEmbedder(HashEmbedder.Options(dimension=32)).embed_documents(group)
        np.testing.assert_array_equal(answer.result(10), expected)
    assert inner.calls[1] == ["a b c d", "a b c", "a b", "a"]


def test_batches_keep_the_token_budget(inner: GatedEmbedder) -> None:
    embedder = BatchingEmbedder(inner, max_batch_tokens=10)
    embedder.embed_documents(["a b c d e"] * 5)
    assert [len(call) for call in inner.calls] == [2, 2, 1]
    embedder.close()


def test_queries_go_before_the_next_batch_of_documents(inner: GatedEmbedder, pool: ThreadPoolExecutor) -> None:
    embedder = BatchingEmbedder(inner, max_batch_tokens=5)
    inner.gate.clear()
    documents = pool.submit(embedder.embed_documents, ["a b c d e", "f g h i j"])
    assert inner.entered.acquire(timeout=10)
    query = pool.submit(embedder.embed_query, "question")
    wait_for(embedder, queries=1)
    inner.gate.set()
    query.result(10)
    documents.result(10)
    assert inner.calls == [["a b c d e"], ["question"], ["f g h i j"]]
    embedder.close()


def test_refused_text_fails_only_its_own_caller(
    inner: GatedEmbedder, batching: BatchingEmbedder, pool: ThreadPoolExecutor
) -> None:
    hold(inner, batching, pool)
    good = pool.submit(batching.embed_documents, ["fine", "also fine"])
    bad = pool.submit(batching.embed_documents, ["fine too", "bad text"])
    wait_for(batching, texts=4)
    inner.gate.set()
    assert good.result(10).shape == (2, 32)
    with pytest.raises(EmbeddingError, match="refused"):
        bad.result(10)


def test_refused_query_fails_only_its_own_caller(
    inner: GatedEmbedder, batching: BatchingEmbedder, pool: ThreadPoolExecutor
) -> None:
    hold(inner, batching, pool)
    good, bad = (pool.submit(batching.embed_query, text) for text in ("fine", "bad"))
    wait_for(batching, queries=2)
    inner.gate.set()
    assert good.result(10).shape == (32,)
    with pytest.raises(EmbeddingError):
        bad.result(10)


def test_outage_reaches_the_callers_and_the_next_call_works(inner: GatedEmbedder, batching: BatchingEmbedder) -> None:
    inner.is_down = True
    with pytest.raises(UpstreamError, match="down"):
        batching.embed_documents(["one"])
    with pytest.raises(UpstreamError, match="down"):
        batching.embed_query("one")
    inner.is_down = False
    assert batching.embed_documents(["one"]).shape == (1, 32)


def test_close_finishes_what_waits_and_refuses_what_comes_later(inner: GatedEmbedder, pool: ThreadPoolExecutor) -> None:
    embedder = BatchingEmbedder(inner)
    hold(inner, embedder, pool)
    waiting = pool.submit(embedder.embed_documents, ["one"])
    wait_for(embedder, texts=1)
    closing = pool.submit(embedder.close)
    inner.gate.set()
    closing.result(10)
    assert waiting.result(10).shape == (1, 32)
    assert inner.is_closed
    with pytest.raises(UpstreamError, match="closed"):
        embedder.embed_query("late")


def test_too_few_vectors_are_an_error_for_the_callers_and_not_the_end_of_the_thread() -> None:
    class Forgetful(HashEmbedder):
        is_broken = True

        def embed_documents(self, texts: list[str]) -> Matrix:
            vectors = super().embed_documents(texts)
            return vectors[:-1] if self.is_broken else vectors

    inner = Forgetful(HashEmbedder.Options())
    embedder = BatchingEmbedder(inner)
    with pytest.raises(EmbeddingError, match="1 vectors for 2 texts"):
        embedder.embed_documents(["a", "b"])
    inner.is_broken = False
    assert len(embedder.embed_documents(["a", "b"])) == 2
    embedder.close()
