"""Looking after a ledger and the collection beside it."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from rag.errors import CancelledTaskError, UpstreamError
from rag.stores.base import Pair, VectorFacts
from rag.stores.chroma_http import ChromaServer, Collection, CollectionMissingError
from rag.stores.chroma_layout import BATCH_SIZE, create_collection, of_file, send, switching
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
        report(0)
        for left in (new, old):
            self._server.drop(left)
        collection, before = create_collection(self._server, new, facts), set(self._ledger.generations())
        try:
            done = self._fill(collection, facts, report)
            self._rebuild_words()
            with switching(self._ledger_path):
                self._delete_gone(collection, before)
                report(done)
                former = self._server.find(self._name)
                if former is not None:
                    self._server.rename(former.id, old)
                self._server.rename(collection.id, self._name)
        except CancelledTaskError:
            with suppress(UpstreamError):  # what is left is dropped by the next one
                found = self._server.find(new)
                if found is not None and found.id == collection.id:  # another one's has the same name
                    self._server.drop(new)
            raise
        self._delete_gone(collection, before)  # by those who had found the former one
        try:
            self._server.drop(old)
        except UpstreamError as error:  # damaged, perhaps: it is in nobody's way
            log.warning("collection.not_dropped", name=old, error=error.message)
        return done

    def _fill(self, collection: Collection, facts: VectorFacts, report: Callable[[int], None]) -> int:
        size, done = min(BATCH_SIZE, self._server.max_batch_size()), 0
        for batch in self._ledger.all_records(size):
            send(self._server, collection, batch, facts.dimension)
            done += len(batch)
            report(done)
        return done

    def _delete_gone(self, collection: Collection, before: set[Pair]) -> None:
        """Delete the vectors of what was deleted after it was copied."""
        for file_key, generation in before - self._ledger.generations().keys():
            self._server.delete(collection.id, of_file(file_key, generation))

    def _pairs(self, collection: Collection) -> Counter[Pair]:
        found: Counter[Pair] = Counter()
        offset = 0
        while page := self._server.metadatas(collection.id, limit=PAGE_SIZE, offset=offset):
            found.update((str(each.get("_file", "")), str(each.get("_generation", ""))) for each in page)
            offset += len(page)
        return found
