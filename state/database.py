"""Opens the state: one engine per process, one session per unit of work."""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import URL, Connection, Engine, Select, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from rag.errors import ConfigError, InvalidInputError, StorageFullError, UpstreamError
from rag.stores.connections import use_write_ahead_log

log = structlog.get_logger(__name__)

BUSY_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10
KEPT_CONNECTIONS = 16
MAX_CONNECTIONS = 96
"""Of one process: one for each thread that answers requests (64 for routes, 32 for queries)."""
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""As JSON: an even number of backslashes before it stand for themselves."""
POSTGRES_WRITE_LOCK = 0x7061_6464_6F63_6B
"""The key of the advisory lock that writers queue for; "paddock" in ASCII."""


class StateDatabase:
    """Hands out sessions. `write()` takes the write lock at once, so that two writers queue instead of failing late.

    SQLite has such a lock (BEGIN IMMEDIATE). On PostgreSQL an advisory lock that lasts as long as the transaction
    stands in for it: what a writer has read stays true until it commits, on both.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.engine = _open(url)
        except (ModuleNotFoundError, NoSuchModuleError, ArgumentError) as error:
            raise ConfigError(
                f"LF_DATABASE_URL cannot be used: {error}; PostgreSQL needs pip install 'paddock[postgres]' and "
                "postgresql+psycopg://user:password@host/name"
            ) from error
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        with _translated(self.url), self._sessions() as session:
            yield session

    def rows(self, query: Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
        """What a query answers, without a session: for the few that every search waits for."""
        with _translated(self.url), self.engine.connect() as connection:
            return connection.execute(query, values).all()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back by an exception."""
        with _translated(self.url), self._sessions() as session:
            session.connection(execution_options={"paddock_write": True})
            with session.begin() if not session.in_transaction() else _committing(session):
                yield session

    @contextmanager
    def locked(self) -> Iterator[Connection]:
        """As `write`, without a session: one transaction that has the write lock."""
        with _translated(self.url), self.engine.connect() as plain:
            connection = plain.execution_options(paddock_write=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _committing(session: Session) -> Iterator[None]:
    try:
        yield
    except BaseException:
        session.rollback()
        raise
    session.commit()


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # the database does answer, and some callers act on it
    except DataError as error:
        # So here: PostgreSQL has no room for a text that is too long, say. Trying again would not help.
        reason = str(error.orig).partition("\n")[0]
        raise InvalidInputError(f"a value cannot be stored: {reason}") from error
    except (DBAPIError, PoolTimeoutError) as error:
        if "disk is full" in str(error) or "disk full" in str(error):
            raise StorageFullError("the disk that holds the state is full; free space and try again") from error
        safe_url = make_url(url).render_as_string(hide_password=True)
        log.warning("state.failed", url=safe_url, error=str(error))
        raise UpstreamError(f"the state database does not answer ({_cause(error)}); try again later") from error


def _cause(error: DBAPIError | PoolTimeoutError) -> str:
    """In words that name no place: SQLite's messages hold no path, PostgreSQL's hold an address."""
    if isinstance(error, PoolTimeoutError):
        return "all connections are in use"
    return str(error.orig) if isinstance(error.orig, sqlite3.Error) else type(error.orig).__name__


def _open(url: str) -> Engine:
    parsed = make_url(url)
    pool = {"pool_size": KEPT_CONNECTIONS, "max_overflow": MAX_CONNECTIONS - KEPT_CONNECTIONS}
    if parsed.get_backend_name() != "sqlite":
        return _open_server(parsed, pool)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    pool = pool if parsed.database and parsed.database != ":memory:" else {}
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}, **pool)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event below decides how a transaction starts
        use_write_ahead_log(connection)
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _is_write(connection) else "BEGIN")

    return engine


def _open_server(url: URL, pool: Mapping[str, int]) -> Engine:
    """Each statement is to see what was committed before it, whatever the server's default: writers wait for their turn
    before they read."""
    options: dict[str, Any] = {"pool_pre_ping": True, "isolation_level": "READ COMMITTED", **pool}
    options["json_serializer"] = _json_without_nul
    is_psycopg = url.get_driver_name() == "psycopg"
    if is_psycopg and "connect_timeout" not in url.query:
        options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_engine(url, **options)
    event.listen(engine, "begin", _queue_writers)
    if is_psycopg:
        event.listen(engine, "connect", _replace_nul)
    return engine


def _json_without_nul(value: Any) -> str:
    """PostgreSQL keeps JSON with an escaped NUL, and fails later when a query looks into it."""
    text = json.dumps(value)
    return _ESCAPED_NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def _replace_nul(connection: Any, _record: Any) -> None:
    """PostgreSQL keeps no NUL in a text, and refuses to look for one: what is written and what is looked for has U+FFFD
    in its place, so that a hostile name is one that is not found and no failure of the database."""
    from psycopg.types.string import StrDumperUnknown

    class WithoutNul(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\x00", "\ufffd"))

    connection.adapters.register_dumper(str, WithoutNul)


def _queue_writers(connection: Connection) -> None:
    """What BEGIN IMMEDIATE does, on PostgreSQL."""
    if _is_write(connection):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_WRITE_LOCK})")


def _is_write(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("paddock_write", False))
