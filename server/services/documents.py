"""What is in a database: its files, and its size."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from rag.errors import InvalidInputError
from rag.filters import Filter, parse_filter
from rag.stores.base import Contents
from rag.types import Scalar
from server.schemas.databases import DatabaseStats, DocumentEntry
from server.services.database_access import DatabaseAccess, OpenDatabase
from server.services.sizes import human_size
from state.contents import ShownFile

_OF_THE_CHUNK = frozenset(
    {
        "chunk_id", "chunk_index", "char_start", "char_end", "token_count", "page_number", "page_start", "page_end",
        "heading_path", "section_titles", "gap_after", "total_chunks",
    }
)  # fmt: skip
"""Metadata that says where a chunk stands, not what its file is."""
MAX_FILTERS = 20
BYTES_PER_NUMBER = 4


class DocumentService:
    def __init__(self, access: DatabaseAccess) -> None:
        self._access = access

    def list(
        self, namespace: str, project: str, database: str, *, limit: int, offset: int, filters: Sequence[str]
    ) -> list[DocumentEntry]:
        """Files that queries can find, by name; with filters, those with at least one chunk that matches all."""
        where = read_filters(filters)
        opened = self._access.open(namespace, project, database)
        files = self._access.contents.files(*opened.place)
        if where:
            matching = opened.store.upkeep.matching(where)
            files = [file for file in files if file.pair in matching]
        page = files[offset : offset + limit]
        contents = opened.store.upkeep.contents([file.pair for file in page])
        return [_entry(file, contents.get(file.pair, Contents(0))) for file in page]

    def stats(self, namespace: str, project: str, database: str | None) -> DatabaseStats:
        opened = self._access.open(namespace, project, database)
        upkeep = opened.store.upkeep
        files = self._access.contents.files(*opened.place)
        stored = opened.store.generations()
        facts, vectors = upkeep.made_with(), upkeep.vector_count()
        dimension = facts.dimension if facts else _stated_dimension(opened)
        collection_bytes = upkeep.size_bytes() if stored else 0
        index_bytes = vectors * dimension * BYTES_PER_NUMBER
        changed = self._access.contents.last_change(*opened.place)
        return DatabaseStats(
            database=opened.database.name,
            vector_count=vectors,
            document_count=len(files),
            chunk_count=sum(stored.get(file.pair, 0) for file in files),
            collection_size_bytes=collection_bytes,
            index_size_bytes=index_bytes,
            embedding_dimension=dimension,
            distance_metric=facts.metric if facts else opened.database.metric,
            last_updated=None if changed is None else datetime.fromtimestamp(changed, UTC),
            metadata={
                "embedding_model": facts.model_id if facts else None,
                "stored_chunks": sum(stored.values()),
                "lexical_index_chunks": upkeep.indexed_count(),
            },
            storage_bytes=collection_bytes + index_bytes,
            storage_human=human_size(collection_bytes + index_bytes),
            collection_name=str(opened.database.config.get("collection_name") or "documents"),
        )


def read_filters(filters: Sequence[str]) -> Filter:
    """`key:value` each; a value that is JSON (a number, true, a list) is taken as such, any other as text.

    A key that is given more than once takes any of its values.

    Raises:
        InvalidInputError: one of them has no colon, or names no metadata key.
    """
    if len(filters) > MAX_FILTERS:
        raise InvalidInputError(f"{len(filters)} filters were given; at most {MAX_FILTERS} are accepted")
    wanted: dict[str, list[Any]] = {}
    for text in filters:
        key, colon, value = text.partition(":")
        if not colon or not key.strip():
            raise InvalidInputError(f"filter '{text[:100]}' is not understood; write key:value, as in filename:a.pdf")
        wanted.setdefault(key.strip(), []).extend(_values(value.strip()))
    return parse_filter(wanted)


def _values(text: str) -> list[Any]:
    """A number may be written as text in the metadata of another file: both are looked for."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [text]
    if isinstance(value, list):
        return value
    return [value, text] if isinstance(value, int | float) and not isinstance(value, bool) else [value]


def _entry(file: ShownFile, stored: Contents) -> DocumentEntry:
    metadata: dict[str, Scalar] = {
        key: value for key, value in stored.metadata.items() if key not in _OF_THE_CHUNK and not key.startswith("_")
    }
    size = metadata.get("size")
    return DocumentEntry(
        id=file.file_hash,
        filename=file.filename,
        chunk_count=stored.chunk_count,
        size_bytes=int(size) if isinstance(size, int | float) else 0,
        parser_used=str(metadata.get("parser", "")),
        date_ingested=datetime.fromtimestamp(file.updated_at, UTC),
        metadata=metadata,
    )


def _stated_dimension(opened: OpenDatabase) -> int:
    config = opened.database.embedding_strategy_in_use().config
    value = config.get("dimension") or opened.database.config.get("embedding_dimension")
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
