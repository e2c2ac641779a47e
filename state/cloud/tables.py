"""The SQL tables of the LlamaCloud side. Times are seconds since the epoch (UTC) as floats."""

import json
from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from state.tables import Base, Key


def is_same(before: Any, after: Any) -> bool:
    """As JSON: in Python, 1 and true are equal."""
    return json.dumps(before) == json.dumps(after)


class ExactJSON(JSON):
    """Has true written in the place of 1: SQLAlchemy writes nothing that it takes to be equal."""

    def compare_values(self, x: Any, y: Any) -> bool:
        return is_same(x, y)


class CloudObjectRow(Base):
    """A thing with an id that clients make and read: a file, a directory, an index, a saved configuration …

    What is searched for stands in columns, the rest in `body`.
    """

    __tablename__ = "cloud_object"
    __table_args__ = (
        UniqueConstraint("kind", "unique_key"),
        Index("ix_cloud_object_project", "kind", "project_id", "created_at", "id"),
        Index("ix_cloud_object_parent", "kind", "parent_id", "created_at", "id"),
        Index("ix_cloud_object_ref", "kind", "ref"),
    )

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(100))
    parent_id: Mapped[str | None] = mapped_column(String(100))
    """The id of what it belongs to: the directory of a directory file, the index of an indexed file."""
    name: Mapped[str | None] = mapped_column(Text)
    ref: Mapped[str | None] = mapped_column(String(200))
    """What it points at, to be found by: mostly the SHA-256 of a file."""
    unique_key: Mapped[str | None] = mapped_column(String(500))
    """At most one object of a kind has it; None for any number of them."""
    created_at: Mapped[float] = mapped_column(Float)
    updated_at: Mapped[float] = mapped_column(Float)
    deleted_at: Mapped[float | None] = mapped_column(Float)
    body: Mapped[dict[str, Any]] = mapped_column(ExactJSON)


class CloudJobRow(Base):
    """A piece of work, or one that gathers others (`parent_id` of those names it; it is never claimed itself)."""

    __tablename__ = "cloud_job"
    __table_args__ = (
        Index("ix_cloud_job_project", "kind", "project_id", "created_at", "id"),
        Index("ix_cloud_job_parent", "parent_id", "position"),
        Index("ix_cloud_job_due", "state", "stage", "priority", "created_at", "position"),
        Index("ix_cloud_job_open", "parent_id", "state"),
        Index("ix_cloud_job_lease", "state", "lease_until"),
        Index("ix_cloud_job_same", "kind", "item_key", "params_hash"),
    )

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    project_id: Mapped[str] = mapped_column(String(100))
    parent_id: Mapped[str | None] = mapped_column(String(100))
    position: Mapped[int] = mapped_column(Integer, default=0)
    name: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    """waiting, running; completed, partial, failed, skipped, cancelled: these five are final."""
    stage: Mapped[str] = mapped_column(String(16), default="")
    """Whose worker has the next step: `parse`, `embed` or `ask`; empty for one that gathers others."""
    priority: Mapped[int] = mapped_column(Integer, default=0)
    """Higher ones are claimed first."""
    item_key: Mapped[str | None] = mapped_column(String(200))
    params_hash: Mapped[str | None] = mapped_column(String(64))
    """With `item_key`: what would give the same result."""
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What one step leaves for the next."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    crashes: Mapped[int] = mapped_column(Integer, default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[float | None] = mapped_column(Float)
    not_before: Mapped[float] = mapped_column(Float, default=0.0)
    created_at: Mapped[float] = mapped_column(Float)
    updated_at: Mapped[float] = mapped_column(Float)
    started_at: Mapped[float | None] = mapped_column(Float)
    finished_at: Mapped[float | None] = mapped_column(Float)
    cancelled_at: Mapped[float | None] = mapped_column(Float)
    """When somebody asked for its end; one that runs finds out by itself."""


class CloudEventRow(Base):
    """One event of a chat session, in the order of `id`."""

    __tablename__ = "cloud_event"
    __table_args__ = (Index("ix_cloud_event_session", "session_id", "id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    session_id: Mapped[str] = mapped_column(String(100))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Float)


class AgentDataRow(Base):
    """One JSON document of an agent, as it was sent."""

    __tablename__ = "agent_data"
    __table_args__ = (
        Index("ix_agent_data_place", "project_id", "deployment", "collection", "created_at", "number"),
        Index("ix_agent_data_updated", "project_id", "deployment", "collection", "updated_at", "number"),
    )

    number: Mapped[int] = mapped_column(Key, primary_key=True)
    id: Mapped[str] = mapped_column(String(36), unique=True)
    project_id: Mapped[str] = mapped_column(String(100))
    deployment: Mapped[str] = mapped_column(String(300))
    collection: Mapped[str] = mapped_column(String(300))
    data: Mapped[str] = mapped_column(Text)
    """JSON text: what numbers looked like must not depend on a database's own JSON type."""
    created_at: Mapped[float] = mapped_column(Float)
    updated_at: Mapped[float] = mapped_column(Float)


class AgentValueRow(Base):
    """One scalar of an agent's document, to be searched and sorted by."""

    __tablename__ = "agent_value"
    __table_args__ = (
        Index("ix_agent_value_text", "place", "path", "text", "number"),
        Index(
            "ix_agent_value_real",
            "place",
            "path",
            "real",
            "number",
            sqlite_where=text("real IS NOT NULL"),
            postgresql_where=text("real IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    number: Mapped[int] = mapped_column(ForeignKey("agent_data.number", ondelete="CASCADE"), index=True)
    place: Mapped[str] = mapped_column(String(64))
    """The beginning of a digest of project, deployment and collection."""
    path: Mapped[str] = mapped_column(String(300))
    """Ends with the kind of the value, see state/cloud/agent_values.py."""
    kind: Mapped[str] = mapped_column(String(8))
    """text, long (a text of which only the beginning and a digest are kept), number, time, bool, null, list, object."""
    text: Mapped[str | None] = mapped_column(String(300).with_variant(String(300, collation="C"), "postgresql"))
    """Compared by code points, on every database."""
    real: Mapped[float | None] = mapped_column(Float)
    """A number, or a time in microseconds since 1970."""


class ApiKeyRow(Base):
    """A key that the server accepts; what was given out is not kept, only its SHA-256."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(16))
    """Its last characters, for people."""
    namespace: Mapped[str | None] = mapped_column(String(100))
    """None: everything."""
    project: Mapped[str | None] = mapped_column(String(100))
    """None: every project of the namespace."""
    created_at: Mapped[float] = mapped_column(Float)
    revoked_at: Mapped[float | None] = mapped_column(Float)
