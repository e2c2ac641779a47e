"""Looking after a ledger: what is in it, whether it is sound, and giving room back."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import orjson

from rag.filters import Filter
from rag.stores.base import Contents, Pair, VectorFacts
from rag.stores.ledger import COLUMNS, JOINED, ChunkLedger, read_record
from rag.stores.sql_filter import compile_filter
from rag.types import Record

SCANNED_AT_ONCE = 2_000
_WANTED = "(SELECT json_extract(value, '$[0]') AS f, json_extract(value, '$[1]') AS g FROM json_each(?)) AS wanted"


class LedgerUpkeep:
    """The half that all stores share; by itself that of a store whose only vectors are those of the ledger."""

    def __init__(self, ledger: ChunkLedger) -> None:
        self._ledger = ledger
        self._connections = ledger.connections

    def contents(self, pairs: Sequence[Pair]) -> dict[Pair, Contents]:
        query = (
            "SELECT found.f, found.g, found.chunks, chunk.metadata FROM ("  # noqa: S608  # ours; the rest is bound
            f"SELECT wanted.f, wanted.g, count(*) AS chunks, min(chunk.n) AS first FROM {_WANTED} "
            "JOIN chunk ON chunk.file_key = wanted.f AND chunk.generation = wanted.g GROUP BY 1, 2"
            ") AS found JOIN chunk ON chunk.n = found.first"
        )
        with self._connections.reading() as connection:
            rows = connection.execute(query, [orjson.dumps(list(pairs)).decode()]) if connection else []
            return {(f, g): Contents(chunks, orjson.loads(metadata)) for f, g, chunks, metadata in rows}

    def matching(self, where: Filter) -> set[Pair]:
        condition, values = compile_filter(where, "chunk.metadata")
        query = f"SELECT DISTINCT file_key, generation FROM chunk WHERE {condition}"  # noqa: S608  # ours
        with self._connections.reading() as connection:
            return {(row[0], row[1]) for row in connection.execute(query, values)} if connection else set()

    def batches(self, pair: Pair, size: int) -> Iterator[list[Record]]:
        last = ""
        while batch := self._records_after(pair, last, size):
            yield batch
            last = batch[-1].id

    def made_with(self) -> VectorFacts | None:
        query = "SELECT model_id, dimension, metric FROM identity WHERE EXISTS (SELECT 1 FROM chunk)"
        with self._connections.reading() as connection:
            row = connection.execute(query).fetchone() if connection else None
            return None if row is None else VectorFacts(*row)

    def token(self) -> str | None:
        path = self._connections.path
        return f"ledger {id(self._ledger) if path is None else path}"

    def vector_count(self) -> int:
        return self._ledger.stats().chunk_count

    def indexed_count(self) -> int:
        """How many chunks can be found by their words, once what waits in the journal is indexed."""
        self._ledger.words.follow(self._connections)
        return self._ledger.words.count(self._connections)

    def unsound(self) -> dict[Pair, int]:
        facts, found, last = self.made_with(), Counter[Pair](), -1
        query = (
            "SELECT chunk.n, file_key, generation, vector FROM chunk LEFT JOIN body ON body.n = chunk.n "
            "WHERE chunk.n > ? ORDER BY chunk.n LIMIT ?"
        )
        while facts is not None:
            with self._connections.reading() as connection:
                rows = connection.execute(query, [last, SCANNED_AT_ONCE]).fetchall() if connection else []
            if not rows:
                break
            last = rows[-1][0]
            found.update((f, g) for _, f, g, vector in rows if not _is_sound(vector, facts.dimension))
        return dict(found)

    def strays(self) -> dict[Pair, int]:
        return {}

    def size_bytes(self) -> int:
        if self._connections.path is None:
            with self._connections.reading() as connection:
                return 0 if connection is None else _pragma(connection, "page_count") * _pragma(connection, "page_size")
        path = self._connections.path
        files = [*path.parent.glob(f"{path.name}*"), *path.with_suffix(".words").rglob("*")]
        return sum(each.stat().st_size for each in files if each.is_file())

    def compact(self) -> None:
        with self._connections.reading() as connection:
            if connection is None:
                return
        if self.indexed_count() != self._ledger.stats().chunk_count:
            self._rebuild_words()
        with self._connections.reading() as connection:
            if connection is None:  # dropped since
                return
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def rebuild(self, report: Callable[[int], None]) -> int:
        count = self._ledger.stats().chunk_count
        if count:
            self._rebuild_words()
            report(count)
        return count

    def _rebuild_words(self) -> None:
        """Index again what is there, and drop texts whose chunk is gone: a damaged disk may have left them."""
        with self._connections.writing() as connection:
            connection.execute("DELETE FROM body WHERE n NOT IN (SELECT n FROM chunk)")
        self._ledger.words.remake(self._connections)

    def _records_after(self, pair: Pair, last: str, size: int) -> list[Record]:
        query = (
            f"SELECT {COLUMNS} FROM {JOINED} WHERE chunk.file_key = ? AND chunk.generation = ? AND chunk.id > ? "  # noqa: S608
            "ORDER BY chunk.id LIMIT ?"
        )
        with self._connections.reading() as connection:
            rows = connection.execute(query, [*pair, last, size]) if connection else []
            return [read_record(row) for row in rows]


def _is_sound(vector: bytes | None, dimension: int) -> bool:
    if vector is None or len(vector) != 4 * dimension:
        return False
    values = np.frombuffer(vector, np.float32)
    return bool(np.isfinite(values).all() and values.any())


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
