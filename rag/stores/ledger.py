"""What a store knows of its chunks: text, metadata and vector in one SQLite database, and a word index beside it.

The nearest-neighbour index of a store (a Chroma collection, or none) only ever answers ids; everything else is read
here. One transaction therefore decides whether a chunk exists, and filters mean the same in every store.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import structlog

from rag.errors import StorageFullError, UpstreamError
from rag.filters import Filter
from rag.stores import journal
from rag.stores.base import StoreIdentity, StoreStats
from rag.stores.connections import Connections
from rag.stores.identity import require_same_identity
from rag.stores.sql_filter import compile_filter
from rag.stores.words import WordIndex
from rag.types import Hit, Matrix, Record, Scalar

FORMAT_VERSION = 2
INDEXED_METADATA = ("filename", "heading_path", "section_titles", "table_header")

# `body` is apart from `chunk` so that a filter scans short rows.
SCHEMA = """
CREATE TABLE identity (model_id TEXT NOT NULL, dimension INTEGER NOT NULL, metric TEXT NOT NULL);
CREATE TABLE chunk (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, file_key TEXT NOT NULL, generation TEXT NOT NULL,
    metadata TEXT NOT NULL
);
CREATE INDEX chunk_of_file ON chunk (file_key, generation);
CREATE INDEX chunk_filename ON chunk (json_extract(metadata, '$."filename"'));
CREATE INDEX chunk_file_hash ON chunk (json_extract(metadata, '$."file_hash"'));
CREATE TABLE body (n INTEGER PRIMARY KEY, text TEXT NOT NULL, place TEXT NOT NULL, vector BLOB NOT NULL);
"""
UPGRADES = {1: "DROP TABLE words;\n" + journal.SCHEMA}  # FTS5 stood where the journal is now
MOST_NUMBERS = 20_000
"""A filter that leaves at most so many chunks is applied inside the word index."""
MANY_PENDING = 2_000
"""Changes after which the writer brings the word index up to date, so that no search has to wait for long."""

log = structlog.get_logger(__name__)

COLUMNS = "chunk.id, chunk.file_key, chunk.generation, chunk.metadata, body.text, body.vector"
JOINED = "chunk JOIN body ON body.n = chunk.n"


class ChunkLedger:
    """Thread-safe, shared by processes on one host. `path` None keeps everything in memory."""

    def __init__(self, path: Path | None, identity: StoreIdentity) -> None:
        self._identity = identity
        self.connections = Connections(path, schema=SCHEMA + journal.SCHEMA, version=FORMAT_VERSION, upgrades=UPGRADES)
        self.words = WordIndex(None if path is None else path.with_suffix(".words"))

    def check_identity(self) -> None:
        """Raise ConflictError when the stored vectors mean something else than ours would."""
        with self.connections.reading() as connection:
            if connection is not None:
                self._check(connection)

    def write(self, records: Sequence[Record]) -> None:
        """Insert or replace `records` in one transaction; those already stored as they are stay untouched."""
        with self.connections.writing() as connection:
            if not self._check(connection):
                mine = self._identity
                connection.execute("DELETE FROM identity")
                connection.execute(
                    "INSERT INTO identity VALUES (?, ?, ?)", (mine.model_id, mine.dimension, mine.metric)
                )
            stored = {record.id: record for record in self._by_ids(connection, [record.id for record in records])}
            for record in {record.id: record for record in records}.values():
                if not _same(stored.get(record.id), record):
                    _insert(connection, record)
        try:
            self.words.follow(self.connections, min_pending=MANY_PENDING)
        except (UpstreamError, StorageFullError) as error:  # the chunks are stored, and a search tries again
            log.warning("words.not_followed", error=error.message)

    def search_text(self, query: str, *, limit: int, where: Filter) -> list[Hit]:
        numbers = self.matching(where, MOST_NUMBERS + 1) if where else None
        if numbers is None or len(numbers) <= MOST_NUMBERS:
            best = self.words.search(self.connections, query, limit, numbers)
            return self._scored(best, Filter())
        wanted = 4 * limit  # so many match that they are found by looking a little further
        while True:
            best = self.words.search(self.connections, query, wanted, None)
            hits = self._scored(best, where)
            if len(hits) >= limit or len(best) < wanted:
                return hits[:limit]
            wanted *= 4

    def _scored(self, best: Sequence[tuple[int, float]], where: Filter) -> list[Hit]:
        """The chunks with these numbers, in this order, as far as they exist and match."""
        condition, values = compile_filter(where, "chunk.metadata")
        wanted = orjson.dumps([n for n, _ in best]).decode()
        query = (
            f"SELECT {COLUMNS}, chunk.n FROM {JOINED} "  # noqa: S608  # ours; the rest is bound
            f"WHERE chunk.n IN (SELECT value FROM json_each(?)) AND {condition}"
        )
        with self.connections.reading() as connection:
            rows = connection.execute(query, [wanted, *values]).fetchall() if connection else []
        found = {row[6]: row for row in rows}
        return [_read_hit(found[n], score, "lexical") for n, score in best if n in found]

    def nearest(self, scores: Mapping[str, float], where: Filter, limit: int) -> list[Hit]:
        """The best chunks that exist and match among those with a score (by id), as found by their vectors; best first.

        Text and vector of a chunk are long: no more than `limit` are read, however many are looked at.
        """
        condition, values = compile_filter(where, "chunk.metadata")
        best_first = orjson.dumps(sorted(scores, key=lambda each: (-scores[each], each))).decode()
        query = (
            f"SELECT {COLUMNS} FROM (SELECT chunk.n AS n, wanted.key AS place FROM json_each(?) AS wanted "  # noqa: S608  # ours
            f"CROSS JOIN chunk ON chunk.id = wanted.value WHERE {condition} ORDER BY wanted.key LIMIT ?) AS best "
            "CROSS JOIN chunk ON chunk.n = best.n CROSS JOIN body ON body.n = best.n ORDER BY best.place"
        )
        with self.connections.reading() as connection:
            rows = connection.execute(query, [best_first, *values, limit]) if connection else []
            return [_read_hit(row, scores[row[0]], "vector") for row in rows]

    def by_ids(self, ids: Sequence[str], where: Filter) -> dict[str, Record]:
        """The chunks among `ids` that exist and match."""
        with self.connections.reading() as connection:
            return {record.id: record for record in self._by_ids(connection, ids, where)} if connection else {}

    def matching(self, where: Filter, cap: int = -1) -> list[int]:
        """Row numbers of the chunks that match, in order of writing; the first `cap` of them unless it is negative."""
        condition, values = compile_filter(where, "chunk.metadata")
        query = f"SELECT n FROM chunk WHERE {condition} ORDER BY n LIMIT ?"  # noqa: S608  # ours; the rest is bound
        with self.connections.reading() as connection:
            return [row[0] for row in connection.execute(query, [*values, cap])] if connection else []

    def vectors(self, numbers: Sequence[int]) -> tuple[list[str], Matrix]:
        """Ids and vectors of the chunks with these row numbers."""
        query = (
            "SELECT chunk.id, body.vector FROM json_each(?) AS wanted "
            "JOIN chunk ON chunk.n = wanted.value JOIN body ON body.n = wanted.value"
        )
        with self.connections.reading() as connection:
            rows = connection.execute(query, [orjson.dumps(numbers).decode()]).fetchall() if connection else []
        matrix = np.frombuffer(b"".join(blob for _, blob in rows), np.float32)
        return [chunk_id for chunk_id, _ in rows], matrix.reshape(len(rows), self._identity.dimension)

    def records(self, file_key: str, generation: str | None) -> list[Record]:
        condition, values = _of_file(file_key, generation)
        with self.connections.reading() as connection:
            if connection is None:
                return []
            query = f"SELECT {COLUMNS} FROM {JOINED} WHERE {condition} ORDER BY chunk.id"  # noqa: S608  # ours
            return [read_record(row) for row in connection.execute(query, values)]

    def all_records(self, batch_size: int) -> Iterable[list[Record]]:
        """Every chunk, in batches: what an index is built again from."""
        last = -1
        while True:
            with self.connections.reading() as connection:
                rows = (
                    connection.execute(
                        f"SELECT {COLUMNS}, chunk.n FROM {JOINED} WHERE chunk.n > ? ORDER BY chunk.n LIMIT ?",  # noqa: S608  # ours
                        [last, batch_size],
                    ).fetchall()
                    if connection
                    else []
                )
            if not rows:
                return
            last = rows[-1][6]
            yield [read_record(row) for row in rows]

    def delete(self, file_key: str, generation: str | None) -> int:
        condition, values = _of_file(file_key, generation)
        with self.connections.reading() as connection:
            if connection is None:
                return 0
        with self.connections.writing() as connection:
            return _delete(connection, condition, values)

    def generations(self) -> dict[tuple[str, str], int]:
        with self.connections.reading() as connection:
            if connection is None:
                return {}
            rows = connection.execute("SELECT file_key, generation, count(*) FROM chunk GROUP BY 1, 2 ORDER BY 1, 2")
            return {(file_key, generation): count for file_key, generation, count in rows}

    def stats(self) -> StoreStats:
        with self.connections.reading() as connection:
            if connection is None:
                return StoreStats(0, 0)
            row = connection.execute("SELECT count(*), count(DISTINCT file_key) FROM chunk").fetchone()
            return StoreStats(chunk_count=row[0], file_count=row[1])

    def was_emptied(self) -> bool:
        """Whether there is a ledger and no chunk in it; False for one that was never written, or was lost."""
        with self.connections.reading() as connection:
            return connection is not None and connection.execute("SELECT 1 FROM chunk LIMIT 1").fetchone() is None

    def remove(self) -> None:
        self.connections.remove()
        self.words.remove()

    def close(self) -> None:
        self.connections.close()

    def _check(self, connection: sqlite3.Connection) -> bool:
        # What vectors mean is forgotten with the last of them: a mistake can be mended by deleting and beginning anew.
        query = "SELECT model_id, dimension, metric FROM identity WHERE EXISTS (SELECT 1 FROM chunk)"
        row = connection.execute(query).fetchone()
        if row is not None:
            require_same_identity(self._identity, *row)
        return row is not None

    def _by_ids(self, connection: sqlite3.Connection, ids: Sequence[str], where: Filter | None = None) -> list[Record]:
        return [read_record(row) for row in self._rows_of(connection, ids, where or Filter())]

    def _rows_of(self, connection: sqlite3.Connection, ids: Sequence[str], where: Filter) -> Iterable[Sequence[Any]]:
        condition, values = compile_filter(where, "chunk.metadata")
        return connection.execute(
            f"SELECT {COLUMNS} FROM json_each(?) AS wanted JOIN chunk ON chunk.id = wanted.value "  # noqa: S608  # ours
            f"JOIN body ON body.n = chunk.n WHERE {condition}",
            [orjson.dumps(list(ids)).decode(), *values],
        )


def _of_file(file_key: str, generation: str | None) -> tuple[str, list[object]]:
    if generation is None:
        return "chunk.file_key = ?", [file_key]
    return "chunk.file_key = ? AND chunk.generation = ?", [file_key, generation]


def read_record(row: Sequence[Any]) -> Record:
    chunk_id, file_key, generation, metadata, text, vector = row[:6]
    return Record(chunk_id, text, np.frombuffer(vector, np.float32), file_key, generation, orjson.loads(metadata))


def _read_hit(row: Sequence[Any], value: float, stage: str) -> Hit:
    """Without a Record in between: there are over a hundred for each query."""
    chunk_id, file_key, generation, metadata, text, blob = row[:6]
    vector = np.frombuffer(blob, np.float32)
    return Hit(chunk_id, text, value, file_key, generation, orjson.loads(metadata), {stage: value}, vector)


def _same(stored: Record | None, record: Record) -> bool:
    return (
        stored is not None
        and (stored.text, stored.file_key, stored.generation) == (record.text, record.file_key, record.generation)
        and orjson.dumps(dict(stored.metadata)) == _json(record.metadata)
        and np.array_equal(stored.vector, record.vector)
    )


def _insert(connection: sqlite3.Connection, record: Record) -> None:
    _delete(connection, "chunk.id = ?", [record.id])
    cursor = connection.execute(
        "INSERT INTO chunk (id, file_key, generation, metadata) VALUES (?, ?, ?, ?)",
        (record.id, record.file_key, record.generation, _json(record.metadata).decode()),
    )
    place = " ".join(str(record.metadata[key]) for key in INDEXED_METADATA if key in record.metadata)
    blob = np.ascontiguousarray(record.vector, dtype=np.float32).tobytes()
    row = (cursor.lastrowid, record.text, place, blob)
    connection.execute("INSERT INTO body (n, text, place, vector) VALUES (?, ?, ?, ?)", row)


def _delete(connection: sqlite3.Connection, condition: str, values: Sequence[object]) -> int:
    chosen = f"SELECT n FROM chunk WHERE {condition}"  # noqa: S608  # ours; the rest is bound
    connection.execute(f"DELETE FROM body WHERE n IN ({chosen})", values)  # noqa: S608  # ours; the rest is bound
    return connection.execute(f"DELETE FROM chunk WHERE {condition}", values).rowcount  # noqa: S608  # ours; bound


def _json(metadata: Any) -> bytes:
    scalars: dict[str, Scalar] = {key: _storable(value) for key, value in metadata.items() if value is not None}
    return orjson.dumps(scalars)


def _storable(value: Scalar) -> Scalar:
    """JSON here holds 64-bit integers; a larger one is kept as a float."""
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value
