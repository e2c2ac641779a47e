"""The ledger's journal: which chunks came or went since the word index was last brought up to date."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from rag.stores.connections import Connections

BATCH_ROWS = 4_000

Row = tuple[int, str, str]
"""Number of a chunk, its text, and where it stands (file name, headings)."""

# A chunk and its body come and go together, in one transaction with these lines.
SCHEMA = """CREATE TABLE word_index (name TEXT NOT NULL, token TEXT NOT NULL);
CREATE TABLE change (seq INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL);
CREATE TRIGGER body_added AFTER INSERT ON body BEGIN INSERT INTO change (n) VALUES (new.n); END;
CREATE TRIGGER body_removed AFTER DELETE ON body BEGIN INSERT INTO change (n) VALUES (old.n); END;
"""


class Position(NamedTuple):
    """Which index holds all that has left the journal, and in which state: each commit has a token of its own."""

    name: str
    token: str


def position(connections: Connections) -> Position | None:
    """None before the first index, and without a ledger."""
    with connections.reading() as connection:
        row = connection.execute("SELECT name, token FROM word_index").fetchone() if connection else None
    return None if row is None else Position(*row)


def pending_count(connections: Connections) -> int:
    """Lines that are not in the index yet; lines of a chunk that came and went count twice."""
    with connections.reading() as connection:
        return int(connection.execute("SELECT count(*) FROM change").fetchone()[0]) if connection else 0


def has_chunks(connections: Connections) -> bool:
    with connections.reading() as connection:
        return connection is not None and connection.execute("SELECT 1 FROM body LIMIT 1").fetchone() is not None


def end(connections: Connections) -> int:
    """The last line ever written, those that have left the journal included."""
    with connections.reading() as connection:
        row = connection and connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'change'").fetchone()
        return int(row[0]) if row else 0


def next_lines(connections: Connections, upto: int) -> list[tuple[int, int]]:
    """The oldest (line, number of a chunk) pairs up to this line, in order."""
    with connections.reading() as connection:
        query = "SELECT seq, n FROM change WHERE seq <= ? ORDER BY seq LIMIT ?"
        return connection.execute(query, [upto, BATCH_ROWS]).fetchall() if connection else []


def rows_of(connections: Connections, numbers: Sequence[int]) -> list[Row]:
    """Those of the chunks that exist."""
    query = "SELECT n, text, place FROM json_each(?) AS wanted JOIN body ON body.n = wanted.value"
    with connections.reading() as connection:
        return connection.execute(query, [orjson.dumps(numbers).decode()]).fetchall() if connection else []


def all_rows(connections: Connections) -> Iterator[list[Row]]:
    last = -1
    query = "SELECT n, text, place FROM body WHERE n > ? ORDER BY n LIMIT ?"
    while True:
        with connections.reading() as connection:
            rows: list[Row] = connection.execute(query, [last, BATCH_ROWS]).fetchall() if connection else []
        if not rows:
            return
        yield rows
        last = rows[-1][0]


def settle(connections: Connections, upto: int, before: Position | None, after: Position) -> None:
    """Let the lines up to this one leave the journal: they are in the index `after`.

    Nothing happens when the ledger does not stand at `before` any more: it was dropped, or replaced from a backup.
    """
    with connections.changing() as connection:
        if connection is None or position(connections) != before:
            return
        connection.execute("DELETE FROM word_index")
        connection.execute("INSERT INTO word_index VALUES (?, ?)", after)
        connection.execute("DELETE FROM change WHERE seq <= ?", [upto])
