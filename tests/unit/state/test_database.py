"""What the state says when it fails, and who waits for whom."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from rag.errors import StorageFullError, UpstreamError
from state.database import MAX_CONNECTIONS, POSTGRES_WRITE_LOCK, StateDatabase, _queue_writers


@pytest.fixture
def database(tmp_path: Path) -> StateDatabase:
    return StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT 1", {}, sqlite3.OperationalError("unable to open database file")),
        DatabaseError("SELECT 1", {}, sqlite3.DatabaseError("database disk image is malformed")),
        InterfaceError("SELECT 1", {}, Exception("connection to /var/run/postgresql failed")),
        PoolTimeoutError("QueuePool limit of size 16 reached"),
    ],
    ids=["operational", "damaged", "interface", "pool"],
)
def test_every_failure_of_the_state_is_an_upstream_error_that_names_no_path(
    error: Exception, database: StateDatabase
) -> None:
    with pytest.raises(UpstreamError, match="the state database does not answer") as caught, database.write():
        raise error
    assert "/" not in str(caught.value)


def test_a_full_disk_is_told_apart(database: StateDatabase) -> None:
    error = OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))
    with pytest.raises(StorageFullError), database.write():
        raise error


def test_there_is_a_connection_for_each_thread(database: StateDatabase) -> None:
    pool = database.engine.pool
    assert pool.size() + pool._max_overflow == MAX_CONNECTIONS  # type: ignore[attr-defined]  # of QueuePool


@pytest.mark.parametrize(("is_write", "expected"), [(True, 1), (False, 0)], ids=["write", "read"])
def test_writers_take_an_advisory_lock_on_postgresql(is_write: bool, expected: int) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.statements: list[str] = []

        def get_execution_options(self) -> dict[str, bool]:
            return {"paddock_write": is_write}

        def exec_driver_sql(self, statement: str) -> None:
            self.statements.append(statement)

    recorder = Recorder()
    _queue_writers(recorder)  # type: ignore[arg-type]  # what it uses of a connection
    assert recorder.statements == [f"SELECT pg_advisory_xact_lock({POSTGRES_WRITE_LOCK})"] * expected
    assert POSTGRES_WRITE_LOCK < 2**63
