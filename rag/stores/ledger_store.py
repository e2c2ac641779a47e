"""The half that all stores share: a ledger of chunks, beside some way of finding the nearest vectors."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.errors import InvalidInputError
from rag.filters import Filter
from rag.stores import scores
from rag.stores.base import StoreIdentity, StoreStats, Upkeep
from rag.stores.ledger import ChunkLedger
from rag.stores.upkeep import LedgerUpkeep
from rag.types import Hit, Matrix, Record, Vector


class LedgerStore(ABC):
    """A Store whose subclass writes, searches and erases vectors; text, metadata and words are in the ledger."""

    def __init__(self, identity: StoreIdentity, ledger_path: Path | None) -> None:
        self.identity = identity
        self._ledger = ChunkLedger(ledger_path, identity)

    @property
    def upkeep(self) -> Upkeep:
        return LedgerUpkeep(self._ledger)

    @abstractmethod
    def upsert(self, records: Sequence[Record]) -> None: ...

    @abstractmethod
    def _nearest(self, vector: Vector, limit: int, where: Filter) -> list[Hit]: ...

    def search_vector(self, vector: Vector, *, limit: int, where: Filter) -> list[Hit]:
        checked = scores.check_query_vector(vector, self.identity.dimension)
        self._ledger.check_identity()
        return self._nearest(checked, limit, where) if limit > 0 else []

    def search_text(self, query: str, *, limit: int, where: Filter) -> list[Hit]:
        self._ledger.check_identity()
        return self._ledger.search_text(query, limit=limit, where=where)

    def records(self, file_key: str, generation: str | None = None) -> list[Record]:
        return self._ledger.records(file_key, generation)

    def by_ids(self, ids: Sequence[str], *, where: Filter) -> dict[str, Record]:
        return self._ledger.by_ids(ids, where) if ids else {}

    def delete(self, file_key: str, generation: str | None = None) -> int:
        return self._ledger.delete(file_key, generation)

    def generations(self) -> dict[tuple[str, str], int]:
        return self._ledger.generations()

    def stats(self) -> StoreStats:
        return self._ledger.stats()

    def drop(self) -> None:
        self._ledger.remove()

    def close(self) -> None:
        self._ledger.close()

    def _compare(self, candidates: tuple[list[str], Matrix], vector: Vector, limit: int) -> list[Hit]:
        """The nearest of `candidates` (ids and their vectors), by comparing with each."""
        ids, matrix = candidates
        distances = scores.distances(self.identity.metric, matrix, vector)
        best = np.argsort(distances, kind="stable")[:limit]
        return self._hits([(ids[position], float(distances[position])) for position in best], Filter(), limit)

    def _hits(self, nearest: Sequence[tuple[str, float]], where: Filter, limit: int) -> list[Hit]:
        """Read the best of what `nearest` names; what the ledger does not know, or does not match, is left out."""
        metric = self.identity.metric
        scored = {chunk_id: scores.score(metric, distance) for chunk_id, distance in nearest}
        return self._ledger.nearest(scored, where, limit)


def require_sound(records: Sequence[Record]) -> None:
    """Refuse what could not be stored as it is: two different chunks under one id, text that is not Unicode."""
    seen: dict[str, Record] = {}
    for record in records:
        if seen.setdefault(record.id, record).text != record.text:
            raise InvalidInputError(f"two different chunks have the id '{record.id}'; ids must be unique")
        try:
            record.text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"chunk '{record.id}' holds text that is not valid Unicode: {error.reason}"
            ) from error
