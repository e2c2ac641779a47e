"""The ledger's file: formats, damage, a full disk, other processes."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from rag.errors import ConflictError, UpstreamError
from rag.filters import Filter, parse_filter
from rag.stores.base import StoreIdentity
from rag.stores.ledger import ChunkLedger
from rag.types import Record

IDENTITY = StoreIdentity("org", "bot", "papers", "model", 4)


def record(number: int, **metadata) -> Record:
    return Record(f"id{number}", f"text {number}", np.full(4, number + 1, np.float32), "set/a", "g1", metadata)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lexical" / "x.sqlite3"


def test_a_newer_format_is_refused_with_a_sentence(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConflictError, match=r"format 99.*Upgrade Paddock"):
        ChunkLedger(path, IDENTITY).stats()


def test_a_damaged_file_is_an_error_that_names_it(path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(number) for number in range(100)])
    ledger.close()
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(UpstreamError, match=r"chunk ledger 'x\.sqlite3.*process the files again"):
        ChunkLedger(path, IDENTITY).stats()


def test_a_failed_write_leaves_nothing(path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1)])
    broken = Record("id3", "text", np.ones(4, np.float32), "set/a", "g1", {"bad": object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        ledger.write([record(2), broken])
    assert ledger.stats().chunk_count == 1
    ledger.write([record(2)])
    assert len(ledger.search_text("text", limit=5, where=Filter())) == 2


def test_a_file_removed_by_another_process_is_noticed(path: Path) -> None:
    first, second = ChunkLedger(path, IDENTITY), ChunkLedger(path, IDENTITY)
    first.write([record(1)])
    assert second.stats().chunk_count == 1
    second.remove()
    assert not path.exists()
    assert first.stats().chunk_count == 0
    first.write([record(2)])
    assert [each.id for each in second.records("set/a", None)] == ["id2"]
    first.close()
    second.close()


def test_words_and_chunks_stay_in_step(path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(number, filename=f"f{number}.txt") for number in range(50)])
    ledger.write([record(number, filename="other.txt") for number in range(10, 20)])
    ledger.delete("set/a", "none")
    ledger.write([Record("id5", "new \x00 wörds", np.ones(4, np.float32), "set/b", "g2")])
    ledger.delete("set/b", None)
    assert len(ledger.search_text("text", limit=100, where=Filter())) == ledger.stats().chunk_count == 49
    assert ledger.search_text("wörds", limit=100, where=Filter()) == []
    ledger.close()


def test_a_filter_on_a_file_uses_an_index(path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, filename="a.txt", file_hash="ff")])
    from rag.stores.sql_filter import compile_filter

    with sqlite3.connect(path) as connection:
        for key in ("filename", "file_hash"):
            condition, values = compile_filter(parse_filter({key: "a.txt"}), "chunk.metadata")
            plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT n FROM chunk WHERE {condition}", values).fetchall()
            assert f"chunk_{key}" in str(plan)
    connection.close()


def test_the_nearest_are_read_best_first_and_no_more_than_wanted(path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(number, file_hash="even" if number % 2 == 0 else "odd") for number in range(10)])
    ids = [each.id for batch in ledger.all_records(100) for each in batch]
    scores = {"unknown": 2.0, **{chunk_id: -abs(place - 6.2) for place, chunk_id in enumerate(ids)}}
    found = ledger.nearest(scores, Filter(), 4)
    assert [each.id for each in found] == [ids[6], ids[7], ids[5], ids[8]]
    assert [each.score for each in found] == [scores[each.id] for each in found]
    even = ledger.nearest(scores, parse_filter({"file_hash": "even"}), 3)
    assert [each.id for each in even] == [ids[6], ids[8], ids[4]]
    assert [len(ledger.nearest(scores, Filter(), limit)) for limit in (0, 9, 100)] == [0, 9, 10]
    ledger.close()
