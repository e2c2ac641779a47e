"""Vectors of texts that were embedded before, by what the texts are: re-chunking embeds only what changed."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import structlog

from rag.chunkers.base import TokenCounter
from rag.embedders.base import Embedder
from rag.errors import ConflictError, EmbeddingError, StorageFullError, UpstreamError
from rag.stores.connections import Connections
from rag.types import Matrix, Vector

SCHEMA = """
CREATE TABLE vector (n INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL)
""".strip()
_VERSION = 1
_KEYS_PER_QUERY = 500
_ROW_BYTES = 64
"""Of a row and its entry in the index, beside the vector."""

log = structlog.get_logger(__name__)


class VectorCache:
    """A file of vectors, shared by the processes of one machine; the oldest give way when it is full.

    A key is a digest of who made the vector (see `CachedEmbedder.maker`) and of the text: neither can be read from it.
    What goes wrong with the file is logged and costs only the time of embedding again.

    Args:
        max_bytes: of all vectors; 0 keeps none.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._connections = Connections(path, schema=SCHEMA, version=_VERSION, upgrades={}, is_durable=False)

    def get(self, maker: str, texts: Sequence[str]) -> dict[str, Vector]:
        """The vectors of those texts that are known."""
        if not self._max_bytes:
            return {}
        text_of = {_key(maker, text): text for text in texts}
        found: dict[str, Vector] = {}
        try:
            with self._connections.reading() as connection:
                if connection is None:
                    return {}
                wanted = list(text_of)
                for start in range(0, len(wanted), _KEYS_PER_QUERY):
                    keys = wanted[start : start + _KEYS_PER_QUERY]
                    marks = ",".join("?" * len(keys))
                    rows = connection.execute(f"SELECT key, vector FROM vector WHERE key IN ({marks})", keys)  # noqa: S608  # only question marks are put in
                    found.update((text_of[key], np.frombuffer(blob, np.float32)) for key, blob in rows)
        except (UpstreamError, ConflictError) as error:
            log.warning("vector_cache.unreadable", error=error.message)
            return {}
        return found

    def put(self, maker: str, texts: Sequence[str], vectors: Matrix) -> None:
        """Keep one vector for each text, in the place of what was known of it."""
        if not self._max_bytes or not texts:
            return
        rows = [
            (_key(maker, text), np.ascontiguousarray(vector, np.float32).tobytes())
            for text, vector in zip(texts, vectors, strict=True)
        ]
        row_limit = max(1, self._max_bytes // (len(rows[0][1]) + _ROW_BYTES))
        try:
            with self._connections.writing() as connection:
                connection.executemany("INSERT OR REPLACE INTO vector (key, vector) VALUES (?, ?)", rows)
                last = connection.execute("SELECT max(n) FROM vector").fetchone()[0]
                connection.execute("DELETE FROM vector WHERE n <= ?", (last - row_limit,))
        except (UpstreamError, StorageFullError, ConflictError) as error:
            log.warning("vector_cache.unwritable", error=error.message)

    def close(self) -> None:
        self._connections.close()


class CachedEmbedder:
    """An Embedder that asks the cache first and tells it what it learned.

    Args:
        project: whose texts they are. A project gets nothing that another one's server made.
        reads: whether it asks; without, every text is embedded and the cache gets the new vectors.
    """

    def __init__(self, inner: Embedder, cache: VectorCache, *, project: str, reads: bool = True) -> None:
        self._inner = inner
        self._cache = cache
        self._project = project
        self._reads = reads
        self.model_id = inner.model_id

    @property
    def maker(self) -> str:
        """Model and who computes with it, so written that no name in it can be taken for another part."""
        return json.dumps([self.model_id, self.cache_scope(self._project)])

    def cache_scope(self, project: str) -> str:
        return self._inner.cache_scope(project)

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    @property
    def token_counter(self) -> TokenCounter:
        return self._inner.token_counter

    def embed_documents(self, texts: list[str]) -> Matrix:
        if not texts:
            return self._inner.embed_documents([])
        dimension = self._inner.dimension
        maker = self.maker
        known = self._cache.get(maker, texts) if self._reads else {}
        known = {text: vector for text, vector in known.items() if len(vector) == dimension}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            vectors = self._inner.embed_documents(missing)
            if len(vectors) != len(missing):
                raise EmbeddingError(f"the embedder gave {len(vectors)} vectors for {len(missing)} texts")
            self._cache.put(maker, missing, vectors)
            known |= dict(zip(missing, vectors, strict=True))
        return np.stack([known[text] for text in texts])

    def embed_query(self, text: str) -> Vector:
        return self._inner.embed_query(text)

    def close(self) -> None:
        """Nothing: the inner embedder and the cache belong to others."""


def _key(maker: str, text: str) -> bytes:
    return hashlib.blake2b(f"{maker}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
