"""Looking after a collection in Qdrant."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np
from qdrant_client import models

from rag.errors import UpstreamError
from rag.filters import Filter
from rag.stores.base import Contents, Pair, VectorFacts
from rag.stores.qdrant_collection import QdrantCollection, of_pairs
from rag.stores.qdrant_filter import push_down
from rag.stores.qdrant_points import point_id, read_record
from rag.stores.qdrant_server import CollectionMissingError
from rag.types import Record, Vector

SAMPLED = 200
PAIRS_AT_ONCE = 500
POSTING_BYTES = 8
"""Of one term of one chunk in the word index: its number and its weight."""
TERMS_PER_WORD = 2
"""The word, and the word with its neighbour."""


class QdrantUpkeep:
    def __init__(self, collection: QdrantCollection) -> None:
        self._collection = collection

    def contents(self, pairs: Sequence[Pair]) -> dict[Pair, Contents]:
        found: dict[Pair, Contents] = {}
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            counts = self._collection.pairs(of_pairs(pairs[start : start + PAIRS_AT_ONCE]))
            first = self._first(list(counts))
            found |= {pair: Contents(count, first[pair].metadata) for pair, count in counts.items() if pair in first}
        return found

    def matching(self, where: Filter) -> set[Pair]:
        pushed = push_down(where)
        if pushed.is_exact:
            return set(self._collection.pairs(pushed.condition))
        points = self._collection.points(pushed.condition, payload=["file_key", "generation", "metadata"])
        payloads = (point.payload for batch in points for point in batch)
        return {(each["file_key"], each["generation"]) for each in payloads if pushed.matches(each["metadata"])}

    def batches(self, pair: Pair, size: int) -> Iterator[list[Record]]:
        points = self._collection.points(of_pairs([pair]), payload=["id"])
        ids = sorted(point.payload["id"] for batch in points for point in batch)
        for start in range(0, len(ids), size):
            chosen = [point_id(each) for each in ids[start : start + size]]
            found = self._collection.asked("retrieve", ids=chosen, with_payload=True, with_vectors=["dense"])
            yield sorted(map(read_record, found or []), key=lambda each: each.id)

    def made_with(self) -> VectorFacts | None:
        facts = self._collection.facts()
        return facts if facts is not None and self._collection.count() else None

    def token(self) -> str | None:
        return self._collection.token()

    def vector_count(self) -> int:
        return self._collection.count()

    def indexed_count(self) -> int:
        """A point has its words in it: there are never fewer."""
        return self._collection.count()

    def unsound(self) -> dict[Pair, int]:
        facts, found = self._collection.facts(), Counter[Pair]()
        for batch in self._collection.points(vectors=True) if facts is not None else ():
            for each in map(read_record, batch):
                if facts is not None and not _is_sound(each.vector, facts.dimension):
                    found[each.file_key, each.generation] += 1
        return dict(found)

    def strays(self) -> dict[Pair, int]:
        """Vector and text are one point: there are none."""
        return {}

    def size_bytes(self) -> int:
        """An estimate from some chunks, as Qdrant does not tell the size of a collection."""
        facts = self._collection.facts()
        sample = next(self._collection.points(), [])[:SAMPLED]
        if facts is None or not sample:
            return 0
        payloads = sum(len(str(point.payload).encode()) for point in sample)
        words = sum(len(point.payload["text"].split()) for point in sample)
        each = 4 * facts.dimension + (payloads + words * TERMS_PER_WORD * POSTING_BYTES) / len(sample)
        return int(self._collection.count() * each)

    def compact(self) -> None:
        """Qdrant gives the room of deleted points back by itself."""

    def rebuild(self, report: Callable[[int], None]) -> int:
        facts, collection = self.made_with(), self._collection
        if facts is None:
            return 0
        for name in collection.all_names():
            report(0)
            if name != collection.in_use():  # of a rebuild that broke off
                collection.remove(name)
        used, beside = collection.in_use(), f"{collection.name}-{uuid.uuid4().hex[:8]}"
        collection.create(beside, facts)
        made = collection.called(beside)
        try:
            done = self._fill(beside, facts, report)
            _delete_gone(made, since=collection)
            report(done)
        except BaseException:
            with suppress(UpstreamError, CollectionMissingError):  # what is left is removed by the next one
                collection.remove(beside)
            raise
        collection.put_in_use(beside)
        if used is not None:
            _delete_gone(made, since=collection.called(used))
            collection.remove(used)
        return made.count()

    def _fill(self, beside: str, facts: VectorFacts, report: Callable[[int], None]) -> int:
        done = 0
        for batch in self._collection.points(vectors=True):
            self._collection.write([read_record(point) for point in batch], facts.metric, into=beside)
            done += len(batch)
            report(done)
        return done

    def _first(self, pairs: list[Pair]) -> dict[Pair, Record]:
        """The first chunk of each, which by its metadata has the index 0; any one where none says so."""
        is_first = models.FieldCondition(key='metadata."chunk_index"', match=models.MatchValue(value=0))
        chosen = models.Filter(must=[of_pairs(pairs), is_first])
        records = (read_record(point) for batch in self._collection.points(chosen) for point in batch)
        found = {(each.file_key, each.generation): each for each in records}
        for pair in pairs:
            if pair not in found:
                some = next(self._collection.points(of_pairs([pair])), [])
                found.update([(pair, read_record(point)) for point in some[:1]])
        return found


def _delete_gone(made: QdrantCollection, *, since: QdrantCollection) -> None:
    """Delete what was deleted from the other collection after it was copied."""
    left = since.pairs()
    if not left and since.facts() is None:  # another one has removed it
        return
    gone = list(made.pairs().keys() - left.keys())
    for start in range(0, len(gone), PAIRS_AT_ONCE):
        made.asked("delete", points_selector=of_pairs(gone[start : start + PAIRS_AT_ONCE]), wait=True)


def _is_sound(vector: Vector, dimension: int) -> bool:
    return len(vector) == dimension and bool(np.isfinite(vector).all() and vector.any())
