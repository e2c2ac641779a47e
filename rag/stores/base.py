"""The store role: vectors, text, metadata and a lexical index that is kept in step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rag.filters import Filter
from rag.types import Hit, Record, Vector

Metric = Literal["cosine", "l2", "ip"]


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """Which database a store serves and what its vectors mean. A store refuses, before any read or write,
    a collection that was made with another model, dimension or metric (ConflictError with the remedy).
    """

    namespace: str
    project: str
    database: str
    model_id: str
    dimension: int
    metric: Metric = "cosine"


@dataclass(frozen=True, slots=True)
class StoreStats:
    chunk_count: int
    file_count: int


class Store(Protocol):
    """Thread-safe. `[]` in gives `[]` out. Raises UpstreamError when the server behind it fails.

    Scores are in [0, 1], higher is better: cosine 1 - d/2, l2 1 / (1 + d/100), ip (1 + d)/2 clipped; lexical BM25
    is squashed into [0, 1) monotonically. A filter is applied before `limit`. Nothing is created by reading:
    an empty or missing collection answers [] and zero.
    """

    identity: StoreIdentity

    def upsert(self, records: Sequence[Record]) -> None:
        """Write records; the same ids again change nothing. A zero, NaN or wrong-length vector is refused whole
        (EmbeddingError) before anything is written. Vectors and lexical index agree when this returns.
        """
        ...

    def search_vector(self, vector: Vector, *, limit: int, where: Filter) -> list[Hit]: ...

    def search_text(self, query: str, *, limit: int, where: Filter) -> list[Hit]: ...

    def records(self, file_key: str, generation: str | None = None) -> list[Record]:
        """Stored chunks of a file (of one generation, or all), ordered by id, vectors included."""
        ...

    def delete(self, file_key: str, generation: str | None = None) -> int:
        """Remove a file's chunks (one generation, or all); returns how many there were."""
        ...

    def generations(self) -> dict[tuple[str, str], int]:
        """(file_key, generation) → chunk count, over the whole database."""
        ...

    def stats(self) -> StoreStats: ...

    def drop(self) -> None:
        """Remove the collection and its lexical index; a missing one is not an error."""
        ...

    def close(self) -> None: ...
