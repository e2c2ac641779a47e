"""What embedders that call a server have in common."""

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.embedders.checks import checked
from rag.embedders.options import EmbedderOptions
from rag.embedders.resilience import CircuitBreaker, ResilientCaller
from rag.types import Matrix, Vector


class EmbeddingClient(Protocol):
    """One kind of server. Raises UpstreamError where trying again may help."""

    name: str
    address: str

    def embed(self, texts: list[str], *, is_query: bool) -> Sequence[Sequence[float]]: ...

    def close(self) -> None: ...


class RemoteEmbedder:
    """Sends texts in batches, retries each batch alone, and checks what comes back.

    Without a configured dimension the first answer decides it.
    """

    model_id: str

    def __init__(
        self,
        client: EmbeddingClient,
        options: EmbedderOptions,
        *,
        model_id: str,
        counter: TokenCounter,
        batch_size: int,
        max_retries: int = 3,
    ) -> None:
        self.model_id = model_id
        self._client = client
        self._counter = counter
        self._batch_size = batch_size
        self._dimension = options.dimension
        self._dimension_lock = threading.Lock()
        self.calls = ResilientCaller(
            client.name,
            CircuitBreaker(options.circuit_breaker),
            max_retries=max_retries,
            fail_fast=options.fail_fast,
        )

    @property
    def breaker(self) -> CircuitBreaker:
        """For health: `breaker.state`."""
        return self.calls.breaker

    def cache_scope(self, project: str) -> str:
        return f"server {self._client.address} of {project}"

    @property
    def dimension(self) -> int:
        """Asks the server when it is neither configured nor known from an earlier answer."""
        if self._dimension is None:
            self.embed_query("dimension")
        if self._dimension is None:
            raise AssertionError("an answer was accepted without its length being kept")
        return self._dimension

    @property
    def token_counter(self) -> TokenCounter:
        return self._counter

    def embed_documents(self, texts: list[str]) -> Matrix:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        starts = range(0, len(texts), self._batch_size)
        return np.concatenate([self._embed(texts[start : start + self._batch_size]) for start in starts])

    def embed_query(self, text: str) -> Vector:
        vector: Vector = self._embed([text], is_query=True)[0]
        return vector

    def close(self) -> None:
        self._client.close()

    def _embed(self, texts: list[str], *, is_query: bool = False) -> Matrix:
        def attempt() -> Matrix:
            answer = self._client.embed(texts, is_query=is_query)
            return checked(answer, self._dimension, expected_count=len(texts))

        rows = self.calls.call(attempt)
        with self._dimension_lock:
            self._dimension = self._dimension or rows.shape[1]
        return checked(rows, self._dimension)
