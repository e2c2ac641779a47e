"""Exact search in memory: the store of tests, examples and other people's scripts. Nothing outlives the process."""

from collections.abc import Sequence
from pathlib import Path

from rag.filters import Filter
from rag.stores import scores
from rag.stores.base import StoreIdentity
from rag.stores.ledger_store import LedgerStore, require_sound
from rag.stores.options import StoreOptions
from rag.types import Hit, Matrix, Record, Vector


class MemoryStore(LedgerStore):
    """Compares a query with every vector; answers as a ChromaStore would with a perfect index."""

    Options = StoreOptions

    def __init__(
        self, options: StoreOptions, *, identity: StoreIdentity, url: str = "", data_dir: Path | None = None
    ) -> None:
        """Args beyond `identity` are those of ChromaStore and mean nothing here."""
        super().__init__(identity, ledger_path=None)
        self._all: tuple[list[str], Matrix] | None = None

    def upsert(self, records: Sequence[Record]) -> None:
        if not records:
            return
        require_sound(records)
        scores.check_vectors(records, self.identity.dimension)
        self._ledger.write(records)
        self._all = None

    def delete(self, file_key: str, generation: str | None = None) -> int:
        count = super().delete(file_key, generation)
        self._all = None
        return count

    def drop(self) -> None:
        super().drop()
        self._all = None

    def _nearest(self, vector: Vector, limit: int, where: Filter) -> list[Hit]:
        if where:
            return self._compare(self._ledger.vectors(self._ledger.matching(where)), vector, limit)
        everything = self._all
        if everything is None:
            self._all = everything = self._ledger.vectors(self._ledger.matching(where))
        return self._compare(everything, vector, limit)
