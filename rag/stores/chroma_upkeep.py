"""Looking after a ledger and the collection beside it."""

from collections import Counter

from rag.stores.base import Pair
from rag.stores.chroma_http import ChromaServer, Collection, CollectionMissingError
from rag.stores.ledger import ChunkLedger
from rag.stores.upkeep import LedgerUpkeep

PAGE_SIZE = 10_000


class ChromaUpkeep(LedgerUpkeep):
    def __init__(self, ledger: ChunkLedger, server: ChromaServer, name: str) -> None:
        super().__init__(ledger)
        self._server = server
        self._name = name

    def vector_count(self) -> int:
        collection = self._server.find(self._name)
        try:
            return 0 if collection is None else self._server.count(collection.id)
        except CollectionMissingError:  # dropped in this very moment
            return 0

    def strays(self) -> dict[Pair, int]:
        """A crash between the two writes of an upsert, or the two deletions of a delete, leaves some.

        Equal counts are taken for none at all, so that a sound store is not read through.
        """
        collection = self._server.find(self._name)
        try:
            if collection is None or self._server.count(collection.id) == self._ledger.stats().chunk_count:
                return {}
            vectors = self._pairs(collection)
        except CollectionMissingError:
            return {}
        known = self._ledger.generations()
        return {pair: count for pair, count in vectors.items() if pair not in known}

    def _pairs(self, collection: Collection) -> Counter[Pair]:
        found: Counter[Pair] = Counter()
        offset = 0
        while page := self._server.metadatas(collection.id, limit=PAGE_SIZE, offset=offset):
            found.update((str(each.get("_file", "")), str(each.get("_generation", ""))) for each in page)
            offset += len(page)
        return found
