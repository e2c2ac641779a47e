"""The SQL tables: what must survive any crash and be shared by several processes.

Times are seconds since the epoch (UTC) as floats: they compare the same in SQLite and PostgreSQL.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Key = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012  # SQLAlchemy's own protocol


class FileRow(Base):
    """A file in a dataset: `live_generation` is the commit point of an ingest. Uploads make the row."""

    __tablename__ = "file"
    __table_args__ = (UniqueConstraint("namespace", "project", "dataset", "file_hash"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    namespace: Mapped[str] = mapped_column(String(100))
    project: Mapped[str] = mapped_column(String(100))
    dataset: Mapped[str] = mapped_column(String(100))
    file_hash: Mapped[str] = mapped_column(String(64))
    filename: Mapped[str] = mapped_column(Text)
    database: Mapped[str | None] = mapped_column(String(100))
    """The database that holds the live generation."""
    live_generation: Mapped[str | None] = mapped_column(String(64))
    chunk_count: Mapped[int] = mapped_column(Integer, default=0)
    updated_at: Mapped[float] = mapped_column(Float)


class TaskRow(Base):
    """What a client polls: one processing of a dataset. Its state is computed from its files, never kept."""

    __tablename__ = "task"
    __table_args__ = (Index("ix_task_project", "namespace", "project"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    namespace: Mapped[str] = mapped_column(String(100))
    project: Mapped[str] = mapped_column(String(100))
    dataset: Mapped[str] = mapped_column(String(100))
    strategy: Mapped[str] = mapped_column(String(100))
    database: Mapped[str] = mapped_column(String(100))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The project's configuration as it was when the task was made: a later edit does not reach a running task."""
    request_id: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[float] = mapped_column(Float)
    finished_at: Mapped[float | None] = mapped_column(Float)
    cancelled_at: Mapped[float | None] = mapped_column(Float)
    cancel_report: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    cleaned_at: Mapped[float | None] = mapped_column(Float)
    """When replaced generations and check-points of this task were removed."""
    removed_at: Mapped[float | None] = mapped_column(Float)
    """When its project was deleted: nobody is told of it any more, and its row goes once it is cleaned up."""
    kind: Mapped[str] = mapped_column(String(16), default="ingest", server_default="ingest")
    """`ingest`, `evaluate` or `upkeep`: the one row in `task_file` of the latter two stands for the whole work, and
    their dataset is empty."""


class EvaluationRow(Base):
    """What an evaluation was asked for, and what it found."""

    __tablename__ = "evaluation"

    task_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"), primary_key=True)
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class TaskFileRow(Base):
    """One file of one task: the unit of work, of recovery and of the answer.

    `state` is one of `workers.progress.FileState`. While it is `parsing` or `embedding` the row is leased:
    `lease_owner` may change it until `lease_until`; after that anyone may take it over.
    """

    __tablename__ = "task_file"
    __table_args__ = (
        UniqueConstraint("task_id", "file_hash"),
        Index("ix_task_file_task_state", "task_id", "state"),
        Index("ix_task_file_hash", "file_hash"),
        Index("ix_task_file_state", "state", "lease_until"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    file_hash: Mapped[str] = mapped_column(String(64))
    filename: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default="queued")
    lease_owner: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[float | None] = mapped_column(Float)
    not_before: Mapped[float] = mapped_column(Float, default=0.0)
    """A file that waits for an upstream to come back is not tried before this time."""
    enqueued_at: Mapped[float] = mapped_column(Float, default=0.0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    """Tries that ended in an UpstreamError; bounded by the stages (workers/stage_frame.py)."""
    crashes: Mapped[int] = mapped_column(Integer, default=0)
    """Times a process died while it held this file; two in the parser mean quarantine."""
    generation: Mapped[str | None] = mapped_column(String(64))
    previous_generation: Mapped[str | None] = mapped_column(String(64))
    """What was live before this task switched; kept until the task ends, so that a cancel can go back to it."""
    previous_database: Mapped[str | None] = mapped_column(String(100))
    chunk_count: Mapped[int] = mapped_column(Integer, default=0)
    stored_count: Mapped[int] = mapped_column(Integer, default=0)
    skipped_count: Mapped[int] = mapped_column(Integer, default=0)
    units_done: Mapped[int] = mapped_column(Integer, default=0)
    units_total: Mapped[int | None] = mapped_column(Integer)
    """Pages (or rows) while parsing."""
    error: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    trace: Mapped[list[Any] | None] = mapped_column(JSON)
    """What the stages did so far, for the event that is written when the file ends; see state/file_trace.py."""
    updated_at: Mapped[float] = mapped_column(Float)


class SessionRow(Base):
    """A chat session of one project."""

    __tablename__ = "chat_session"
    __table_args__ = (UniqueConstraint("namespace", "project", "session_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    namespace: Mapped[str] = mapped_column(String(100))
    project: Mapped[str] = mapped_column(String(100))
    session_id: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[float] = mapped_column(Float)
    last_used_at: Mapped[float] = mapped_column(Float)


class MessageRow(Base):
    """One message of a session, in the order of `id`; `body` is an OpenAI chat message."""

    __tablename__ = "chat_message"
    __table_args__ = (Index("ix_chat_message_session", "session_row_id", "id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    session_row_id: Mapped[int] = mapped_column(ForeignKey("chat_session.id", ondelete="CASCADE"))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Float)


class SessionLeaseRow(Base):
    """Who answers in a session now; one at a time over all processes. A process that died loses it at `until`."""

    __tablename__ = "chat_lease"

    namespace: Mapped[str] = mapped_column(String(100), primary_key=True)
    project: Mapped[str] = mapped_column(String(100), primary_key=True)
    session_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    until: Mapped[float] = mapped_column(Float)


class EventRow(Base):
    """One event of a project's log, whole: nothing is added to it later."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("namespace", "project", "event_id"),
        Index("ix_event_project_time", "namespace", "project", "started_at"),
        Index("ix_event_project_type_time", "namespace", "project", "event_type", "started_at"),
        Index("ix_event_time", "started_at"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    namespace: Mapped[str] = mapped_column(String(100))
    project: Mapped[str] = mapped_column(String(100))
    event_id: Mapped[str] = mapped_column(String(64))
    event_type: Mapped[str] = mapped_column(String(32))
    request_id: Mapped[str | None] = mapped_column(String(100))
    config_hash: Mapped[str | None] = mapped_column(String(32))
    started_at: Mapped[float] = mapped_column(Float)
    duration_s: Mapped[float] = mapped_column(Float)
    first_token_s: Mapped[float | None] = mapped_column(Float)
    """From the beginning of the event."""
    error: Mapped[str | None] = mapped_column(Text)
    """Set when it failed."""
    model: Mapped[str | None] = mapped_column(String(300))
    token_count: Mapped[int | None] = mapped_column(Integer)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`notes`: (name, time, data) in order; `data` and `metadata`: see state/events.py."""


class WorkerRow(Base):
    """A worker process and when it was last heard of: what tells broker-up-but-no-worker from healthy."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    queues: Mapped[str] = mapped_column(String(200))
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[float] = mapped_column(Float)
    seen_at: Mapped[float] = mapped_column(Float)
    info: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
