"""The store role: vectors, text, metadata and a lexical index that is kept in step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from rag.filters import Filter
from rag.types import Hit, Record, Scalar, Vector

Metric = Literal["cosine", "l2", "ip"]
Pair: TypeAlias = tuple[str, str]
"""(file_key, generation): all chunks of one run over one file."""


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


@dataclass(frozen=True, slots=True)
class VectorFacts:
    """What the stored vectors were made with."""

    model_id: str
    dimension: int
    metric: Metric


@dataclass(frozen=True, slots=True)
class Contents:
    """One generation of a file as it is stored; `metadata` is that of its first chunk."""

    chunk_count: int
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


class Upkeep(Protocol):
    """Looks after a store: needs no embedder, minds no model, and sees dead generations as well as live ones.

    Nothing is created by looking. Raises UpstreamError when the server behind the store fails.
    """

    def contents(self, pairs: Sequence[Pair]) -> dict[Pair, Contents]:
        """Of the generations among `pairs` that have chunks."""
        ...

    def matching(self, where: Filter) -> set[Pair]:
        """The generations with at least one chunk that matches."""
        ...

    def batches(self, pair: Pair, size: int) -> Iterator[list[Record]]:
        """The chunks of one generation in the order of their ids, `size` at a time, so that memory stays bounded."""
        ...

    def made_with(self) -> VectorFacts | None:
        """None for a store without chunks."""
        ...

    def token(self) -> str | None:
        """Two stores with the same one are two ways to the same chunks. None where nothing was written yet."""
        ...

    def vector_count(self) -> int:
        """Vectors that the nearest-neighbour index holds; asks its server."""
        ...

    def indexed_count(self) -> int:
        """Chunks that the lexical index knows."""
        ...

    def unsound(self) -> dict[Pair, int]:
        """Generations with vectors that can be compared with none (wrong length, not finite, zero), and how many."""
        ...

    def strays(self) -> dict[Pair, int]:
        """Generations of which only vectors are left, which no search returns, and how many; `delete` removes them."""
        ...

    def size_bytes(self) -> int:
        """Bytes on disk of text, metadata, vectors and lexical index; without the server's own copy of the vectors."""
        ...

    def compact(self) -> None:
        """Bring the lexical index into step if it is not, and give the room of deleted chunks back to the disk."""
        ...

    def rebuild(self, report: Callable[[int], None]) -> int:
        """Make the vector index and the lexical index anew from the text and vectors that are kept; returns chunks.

        Searches are answered from the old indexes until the new ones take their place. What is broken off changes
        nothing that a search sees, and can be begun again. Nobody may write meanwhile.

        Args:
            report: is called with the number of chunks done, and once more right before the new indexes take their
                place; what it raises breaks off, and nothing of the new ones stays.
        """
        ...


class Store(Protocol):
    """Thread-safe. `[]` in gives `[]` out. Raises UpstreamError when the server behind it fails.

    Scores are in [0, 1], higher is better: cosine 1 - d/2, l2 1 / (1 + d/100), ip (1 + d)/2 clipped; lexical BM25
    is squashed into [0, 1) monotonically. A filter is applied before `limit`. Nothing is created by reading:
    an empty or missing collection answers [] and zero.
    """

    identity: StoreIdentity

    @property
    def upkeep(self) -> Upkeep: ...

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

    def by_ids(self, ids: Sequence[str], *, where: Filter) -> dict[str, Record]:
        """The chunks among `ids` that are stored and match, by id."""
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
