"""A view of a store in which only the live generation of each file can be found."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rag.filters import Filter
from rag.stores.base import Store, StoreIdentity, StoreStats, Upkeep
from rag.types import Hit, Record, Vector

Pairs = set[tuple[str, str]]
MAX_ROUNDS = 8
"""Searches for one query. The limit doubles each time, so that the last one asks for over 100 times the first."""


class LiveStore:
    """Searches `inner` and keeps the hits whose (file_key, generation) is live.

    Dead chunks are there for moments only (a file is being replaced, or a crash left some), so that the first
    search asks for a few hits more than wanted and is nearly always the last.

    Args:
        live: gets the pairs that were seen and returns those that are live: one look-up per search.
    """

    def __init__(self, inner: Store, live: Callable[[Pairs], Pairs]) -> None:
        self.identity: StoreIdentity = inner.identity
        self._inner = inner
        self._live = live

    @property
    def upkeep(self) -> Upkeep:
        """That of all chunks, live or not."""
        return self._inner.upkeep

    def upsert(self, records: Sequence[Record]) -> None:
        self._inner.upsert(records)

    def search_vector(self, vector: Vector, *, limit: int, where: Filter) -> list[Hit]:
        return self._filled(lambda number: self._inner.search_vector(vector, limit=number, where=where), limit)

    def search_text(self, query: str, *, limit: int, where: Filter) -> list[Hit]:
        return self._filled(lambda number: self._inner.search_text(query, limit=number, where=where), limit)

    def records(self, file_key: str, generation: str | None = None) -> list[Record]:
        """Live or not: an older generation is what vectors of unchanged chunks are taken from."""
        return self._inner.records(file_key, generation)

    def by_ids(self, ids: Sequence[str], *, where: Filter) -> dict[str, Record]:
        """Live only."""
        found = self._inner.by_ids(ids, where=where)
        pairs = {(record.file_key, record.generation) for record in found.values()}
        live = self._live(pairs) if pairs else set()
        return {key: record for key, record in found.items() if (record.file_key, record.generation) in live}

    def delete(self, file_key: str, generation: str | None = None) -> int:
        return self._inner.delete(file_key, generation)

    def generations(self) -> dict[tuple[str, str], int]:
        """Live or not: this is how dead ones are found."""
        return self._inner.generations()

    def stats(self) -> StoreStats:
        """Counts what can be found."""
        counts = self._inner.generations()
        live = self._live(set(counts)) if counts else set()
        chunks = sum(count for pair, count in counts.items() if pair in live)
        return StoreStats(chunk_count=chunks, file_count=len(Counter(file_key for file_key, _ in live)))

    def drop(self) -> None:
        self._inner.drop()

    def close(self) -> None:
        self._inner.close()

    def _filled(self, search: Callable[[int], list[Hit]], limit: int) -> list[Hit]:
        wanted = limit + max(5, limit // 4)
        kept: list[Hit] = []
        for _ in range(MAX_ROUNDS if limit > 0 else 0):
            hits = search(wanted)
            kept = self._only_live(hits)
            if len(kept) >= limit or len(hits) < wanted:
                break
            wanted *= 2
        return kept[:limit]

    def _only_live(self, hits: Iterable[Hit]) -> list[Hit]:
        found = list(hits)
        pairs = {(hit.file_key, hit.generation) for hit in found}
        live = self._live(pairs) if pairs else set()
        return [hit for hit in found if (hit.file_key, hit.generation) in live]
