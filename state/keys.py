"""Keys that clients show. What is given out is not kept, only its SHA-256: a copy of the state opens no door."""

import hashlib
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select

from config.settings import Settings
from state.cloud.tables import ApiKeyRow
from state.database import StateDatabase
from state.migrate import migrate

PREFIX = "lf-"
SECRET_BYTES = 32
HINT_CHARS = 4


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key without its secret. `namespace` None: it is good for everything; `project` None: for all of a namespace."""

    id: str
    name: str
    hint: str
    namespace: str | None
    project: str | None
    created_at: float
    revoked_at: float | None
    digest: str


def digest_of(key: bytes) -> str:
    """A key is 32 random bytes: nobody finds it by trying, so a fast digest keeps it as well as a slow one."""
    return hashlib.sha256(key).hexdigest()


class ApiKeys:
    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: str, namespace: str | None = None, project: str | None = None) -> tuple[KeyRecord, str]:
        """A new key, and its text, which cannot be had again."""
        text = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        row = ApiKeyRow(
            id=str(uuid.uuid4()),
            name=name,
            digest=digest_of(text.encode()),
            hint=text[-HINT_CHARS:],
            namespace=namespace,
            project=project,
            created_at=self._clock(),
        )
        with self._database.write() as session:
            session.add(row)
        return _record(row), text

    def all(self) -> list[KeyRecord]:
        """In the order of creation, revoked ones too."""
        query = select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
        with self._database.read() as session:
            return [_record(row) for row in session.scalars(query)]

    def in_use(self) -> list[KeyRecord]:
        with self._database.read() as session:
            return [_record(row) for row in session.scalars(select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None)))]

    def revoke(self, key_id: str) -> None:
        """For good; again changes nothing."""
        with self._database.write() as session:
            row = session.get(ApiKeyRow, key_id)
            if row is not None and row.revoked_at is None:
                row.revoked_at = self._clock()


@contextmanager
def open_keys(settings: Settings) -> Iterator[ApiKeys]:
    """The keys of a data directory, whether a server runs on it or not.

    Raises:
        RagError: the state cannot be opened, or is a newer version's.
    """
    database = StateDatabase(settings.state_url)
    try:
        migrate(database)
        yield ApiKeys(database)
    finally:
        database.close()


def _record(row: ApiKeyRow) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        name=row.name,
        hint=row.hint,
        namespace=row.namespace,
        project=row.project,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        digest=row.digest,
    )
