"""SQLite connections for one file: one per thread, WAL, and none created by reading."""

import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rag.errors import ConflictError, StorageFullError, UpstreamError

BUSY_TIMEOUT_MS = 30_000
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE")


class _Connection(sqlite3.Connection):
    """A connection that can be weakly referenced, so that `close` reaches those of other threads."""


class Connections:
    """Connections to the file at `path`, or to one private database in memory when `path` is None.

    A file that another process removed or replaced is noticed by its inode and opened anew: rows written to an
    unlinked file would be lost.

    Args:
        schema: what makes a new file, at `version`.
        upgrades: by version, what makes the next one of it.
        is_durable: whether what was committed must outlive a power cut.
    """

    def __init__(
        self, path: Path | None, *, schema: str, version: int, upgrades: Mapping[int, str], is_durable: bool = True
    ) -> None:
        self.path = path
        self._is_durable = is_durable
        self._upgrades = upgrades
        self._schema = schema
        self._version = version
        self._local = threading.local()
        self._all: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._lock = threading.RLock()
        self._memory = None if path is not None else self._open(":memory:")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection, or None when nothing has been written yet."""
        with self._translated(), self._borrowed(create=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection inside one write transaction: committed on success, rolled back on any exception."""
        with self._translated(), self._borrowed(create=True) as connection:
            assert connection is not None
            with _transaction(connection):
                yield connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection | None]:
        """The same for what is there already: None when nothing has been written yet."""
        with self._translated(), self._borrowed(create=False) as connection:
            if connection is None:
                yield None
                return
            with _transaction(connection):
                yield connection

    def remove(self) -> None:
        """Delete the database; a missing one is not an error."""
        self.close()
        if self.path is not None:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        with self._lock:
            for connection in list(self._all):
                connection.close()
            self._local = threading.local()
            self._memory = None if self.path is not None else self._open(":memory:")

    @contextmanager
    def _borrowed(self, *, create: bool) -> Iterator[sqlite3.Connection | None]:
        if self.path is None:
            with self._lock:  # one database in memory belongs to one connection
                yield self._memory
        else:
            yield self._of_this_thread(self.path, create=create)

    def _of_this_thread(self, path: Path, *, create: bool) -> sqlite3.Connection | None:
        inode = _inode(path)
        held: tuple[_Connection, int] | None = getattr(self._local, "held", None)
        if held is not None and held[1] == inode:
            return held[0]
        if held is not None:
            held[0].close()
            self._local.held = None
        if inode is None and not create:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._open(str(path))
        self._local.held = (connection, _inode(path))
        return connection

    def _open(self, name: str) -> _Connection:
        # Autocommit: transactions are begun by `writing`, so that readers never hold one open.
        connection = sqlite3.connect(
            name, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        self._all.add(connection)
        try:
            if name != ":memory:":
                use_write_ahead_log(connection)
                # A chunk that a caller was told is stored must survive a power cut: the file's state relies on it.
                connection.execute(f"PRAGMA synchronous = {'FULL' if self._is_durable else 'OFF'}")
            self._prepare(connection, name)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, name: str) -> None:
        found = _user_version(connection)
        if found > self._version:
            raise ConflictError(
                f"the chunk ledger '{Path(name).name}' has format {found}; this version of Paddock reads up to "
                f"{self._version}. Upgrade Paddock, or process the files into a new database"
            )
        if found == self._version:
            return
        connection.execute("BEGIN IMMEDIATE")
        found = _user_version(connection)  # another process may have been first
        while found < self._version:
            for statement in (self._upgrades[found] if found else self._schema).split(";\n"):
                connection.execute(statement)
            found = found + 1 if found else self._version
            connection.execute(f"PRAGMA user_version = {found}")
        connection.commit()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            name = self.path.name if self.path else "in memory"
            if getattr(error, "sqlite_errorname", "") in _FULL:
                raise StorageFullError(f"the disk is full: the chunk ledger '{name}' could not be written") from error
            raise UpstreamError(
                f"the chunk ledger '{name}' failed: {error}. If it is damaged, delete it and process the files again"
            ) from error


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Readers and a writer then keep out of each other's way.

    SQLite itself waits for nobody who makes the same switch at this moment, as processes that start together do.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _user_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
