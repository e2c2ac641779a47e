"""The word index follows the ledger: across crashes, processes, lost folders and former formats."""

import errno
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import StorageFullError, UpstreamError
from rag.filters import Filter, parse_filter
from rag.stores import journal
from rag.stores.base import StoreIdentity
from rag.stores.ledger import SCHEMA, ChunkLedger
from rag.stores.tantivy_index import TantivyIndex
from rag.types import Record

IDENTITY = StoreIdentity("org", "bot", "papers", "model", 4)


def record(number: int, text: str, **metadata) -> Record:
    return Record(f"id{number}", text, np.full(4, number + 1, np.float32), f"set/{number}", "g1", metadata)


def found(ledger: ChunkLedger, query: str, limit: int = 10, **where) -> list[str]:
    return [hit.id for hit in ledger.search_text(query, limit=limit, where=parse_filter(where))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lexical" / "x.sqlite3"


def test_what_one_process_writes_another_finds(path: Path) -> None:
    writer, reader = ChunkLedger(path, IDENTITY), ChunkLedger(path, IDENTITY)
    assert found(reader, "wing") == []
    writer.write([record(1, "a wing")])
    assert found(reader, "wing") == ["id1"]
    writer.write([record(2, "two wings of a wing")])
    writer.delete("set/1", None)
    assert found(reader, "wing") == ["id2"]
    assert found(writer, "wing") == ["id2"]


def test_a_number_that_is_used_again_means_the_new_chunk(path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, "a wing")])
    assert found(ledger, "wing") == ["id1"]
    ledger.delete("set/1", None)
    ledger.write([record(2, "a rudder")])  # gets the number that the other one had
    assert found(ledger, "wing") == []
    assert found(ledger, "rudder") == ["id2"]


DAMAGE = ["folder", "files", "content", "meta", "positions"]


def damage_index(path: Path, damage: str) -> None:
    (index,) = [each for each in path.with_suffix(".words").iterdir() if each.is_dir()]
    if damage == "folder":
        shutil.rmtree(path.with_suffix(".words"))
    elif damage == "files":
        shutil.rmtree(index)
    elif damage == "content":
        (index / "meta.json").write_text("no JSON")
    elif damage == "meta":
        (index / "meta.json").unlink()
    else:
        for each in index.glob("*.pos"):
            each.unlink()


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_index_that_is_lost_or_damaged_is_made_again(path: Path, damage: str) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(number, f"wing {number}") for number in range(5)])
    assert len(found(ledger, "wing")) == 5
    ledger.close()
    damage_index(path, damage)
    again = ChunkLedger(path, IDENTITY)
    assert len(found(again, "wing")) == 5
    again.write([record(9, "wing")])
    assert len(found(again, "wing")) == 6


@pytest.mark.parametrize("damage", ["folder", "files", "meta"])
def test_an_index_that_goes_away_under_a_living_process_is_made_again(path: Path, damage: str) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, "wing")])
    assert found(ledger, "wing") == ["id1"]
    damage_index(path, damage)
    assert found(ledger, "wing") == ["id1"]
    ledger.write([record(2, "wing")])
    assert len(found(ledger, "wing")) == 2


def test_a_file_deleted_since_the_backup_is_found_again(path: Path, tmp_path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, "wing"), record(2, "rudder")])
    assert found(ledger, "wing") == ["id1"]
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    shutil.copy(path, tmp_path / "backup")
    ledger.delete("set/1", None)
    assert found(ledger, "wing") == []
    ledger.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup", path)
    assert found(ChunkLedger(path, IDENTITY), "wing") == ["id1"]


def test_a_commit_that_was_cut_off_is_made_up_for(path: Path) -> None:
    """Tantivy gives the file of deleted rows the same name again, and refuses to write over it."""
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(number, f"wing {number}") for number in range(5)])
    assert len(found(ledger, "wing")) == 5
    (index,) = [each for each in path.with_suffix(".words").iterdir() if each.is_dir()]
    before = {each.name: each.read_bytes() for each in index.iterdir()}
    ledger.delete("set/1", None)
    lines = sqlite3.connect(path)
    kept = lines.execute("SELECT n FROM change").fetchall()
    assert len(found(ledger, "wing")) == 4
    for name in ("meta.json", ".managed.json", "paddock-token"):
        (index / name).write_bytes(before[name])  # as it was before the commit, but for the file of deleted rows
    lines.executemany("INSERT INTO change (n) VALUES (?)", kept)
    lines.execute("UPDATE word_index SET token = ?", [before["paddock-token"].decode()])
    lines.commit()
    lines.close()
    again = ChunkLedger(path, IDENTITY)
    assert len(found(again, "wing")) == 4


def test_a_search_does_not_wait_for_those_who_go_on_writing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(0, "wing")])
    assert found(ledger, "wing") == ["id0"]
    numbers = iter(range(1, 100))
    read = journal.rows_of

    def rows_while_another_writes(*arguments):
        rows = read(*arguments)
        ChunkLedger(path, IDENTITY).write([record(next(numbers), "wing")])
        return rows

    ledger.write([record(100, "wing")])
    monkeypatch.setattr(journal, "rows_of", rows_while_another_writes)
    assert len(found(ledger, "wing")) == 2
    assert next(numbers) == 2


