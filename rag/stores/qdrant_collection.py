"""The points of one database in Qdrant: what they mean, how many there are, and which collection holds them.

A collection is reached through an alias, so that a rebuilt one takes its place in one step.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qdrant_client import models

from rag.errors import ConflictError, UpstreamError
from rag.stores.base import Metric, Pair, VectorFacts
from rag.stores.qdrant_options import QdrantOptions
from rag.stores.qdrant_points import as_point, pair_key, read_pair
from rag.stores.qdrant_server import CollectionMissingError, QdrantServer
from rag.stores.sparse_words import SparseWords
from rag.types import Record

FORMAT_VERSION = 1
BATCH_SIZE = 256
DISTANCES: Mapping[Metric, models.Distance] = {
    # Of unit vectors. Told of cosine, Qdrant scales each vector anew and gives back other bits than it was given.
    "cosine": models.Distance.DOT,
    "l2": models.Distance.EUCLID,
    "ip": models.Distance.DOT,
}
INDEXED = ("pair", "file_key", 'metadata."filename"', 'metadata."file_hash"')
"""Payload that chunks are found by most often: without an index Qdrant reads all of them."""


class QdrantCollection:
    """Thread-safe. Raises UpstreamError when the server fails.

    Args:
        name: of the alias, and how the names of its collections begin.
    """

    def __init__(self, server: QdrantServer, name: str, options: QdrantOptions) -> None:
        self.server = server
        self.name = name
        self._options = options
        self._words = SparseWords()

    def called(self, name: str) -> "QdrantCollection":
        """The one of this name, whether it is in use or beside it."""
        return QdrantCollection(self.server, name, self._options)

    @property
    def words(self) -> SparseWords:
        return self._words

    # -- reading --------------------------------------------------------------------------------------------

    def asked(self, method: str, **arguments: Any) -> Any:
        """The client's answer for this collection; None when there is none."""
        try:
            return self.server.call(method, collection_name=self.name, **arguments)
        except CollectionMissingError:
            return None

    def facts(self) -> VectorFacts | None:
        """What the vectors mean; None when there is no collection.

        Raises:
            ConflictError: it was written by a later version.
        """
        found = self.asked("get_collection")
        if found is None:
            return None
        noted = found.config.metadata or {}
        version = noted.get("format_version", 0)
        if version > FORMAT_VERSION:
            raise ConflictError(
                f"the Qdrant collection '{self.name}' has format {version}; this version of Paddock reads up to "
                f"{FORMAT_VERSION}. Upgrade Paddock, or process the files into a new database"
            )
        if "model_id" not in noted:
            raise UpstreamError(
                f"Qdrant at {self.server.label} keeps no metadata of collections; version 1.16 or newer is needed"
            )
        return VectorFacts(str(noted["model_id"]), int(noted["dimension"]), noted["metric"])

    def token(self) -> str | None:
        """Given to a collection when it is made, so that it is known again under another address."""
        found = self.asked("get_collection")
        return None if found is None else str((found.config.metadata or {}).get("token"))

    def count(self, chosen: models.Filter | None = None) -> int:
        found = self.asked("count", count_filter=chosen, exact=True)
        return 0 if found is None else int(found.count)

    def pairs(self, chosen: models.Filter | None = None) -> dict[Pair, int]:
        """(file_key, generation) → chunks, of those chosen."""
        total = self.count(chosen)
        found = self.asked("facet", key="pair", facet_filter=chosen, limit=total, exact=True) if total else None
        counts = {read_pair(str(each.value)): int(each.count) for each in (found.hits if found else [])}
        return dict(sorted(counts.items()))

    def points(
        self,
        chosen: models.Filter | None = None,
        *,
        payload: Sequence[str] | bool = True,
        vectors: bool = False,
        at_once: int = BATCH_SIZE,
    ) -> Iterator[list[Any]]:
        """All that are chosen, in batches, in Qdrant's order."""
        offset = None
        while True:
            found = self.asked(
                "scroll",
                scroll_filter=chosen,
                limit=at_once,
                offset=offset,
                with_payload=payload,
                with_vectors=["dense"] if vectors else False,
            )
            if found is None or not found[0]:
                return
            yield found[0]
            offset = found[1]
            if offset is None:
                return

    # -- writing --------------------------------------------------------------------------------------------

    def write(self, records: Sequence[Record], metric: Metric, *, into: str | None = None) -> None:
        """Raises CollectionMissingError.

        Args:
            into: a collection beside the one in use.
        """
        for start in range(0, len(records), BATCH_SIZE):
            points = [as_point(record, self._words, metric) for record in records[start : start + BATCH_SIZE]]
            self.server.call("upsert", collection_name=into or self.name, points=points, wait=True)

    def begin(self, facts: VectorFacts) -> None:
        """Make the first collection; one that somebody else made in this moment stays."""
        self.create(f"{self.name}-0", facts)
        self.put_in_use(f"{self.name}-0")

    def create(self, name: str, facts: VectorFacts) -> None:
        """A collection beside others; one that is there already stays as it is."""
        if self.server.call("collection_exists", collection_name=name):
            return
        on_disk = self._options.on_disk
        index = models.SparseIndexParams(on_disk=on_disk)
        noted = {"model_id": facts.model_id, "dimension": facts.dimension, "metric": facts.metric}
        try:
            self.server.call(
                "create_collection",
                collection_name=name,
                vectors_config={
                    "dense": models.VectorParams(
                        size=facts.dimension, distance=DISTANCES[facts.metric], on_disk=on_disk
                    )
                },
                sparse_vectors_config={"words": models.SparseVectorParams(modifier=models.Modifier.IDF, index=index)},
                metadata={"format_version": FORMAT_VERSION, "token": uuid.uuid4().hex, **noted},
                **self._spread(),
            )
        except (UpstreamError, ValueError):  # somebody else may have been first
            if not self.server.call("collection_exists", collection_name=name):
                raise
        if not self.server.is_local:  # embedded mode compares with everything
            for field in INDEXED:
                schema = models.PayloadSchemaType.KEYWORD
                self.server.call(
                    "create_payload_index", collection_name=name, field_name=field, field_schema=schema, wait=True
                )

    def _spread(self) -> dict[str, Any]:
        given = {
            "shard_number": self._options.shard_number,
            "replication_factor": self._options.replication_factor,
            "write_consistency_factor": self._options.write_consistency_factor,
            "on_disk_payload": self._options.on_disk or None,
        }
        return {key: value for key, value in given.items() if value is not None}

    def in_use(self) -> str | None:
        aliases = self.server.call("get_aliases").aliases
        return next((each.collection_name for each in aliases if each.alias_name == self.name), None)

    def put_in_use(self, name: str) -> None:
        """Queries go from one collection to the other in one step."""
        alias = models.CreateAlias(collection_name=name, alias_name=self.name)
        changes: list[Any] = [models.CreateAliasOperation(create_alias=alias)]
        if self.in_use() is not None:
            gone = models.DeleteAlias(alias_name=self.name)
            changes.insert(0, models.DeleteAliasOperation(delete_alias=gone))
        self.server.call("update_collection_aliases", change_aliases_operations=changes)

    def all_names(self) -> list[str]:
        """The collection in use, and what a rebuild that broke off has left."""
        found = self.server.call("get_collections").collections
        return sorted(each.name for each in found if each.name.startswith(f"{self.name}-"))

    def remove(self, name: str) -> None:
        self.server.call("delete_collection", collection_name=name)


def of_pairs(pairs: Sequence[Pair]) -> models.Filter:
    values = [pair_key(pair) for pair in pairs]
    return models.Filter(must=[models.FieldCondition(key="pair", match=models.MatchAny(any=values))])


def of_file(file_key: str, generation: str | None) -> models.Filter:
    if generation is not None:
        return of_pairs([(file_key, generation)])
    is_its = models.FieldCondition(key="file_key", match=models.MatchValue(value=file_key))
    return models.Filter(must=[is_its])


def of_points(ids: Sequence[Any]) -> models.Filter:
    return models.Filter(must=[models.HasIdCondition(has_id=list(ids))])
