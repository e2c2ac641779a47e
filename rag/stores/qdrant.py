"""Vectors, words, text and metadata in a Qdrant server: for what outgrows one machine.

A chunk is one point. Its dense vector is searched by nearness, its sparse vector by words (BM25, see `sparse_words`),
its payload holds everything else. All of it comes and goes together, so that nothing can get out of step, and there
is no copy on this machine.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import BadRequestError, InvalidInputError
from rag.filters import Filter
from rag.stores import scores
from rag.stores.base import Pair, StoreIdentity, StoreStats, Upkeep, VectorFacts
from rag.stores.identity import collection_name, require_same_identity
from rag.stores.ledger_store import require_sound
from rag.stores.lexical import squash
from rag.stores.qdrant_options import QdrantOptions
from rag.types import Hit, Record, Vector

if TYPE_CHECKING:
    from rag.stores.qdrant_server import QdrantServer

CHECKED_FOR_S = 10.0
"""How long a search relies on what a collection's vectors meant; who writes looks each time."""
PHRASE_FACTOR = 1.5
"""What is found as it was written says more than its parts."""
HNSW_EF = 128
IDS_AT_ONCE = 500
OVERFETCH = 4
"""Times the hits that are wanted are asked for first, where Qdrant can only say half of the filter."""
MOST_LOOKED_AT = 200_000
"""Chunks whose metadata is looked at for one search, after that."""
LOOKED_AT_ONCE = 2_000


