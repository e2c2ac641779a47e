"""Puts the texts of several callers into one forward pass."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.embedders.base import Embedder
from rag.embedders.encoders import batches_by_length
from rag.errors import EmbeddingError, UpstreamError
from rag.types import Matrix, Vector

_BATCHES_PER_ROUND = 8
_MAX_TEXTS_PER_BATCH = 1024


@dataclass(slots=True, eq=False)
class _Query:
    text: str
    result: Future[Vector] = field(default_factory=Future)


@dataclass(slots=True, eq=False)
class _Call:
    """One caller's documents; `result` is set when the last row is there, or at the first error."""

    rows: list[Vector | None]
    missing_count: int
    result: Future[Matrix] = field(default_factory=Future)

    def put(self, position: int, row: Vector) -> None:
        self.rows[position] = row
        self.missing_count -= 1
        if self.missing_count == 0 and not self.result.done():
            self.result.set_result(np.stack([row for row in self.rows if row is not None]))

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)


@dataclass(slots=True, eq=False)
class _Text:
    text: str
    token_count: int
    call: _Call
    position: int


class BatchingEmbedder:
    """An Embedder around another one, whose model one thread runs.

    While the model is busy, what arrives waits and is then computed together: a lone call is never delayed.
    Queries go before documents and wait for one batch at most. Equal queries are computed once, and the latest are
    remembered. An error reaches only those callers whose texts were in what failed; a text that the embedder refuses
    reaches only its own caller.

    Args:
        max_batch_tokens: of documents in one batch.
        max_wait_ms: when two callers wait already, how long to wait for more of them.
        query_cache_size: query vectors that are remembered.
    """

    def __init__(
        self, inner: Embedder, *, max_batch_tokens: int = 16_384, max_wait_ms: float = 0.0, query_cache_size: int = 1024
    ) -> None:
        self.inner = inner
        self.model_id = inner.model_id
        self._max_batch_tokens = max_batch_tokens
        self._max_wait_s = max_wait_ms / 1000
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._cache_size = query_cache_size
        self._changed = threading.Condition()
        self._queries: dict[str, _Query] = {}
        self._texts: deque[_Text] = deque()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="embed-batches", daemon=True)
        self._thread.start()

    def cache_scope(self, project: str) -> str:
        return self.inner.cache_scope(project)

    @property
    def dimension(self) -> int:
        return self.inner.dimension

    @property
    def token_counter(self) -> TokenCounter:
        return self.inner.token_counter

    def embed_documents(self, texts: list[str]) -> Matrix:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        counts = self.token_counter.count_batch(texts)
        call = _Call([None] * len(texts), len(texts))
        items = [_Text(text, counts[position], call, position) for position, text in enumerate(texts)]
        with self._changed:
            self._refuse_if_closing()
            self._texts.extend(items)
            self._changed.notify_all()
        return call.result.result()

    def embed_query(self, text: str) -> Vector:
        with self._changed:
            if text in self._cache:
                self._cache.move_to_end(text)
                return self._cache[text].copy()
            self._refuse_if_closing()
            query = self._queries.setdefault(text, _Query(text))
            self._changed.notify_all()
        return query.result.result().copy()

    def close(self) -> None:
        """Finish what has been asked for, then close the inner embedder."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()
        self.inner.close()

    def _refuse_if_closing(self) -> None:
        if self._is_closing:
            raise UpstreamError("the embedder has been closed")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queries or self._texts or self._is_closing)
                if not self._queries and not self._texts:
                    return
                if self._max_wait_s and len(self._queries) > 1:
                    self._changed.wait(self._max_wait_s)
            self._answer_queries()
            for batch in self._next_round():
                self._embed(batch)
                self._answer_queries()

    def _next_round(self) -> list[list[_Text]]:
        """Take the oldest texts, enough for a few batches, so that sorting by length starves nobody."""
        taken: list[_Text] = []
        token_count = 0
        with self._changed:
            while self._texts and token_count < self._max_batch_tokens * _BATCHES_PER_ROUND:
                taken.append(self._texts.popleft())
                token_count += taken[-1].token_count
        groups = batches_by_length(
            [item.token_count for item in taken],
            max_batch_tokens=self._max_batch_tokens,
            max_batch_texts=_MAX_TEXTS_PER_BATCH,
        )
        return [[taken[position] for position in group] for group in groups]

    def _embed(self, batch: list[_Text]) -> None:
        batch = [item for item in batch if not item.call.result.done()]
        if not batch:
            return
        try:
            rows = self.inner.embed_documents([item.text for item in batch])
        except EmbeddingError as error:
            self._embed_apart(batch, error)
        except Exception as error:  # noqa: BLE001  # it belongs to the callers, not to this thread
            for item in batch:
                item.call.fail(error)
        else:
            if len(rows) != len(batch):
                wrong = EmbeddingError(f"the embedder gave {len(rows)} vectors for {len(batch)} texts")
                for item in batch:
                    item.call.fail(wrong)
                return
            for item, row in zip(batch, rows, strict=True):
                item.call.put(item.position, row)

    def _embed_apart(self, batch: list[_Text], error: EmbeddingError) -> None:
        """Find the text that was refused: only its caller gets the error."""
        if len(batch) == 1:
            batch[0].call.fail(error)
            return
        for item in batch:
            self._embed([item])

    def _answer_queries(self) -> None:
        with self._changed:
            waiting, self._queries = list(self._queries.values()), {}
        if not waiting:
            return
        try:
            rows = self._query_vectors([query.text for query in waiting])
        except Exception as error:  # noqa: BLE001  # it belongs to the callers, not to this thread
            self._fail_queries(waiting, error)
            return
        with self._changed:
            for query, row in zip(waiting, rows, strict=True):
                self._cache[query.text] = row.copy()
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        for query, row in zip(waiting, rows, strict=True):
            query.result.set_result(row)

    def _query_vectors(self, texts: list[str]) -> Sequence[Vector]:
        together: Callable[[list[str]], Any] | None = getattr(self.inner, "embed_queries", None)
        if together is not None:
            return list(together(texts))
        return [self.inner.embed_query(text) for text in texts]

    def _fail_queries(self, waiting: list[_Query], error: Exception) -> None:
        if len(waiting) == 1 or not isinstance(error, EmbeddingError):
            for query in waiting:
                query.result.set_exception(error)
            return
        for query in waiting:
            try:
                query.result.set_result(self.inner.embed_query(query.text))
            except Exception as own_error:  # noqa: BLE001  # it belongs to the caller, not to this thread
                query.result.set_exception(own_error)
