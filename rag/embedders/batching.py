"""Joins the texts of concurrent callers into common forward passes."""

import queue
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.embedders.base import Embedder
from rag.errors import EmbeddingError, UpstreamError
from rag.types import Matrix, Vector

KEPT_QUERIES = 512


@dataclass(frozen=True, slots=True)
class _Job:
    texts: list[str]
    is_query: bool
    result: "Future[Matrix]" = field(default_factory=Future)


class BatchingEmbedder:
    """An embedder for many threads: one thread runs the model on whatever has come together meanwhile.

    Nobody waits for company: a lone call runs at once, and what arrives while it runs is the next batch. An error
    reaches only the callers whose texts caused it.

    Args:
        max_batch_texts: texts of documents that one pass takes; the inner embedder sorts and cuts them by length.
    """

    def __init__(self, inner: Embedder, *, max_batch_texts: int = 256) -> None:
        self._inner = inner
        self._max_batch_texts = max_batch_texts
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._recent: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="embedder", daemon=True)
        self._thread.start()

    @property
    def model_id(self) -> str:
        return self._inner.model_id

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    @property
    def token_counter(self) -> TokenCounter:
        return self._inner.token_counter

    def embed_documents(self, texts: list[str]) -> Matrix:
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return self._submit(_Job(texts, is_query=False))

    def embed_query(self, text: str) -> Vector:
        with self._lock:
            if text in self._recent:
                self._recent.move_to_end(text)
                return self._recent[text]
        vector: Vector = self._submit(_Job([text], is_query=True))[0]
        with self._lock:
            self._recent[text] = vector
            while len(self._recent) > KEPT_QUERIES:
                self._recent.popitem(last=False)
        return vector

    def close(self) -> None:
        """Finish what was handed in, then stop; later calls are refused."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._jobs.put(None)
        self._thread.join()
        self._inner.close()

    def _submit(self, job: _Job) -> Matrix:
        with self._lock:
            if self._is_closed:
                raise UpstreamError("the embedder is closed: the process is shutting down")
            self._jobs.put(job)
        return job.result.result()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            queries = [job for job in batch if job.is_query]
            documents = [job for job in batch if not job.is_query]
            for job in queries:
                self._embed_query(job)
            if documents:
                self._embed_documents(documents)

    def _next_batch(self) -> tuple[list[_Job], bool]:
        """What waits now, at least one job; False once the embedder is to stop."""
        batch: list[_Job] = []
        while sum(len(job.texts) for job in batch) < self._max_batch_texts:
            try:
                job = self._jobs.get(block=not batch)
            except queue.Empty:
                break
            if job is None:
                return batch, False
            batch.append(job)
        return batch, True

    def _embed_query(self, job: _Job) -> None:
        try:
            job.result.set_result(self._inner.embed_query(job.texts[0])[None, :])
        except Exception as error:  # noqa: BLE001  # handed to the caller, who raises it
            job.result.set_exception(error)

    def _embed_documents(self, jobs: list[_Job]) -> None:
        try:
            vectors = self._inner.embed_documents([text for job in jobs for text in job.texts])
        except Exception as error:  # noqa: BLE001  # handed to the callers, who raise it
            if isinstance(error, EmbeddingError) and len(jobs) > 1:
                for job in jobs:  # one caller's text is to blame: each gets its own answer
                    self._embed_documents([job])
                return
            for job in jobs:
                job.result.set_exception(error)
            return
        start = 0
        for job in jobs:
            job.result.set_result(vectors[start : start + len(job.texts)])
            start += len(job.texts)