class QdrantStore:
    Options = QdrantOptions

    def __init__(
        self, options: QdrantOptions, *, identity: StoreIdentity, url: str | None = None, data_dir: Path | None = None
    ) -> None:
        """Connects to nothing yet.

        Args:
            url: of a Chroma server; means nothing here.
            data_dir: embedded mode keeps its folder in `qdrant/` there; None keeps it in memory.

        Raises:
            BadRequestError: the options say neither an address nor a folder.
            ConflictError: another process has the folder open.
        """
        # The client costs a second and 40 MB; reading the options must not.
        from rag.stores import qdrant_collection, qdrant_filter, qdrant_points, qdrant_server

        self.identity = identity
        self._options = options
        self._places, self._filters, self._points = qdrant_collection, qdrant_filter, qdrant_points
        self._missing = qdrant_server.CollectionMissingError
        server = _opened(options, identity.database, data_dir)
        self._collection = qdrant_collection.QdrantCollection(
            server, collection_name(identity, options.collection_name), options
        )
        self._checked_at = float("-inf")

    @property
    def upkeep(self) -> Upkeep:
        from rag.stores.qdrant_upkeep import QdrantUpkeep

        return QdrantUpkeep(self._collection)

    # -- writing --------------------------------------------------------------------------------------------

    def upsert(self, records: Sequence[Record]) -> None:
        if not records:
            return
        require_sound(records)
        self._check_size()
        scores.check_vectors(records, self.identity.dimension)
        self._open_to_write()
        try:
            self._collection.write(records, self.identity.metric)
        except self._missing:  # dropped since we looked
            self._open_to_write()
            self._collection.write(records, self.identity.metric)

    def delete(self, file_key: str, generation: str | None = None) -> int:
        chosen = self._places.of_file(file_key, generation)
        count = self._collection.count(chosen)
        if count:
            self._collection.asked("delete", points_selector=chosen, wait=True)
        return count

    def drop(self) -> None:
        for name in self._collection.all_names():
            self._collection.remove(name)
        self._checked_at = float("-inf")

    def close(self) -> None:
        """The connection closes with the last store that has it."""

    # -- searching ------------------------------------------------------------------------------------------

    def search_vector(self, vector: Vector, *, limit: int, where: Filter) -> list[Hit]:
        checked = scores.check_query_vector(vector, self.identity.dimension)
        if limit < 1 or not self._is_readable():
            return []
        metric = self.identity.metric
        query = self._points.as_stored(checked, metric).tolist()
        hits = [
            self._points.read_hit(point, scores.score(metric, self._points.distance(metric, point.score)), "vector")
            for point in self._search(limit, where, query=query, using="dense")
        ]
        return sorted(hits, key=lambda each: (-each.score, each.id))

    def search_text(self, query: str, *, limit: int, where: Filter) -> list[Hit]:
        asked = self._collection.words.query(query)
        if limit < 1 or not self._is_readable() or not asked.indices:
            return []
        wanted = 2 * limit + 10 if asked.phrases else limit  # a phrase may lift a hit from behind
        points = self._search(wanted, where, query=self._points.sparse(asked), using="words")
        hits = [
            self._points.read_hit(point, squash(self._lifted(point, asked.phrases)), "lexical")
            for point in points
            if point.score > 0
        ]
        return sorted(hits, key=lambda each: (-each.score, each.id))[:limit]

    def _lifted(self, point: Any, phrases: Sequence[Sequence[str]]) -> float:
        held = sum(self._collection.words.holds(point.payload["text"], phrase) for phrase in phrases)
        return float(point.score) * PHRASE_FACTOR**held

    def _search(self, limit: int, where: Filter, **query: Any) -> list[Any]:
        """The best points that match. Where Qdrant can only say half of the filter, more of the best are looked at; if
        too few of them match, the ids of all that do are found by their metadata, and the search is among these."""
        pushed = self._filters.push_down(where)
        wanted = limit if pushed.is_exact else OVERFETCH * limit
        points = self._nearest(wanted, pushed.condition, **query)
        kept = [point for point in points if pushed.matches(point.payload["metadata"])]
        if len(kept) >= limit or len(points) < wanted:
            return kept[:limit]
        ids = self._matching(pushed)
        return self._nearest(min(limit, len(ids)), self._places.of_points(ids), **query) if ids else []

    def _nearest(self, limit: int, chosen: Any, **query: Any) -> list[Any]:
        if query["using"] == "dense" and not self._collection.server.is_local:  # which compares with everything
            query["search_params"] = self._points.tuning(HNSW_EF)
        answer = self._collection.asked(
            "query_points", **query, query_filter=chosen, limit=limit, with_payload=True, with_vectors=["dense"]
        )
        return answer.points if answer is not None else []

    def _matching(self, pushed: Any) -> list[Any]:
        """Ids of the points that match; only metadata comes here, page by page.

        Raises:
            InvalidInputError: there are too many to look at.
        """
        ids: list[Any] = []
        looked_at = 0
        pages = self._collection.points(pushed.condition, payload=["metadata"], at_once=LOOKED_AT_ONCE)
        for page in pages:
            looked_at += len(page)
            if looked_at > MOST_LOOKED_AT:
                raise InvalidInputError(
                    f"metadata_filters: Qdrant cannot compare this filter itself (an order of texts, or whole numbers "
                    f"beyond 2^53), and more than {MOST_LOOKED_AT:,} chunks would have to be looked at one by one. Add "
                    "a condition that leaves fewer, such as 'filename', or keep dates as numbers"
                )
            ids += [point.id for point in page if pushed.matches(point.payload["metadata"])]
        return ids

    # -- reading --------------------------------------------------------------------------------------------

    def records(self, file_key: str, generation: str | None = None) -> list[Record]:
        points = self._collection.points(self._places.of_file(file_key, generation), vectors=True)
        return sorted(
            (self._points.read_record(point) for batch in points for point in batch), key=lambda each: each.id
        )

    def by_ids(self, ids: Sequence[str], *, where: Filter) -> dict[str, Record]:
        found: dict[str, Record] = {}
        pushed = self._filters.push_down(where)
        for start in range(0, len(ids), IDS_AT_ONCE):
            chosen = [self._points.point_id(each) for each in ids[start : start + IDS_AT_ONCE]]
            points = self._collection.asked("retrieve", ids=chosen, with_payload=True, with_vectors=["dense"])
            records = map(self._points.read_record, points or [])
            found |= {record.id: record for record in records if pushed.where.matches(record.metadata)}
        return found

    def generations(self) -> dict[Pair, int]:
        return self._collection.pairs()

    def stats(self) -> StoreStats:
        counts = self.generations()
        return StoreStats(sum(counts.values()), len({file_key for file_key, _ in counts}))

    # -- what the vectors mean ------------------------------------------------------------------------------

    @property
    def _mine(self) -> VectorFacts:
        return VectorFacts(self.identity.model_id, self.identity.dimension, self.identity.metric)

    def _check_size(self) -> None:
        size = self._options.vector_size
        if size is not None and size != self.identity.dimension:
            raise BadRequestError(
                f"database '{self.identity.database}': config.vector_size is {size}, but its embedder gives vectors of "
                f"{self.identity.dimension}. Correct or remove vector_size"
            )

    def _is_readable(self) -> bool:
        """Whether there is something to search; raises ConflictError when it means something else than ours."""
        self._check_size()
        if time.monotonic() - self._checked_at < CHECKED_FOR_S:
            return True
        if not self._has_ours(self._collection.facts()):
            return False
        self._checked_at = time.monotonic()
        return True

    def _open_to_write(self) -> None:
        found = self._collection.facts()
        if self._has_ours(found):
            return
        if found is not None:
            self.drop()  # what another model left: its last chunk was deleted
        self._collection.begin(self._mine)
        self._has_ours(self._collection.facts())

    def _has_ours(self, facts: VectorFacts | None) -> bool:
        """False also for the empty collection of another model; raises ConflictError for one with chunks."""
        if facts is None or (facts != self._mine and not self._collection.count()):
            return False
        require_same_identity(self.identity, facts.model_id, facts.dimension, facts.metric)
        return True


def _opened(options: QdrantOptions, database: str, data_dir: Path | None) -> "QdrantServer":
    from rag.stores.qdrant_server import embedded_qdrant, qdrant_server

    if options.path is not None:
        return embedded_qdrant(options.path, data_dir)
    if options.address is None:
        raise BadRequestError(
            f"database '{database}' is of type QdrantStore and names no server: set config.url, such as "
            "http://127.0.0.1:6333"
        )
    return qdrant_server(
        options.address,
        api_key=options.api_key,
        timeout_s=options.timeout_s,
        prefer_grpc=options.prefer_grpc,
        grpc_port=options.grpc_port,
    )
