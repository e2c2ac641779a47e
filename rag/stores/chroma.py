"""Vectors in a Chroma server, everything else in a ledger beside the state.

Chroma keeps only vectors and what a file is deleted by. Text and metadata stay out of it because its filters cannot
order strings or mix types in one list, let a missing key pass `$ne`, and keep keys that a later upsert left out; and
because indexing text and metadata there takes two thirds of the time of an upsert (683 against 1,689 chunks/s).

Order of writes: an upsert goes to Chroma first and then to the ledger, a delete the other way round. A crash in
between therefore leaves vectors that the ledger does not know, never chunks without a vector. Such a vector is not
returned by a search, is completed by the next upsert of the same id and goes with the next delete of its file.
Where the server has fewer vectors than the ledger has chunks, it lost some: it is given them again.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rag.errors import ConflictError
from rag.filters import Filter
from rag.stores import scores
from rag.stores.base import StoreIdentity, Upkeep, VectorFacts
from rag.stores.chroma_http import Collection, CollectionMissingError, chroma_server
from rag.stores.chroma_layout import BATCH_SIZE, FORMAT_VERSION, create_collection, of_file, send, switching
from rag.stores.chroma_upkeep import ChromaUpkeep, beside
from rag.stores.identity import collection_name, require_same_identity
from rag.stores.ledger_store import LedgerStore, require_sound
from rag.stores.options import StoreOptions
from rag.types import Hit, Record, Vector

EXACT_CAP = 20_000
"""A filter that leaves at most so many chunks is answered by comparing with each of them: exact, and faster than
asking an approximate index for ever more neighbours."""
MAX_OVERFETCH = 8_192


class ChromaStore(LedgerStore):
    Options = StoreOptions

    def __init__(self, options: StoreOptions, *, identity: StoreIdentity, url: str, data_dir: Path) -> None:
        """Connects to nothing yet.

        Args:
            url: address of the Chroma server.
            data_dir: the ledger is a file in its folder `lexical/`.
        """
        self.name = collection_name(identity, options.collection_name)
        self._ledger_path = data_dir / "lexical" / f"{self.name}.sqlite3"
        super().__init__(identity, self._ledger_path)
        self._server = chroma_server(url)
        self._collection: Collection | None = None

    @property
    def upkeep(self) -> Upkeep:
        return ChromaUpkeep(self._ledger, self._server, self.name, self._ledger_path)

    def upsert(self, records: Sequence[Record]) -> None:
        if not records:
            return
        require_sound(records)
        scores.check_vectors(records, self.identity.dimension)
        self._ledger.check_identity()
        try:
            self._write(records)
        except CollectionMissingError:  # deleted behind our back since we looked
            self._collection = None
            self._write(records)

    def delete(self, file_key: str, generation: str | None = None) -> int:
        # Found by name alone: what another model left behind can be deleted too. Asked for before the ledger is
        # touched, so that a store whose server is away stays as it is.
        collection = self._server.find(self.name)
        count = super().delete(file_key, generation)
        try:
            if collection is not None:
                self._server.delete(collection.id, of_file(file_key, generation))
        except CollectionMissingError:
            self._collection = None
        return count

    def drop(self) -> None:
        self._server.find(self.name)  # as in `delete`
        super().drop()
        self._collection = None
        for name in (self.name, *beside(self.name)):
            self._server.drop(name)

    def _write(self, records: Sequence[Record]) -> None:
        self._collection = collection = self._find() or self._create()
        size = min(BATCH_SIZE, self._server.max_batch_size())
        batches = [records[start : start + size] for start in range(0, len(records), size)]
        # Chroma takes the next batch while this thread writes the one before to the ledger.
        with ThreadPoolExecutor(1) as pool:
            for batch, _ in zip(batches, pool.map(lambda batch: self._send(collection, batch), batches), strict=True):
                self._ledger.write(batch)

    def _send(self, collection: Collection, batch: Sequence[Record]) -> None:
        send(self._server, collection, batch, self.identity.dimension)

    def _nearest(self, vector: Vector, limit: int, where: Filter) -> list[Hit]:
        try:
            collection = self._find()
            return self._search(collection, vector, limit, where) if collection else []
        except CollectionMissingError:  # deleted behind our back since we looked
            self._collection = None
            collection = self._find()
            return self._search(collection, vector, limit, where) if collection else []

    def _search(self, collection: Collection, vector: Vector, limit: int, where: Filter) -> list[Hit]:
        """Ask for more than wanted, since a filter or a vector unknown to the ledger may take hits away again."""
        wanted = limit if not where else 8 * limit
        hits = self._hits(nearest := self._server.query(collection.id, vector, wanted), where, limit)
        if where and len(hits) < limit and len(self._ledger.matching(where, EXACT_CAP)) < EXACT_CAP:
            return self._exact(vector, limit, where)
        while len(hits) < limit and len(nearest) == wanted and wanted < MAX_OVERFETCH:
            wanted = min(MAX_OVERFETCH, 2 * wanted)
            hits = self._hits(nearest := self._server.query(collection.id, vector, wanted), where, limit)
        if where and len(hits) < limit and len(nearest) == wanted:  # many match, and all are far from the query
            return self._exact(vector, limit, where)
        return hits

    def _exact(self, vector: Vector, limit: int, where: Filter) -> list[Hit]:
        """Compare with every matching chunk, so many at a time that memory stays bounded."""
        matching = self._ledger.matching(where)
        best: list[Hit] = []
        for start in range(0, len(matching), EXACT_CAP):
            candidates = self._ledger.vectors(matching[start : start + EXACT_CAP])
            best += self._compare(candidates, vector, limit)
        return sorted(best, key=lambda hit: (-hit.score, hit.id))[:limit]

    def _find(self) -> Collection | None:
        """The collection, complete; None when there are no vectors."""
        if self._collection is None:
            found = self._look_up()
            if found is None and self._ledger.stats().chunk_count:
                with switching(self._ledger_path):  # it may be about to come back under this name
                    found = self._look_up() or self._create()
            if found is not None and self._is_incomplete(found):
                self._refill(found)
            self._collection = found
        return self._collection

    def _look_up(self) -> Collection | None:
        found = self._server.find(self.name)
        if found is not None:
            try:
                self._require_ours(found)
            except ConflictError:
                if not self._is_abandoned(found):
                    raise
                return None
        return found

    def _is_abandoned(self, found: Collection) -> bool:
        """Whether the last chunk was deleted, so that nobody needs the vectors that a collection may still hold."""
        is_ours_to_judge = found.metadata.get("format_version", 0) <= FORMAT_VERSION
        return is_ours_to_judge and self._ledger.was_emptied()

    def _is_incomplete(self, collection: Collection) -> bool:
        """Whether the server lost vectors: a folder restored from a backup, or a refill that was interrupted.

        By the order of writes it never has fewer than the ledger. The ledger is counted on both sides, because
        another process may delete a file while we look.
        """
        before = self._ledger.stats().chunk_count
        return self._server.count(collection.id) < min(before, self._ledger.stats().chunk_count)

    def _refill(self, collection: Collection) -> int:
        sent = 0
        for batch in self._ledger.all_records(min(BATCH_SIZE, self._server.max_batch_size())):
            self._send(collection, batch)
            sent += len(batch)
        return sent

    def _create(self) -> Collection:
        mine = VectorFacts(self.identity.model_id, self.identity.dimension, self.identity.metric)
        created = create_collection(self._server, self.name, mine)
        try:
            self._require_ours(created)
        except ConflictError:
            if not self._is_abandoned(created):
                raise
            self._server.drop(self.name)  # what another model left: its last chunk was deleted
            created = create_collection(self._server, self.name, mine)
            self._require_ours(created)
        return created

    def _require_ours(self, found: Collection) -> None:
        version = found.metadata.get("format_version", 0)
        if version > FORMAT_VERSION:
            raise ConflictError(
                f"the vectors of database '{self.identity.database}' have format {version}; this version of Paddock "
                f"reads up to {FORMAT_VERSION}. Upgrade Paddock, or process the files into a new database"
            )
        facts = found.metadata
        require_same_identity(
            self.identity, str(facts.get("model_id")), int(facts.get("dimension", 0)), str(facts.get("metric"))
        )
