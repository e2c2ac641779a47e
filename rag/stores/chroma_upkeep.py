"""Looking after a ledger and the collection beside it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import structlog

from rag.errors import UpstreamError
from rag.stores.base import Pair
from rag.stores.chroma_http import ChromaServer, Collection, CollectionMissingError
from rag.stores.chroma_layout import BATCH_SIZE, create_collection, send, switching
from rag.stores.ledger import ChunkLedger
from rag.stores.upkeep import LedgerUpkeep

PAGE_SIZE = 10_000

log = structlog.get_logger(__name__)


def beside(name: str) -> tuple[str, str]:
    """What the new and the old collection are called while one takes the place of the other."""
    return f"{name}-new", f"{name}-old"


class ChromaUpkeep(LedgerUpkeep):
    def __init__(self, ledger: ChunkLedger, server: ChromaServer, name: str, ledger_path: Path) -> None:
        super().__init__(ledger)
        self._ledger_path = ledger_path
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

    def rebuild(self, report: Callable[[int], None]) -> int:
        """The ledger has text and vectors. A crash between the two renamings leaves no collection under the name:
        the next search makes one from the ledger, and the next rebuild removes what was left beside it.
        """
        facts = self.made_with()
        if facts is None:
            return 0
        new, old = beside(self._name)
        for left in (new, old):
            self._server.drop(left)
        collection, done = create_collection(self._server, new, facts), 0
        size = min(BATCH_SIZE, self._server.max_batch_size())
        for batch in self._ledger.all_records(size):
            send(self._server, collection, batch, facts.dimension)
            done += len(batch)
            report(done)
        self._rebuild_words()
        with switching(self._ledger_path):
            former = self._server.find(self._name)
            if former is not None:
                self._server.rename(former.id, old)
            self._server.rename(collection.id, self._name)
        try:
            self._server.drop(old)
        except UpstreamError as error:  # damaged, perhaps: it is in nobody's way
            log.warning("collection.not_dropped", name=old, error=error.message)
        return done

    def _pairs(self, collection: Collection) -> Counter[Pair]:
        found: Counter[Pair] = Counter()
        offset = 0
        while page := self._server.metadatas(collection.id, limit=PAGE_SIZE, offset=offset):
            found.update((str(each.get("_file", "")), str(each.get("_generation", ""))) for each in page)
            offset += len(page)
        return found