def test_without_room_for_the_index_what_was_committed_is_searched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, "wing")])
    assert found(ledger, "wing") == ["id1"]

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TantivyIndex, "write", full)
    ledger.write([record(number, "wing") for number in range(2, 3000)])
    assert found(ledger, "wing") == ["id1"]
    ledger.words.remove()
    with pytest.raises(StorageFullError, match="disk is full"):
        found(ledger, "wing")


def test_a_ledger_that_is_dropped_meanwhile_stays_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, "wing")])
    assert found(ledger, "wing") == ["id1"]
    ledger.write([record(2, "wing")])
    read = journal.rows_of

    def rows_before_the_drop(*arguments):
        rows = read(*arguments)
        ChunkLedger(path, IDENTITY).remove()
        return rows

    monkeypatch.setattr(journal, "rows_of", rows_before_the_drop)
    assert found(ledger, "wing") == []
    assert not path.exists()


def test_a_ledger_from_a_backup_is_followed_back(path: Path, tmp_path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, "wing")])
    assert found(ledger, "wing") == ["id1"]
    ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    shutil.copy(path, tmp_path / "backup")
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(2, "wing")])
    assert len(found(ledger, "wing")) == 2
    ledger.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup", path)
    restored = ChunkLedger(path, IDENTITY)
    assert found(restored, "wing") == ["id1"]
    restored.write([record(3, "rudder")])
    assert (found(restored, "wing"), found(restored, "rudder")) == (["id1"], ["id3"])


def test_lines_that_were_indexed_but_not_crossed_out_change_nothing(path: Path) -> None:
    """A process that dies between the commit of the index and that of the ledger."""
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, "wing"), record(2, "wing")])
    assert len(found(ledger, "wing")) == 2
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO change (n) SELECT n FROM body")
    connection.close()
    assert len(found(ledger, "wing")) == 2
    assert journal.pending_count(ledger.connections) == 0


def test_the_format_with_fts5_is_read(path: Path) -> None:
    path.parent.mkdir()
    former = SCHEMA + "CREATE VIRTUAL TABLE words USING fts5 (text, place, content='body', content_rowid='n');\n"
    connection = sqlite3.connect(path)
    connection.executescript(former)
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO identity VALUES ('model', 4, 'cosine')")
    connection.execute("INSERT INTO chunk VALUES (1, 'id1', 'set/1', 'g1', '{}')")
    connection.execute("INSERT INTO body VALUES (1, 'a wing', '', ?)", [np.ones(4, np.float32).tobytes()])
    connection.commit()
    connection.close()
    assert found(ChunkLedger(path, IDENTITY), "wing") == ["id1"]


def test_a_filter_is_applied_before_the_limit(path: Path) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(number, "wing", part=number % 50) for number in range(500)])
    assert len(found(ledger, "wing", limit=10, part=7)) == 10
    assert found(ledger, "wing", limit=10, part=77) == []


def test_a_filter_that_many_pass_is_applied_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.stores.ledger.MOST_NUMBERS", 20)
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(number, "wing " * (1 + number % 2), odd=bool(number % 2)) for number in range(200)])
    assert len(found(ledger, "wing", limit=30, odd=False)) == 30


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Die Flügel trugen", "flugel"),
        ("the wings were running", "wing run"),
        ("part ZX-4471-Q is here", "ZX-4471-Q"),
        ("see 21 CFR 208.24(d).", "208.24(d)"),
        ("this is boundary_layer_t", "boundary_layer_t"),
        ("我们的员工手册规定了育儿假。", "育儿假有几天？"),
        ("東京の社員は休暇を取れます", "社員の休暇"),
        ("직원 휴가는 열흘이다", "휴가"),
    ],
)
def test_words_are_found_in_their_forms_and_scripts(text: str, query: str) -> None:
    ledger = ChunkLedger(None, IDENTITY)
    ledger.write([record(1, text), record(2, "something else 別 의")])
    assert found(ledger, query)[0] == "id1"


def test_the_file_name_counts_less_than_the_text() -> None:
    ledger = ChunkLedger(None, IDENTITY)
    ledger.write([record(1, "of tails", filename="wing.pdf"), record(2, "of a wing", filename="tail.pdf")])
    assert found(ledger, "wing") == ["id2", "id1"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60) | st.text(alphabet='ab1. \\"^~*()[]{}:-+!&|', max_size=20))
def test_no_text_and_no_query_fails(text: str, query: str) -> None:
    ledger = ChunkLedger(None, IDENTITY)
    text = text.encode("utf-8", "replace").decode()
    ledger.write([record(1, text)])
    assert set(found(ledger, query)) <= {"id1"}


def test_equal_chunks_come_in_the_order_of_writing() -> None:
    ledger = ChunkLedger(None, IDENTITY)
    for number in range(5):
        ledger.write([record(number, "wing")])
        ledger.search_text("wing", limit=1, where=Filter())  # each becomes a segment of its own
    assert found(ledger, "wing") == [f"id{number}" for number in range(5)]


def test_an_index_that_cannot_be_read_even_when_new_is_an_error_with_a_status(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ChunkLedger(path, IDENTITY)
    ledger.write([record(1, "wing")])

    def broken(*_: object) -> None:
        raise ValueError("no such file")

    monkeypatch.setattr(TantivyIndex, "search", broken)
    with pytest.raises(UpstreamError, match="word index of the database failed"):
        found(ledger, "wing")
