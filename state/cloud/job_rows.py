"""What a job of the LlamaCloud side is, which ones are looked for, and the row that keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement

from rag.errors import InvalidInputError
from state.cloud.tables import CloudJobRow

JobStage: TypeAlias = Literal["parse", "embed", "ask"]
JobState: TypeAlias = Literal["waiting", "running", "completed", "partial", "failed", "skipped", "cancelled"]
STAGES: tuple[JobStage, ...] = get_args(JobStage)
OPEN: tuple[JobState, ...] = ("waiting", "running")
FINAL: tuple[JobState, ...] = ("completed", "partial", "failed", "skipped", "cancelled")
MAX_IDS = 1_000
"""Of one query."""
HOOK = "webhook"
"""Kind of the jobs that tell of the end of others."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """`stage` is the first step; empty for a job that gathers others."""

    id: str
    kind: str
    project_id: str
    request: Mapping[str, Any]
    stage: str = ""
    name: str | None = None
    item_key: str | None = None
    params_hash: str | None = None
    priority: int = 0
    progress: Mapping[str, Any] = field(default_factory=dict)
    state: JobState = "waiting"
    error: str | None = None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CloudJob:
    id: str
    kind: str
    project_id: str
    state: JobState
    stage: str
    request: dict[str, Any]
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    created_at: float
    updated_at: float
    started_at: float | None
    finished_at: float | None
    cancelled_at: float | None
    parent_id: str | None
    position: int
    name: str | None
    item_key: str | None
    params_hash: str | None
    priority: int
    attempts: int
    crashes: int
    owner: str

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs of a kind; None does not narrow. Raises InvalidInputError for more than MAX_IDS ids."""

    project_id: str | None = None
    parent_id: str | None = None
    states: tuple[JobState, ...] | None = None
    ids: tuple[str, ...] | None = None
    item_key: str | None = None
    params_hash: str | None = None
    created_from: float | None = None
    created_to: float | None = None

    def __post_init__(self) -> None:
        if self.ids is not None and len(self.ids) > MAX_IDS:
            raise InvalidInputError(f"{len(self.ids)} job_ids: at most {MAX_IDS}; ask in several requests")

    def conditions(self, kind: str) -> list[ColumnElement[bool]]:
        row = CloudJobRow
        found: list[ColumnElement[bool]] = [row.kind == kind]
        for column, value in (
            (row.project_id, self.project_id),
            (row.parent_id, self.parent_id),
            (row.item_key, self.item_key),
            (row.params_hash, self.params_hash),
        ):
            if value is not None:
                found.append(column == value)
        if self.states is not None:
            found.append(row.state.in_(self.states))
        if self.ids is not None:
            found.append(row.id.in_(self.ids))
        if self.created_from is not None:
            found.append(row.created_at >= self.created_from)
        if self.created_to is not None:
            found.append(row.created_at <= self.created_to)
        return found

    def stamp(self, kind: str) -> dict[str, Any]:
        return {"kind": kind, **{name: getattr(self, name) for name in self.__slots__}}


def row_of(job: NewJob, parent_id: str | None, position: int, now: float) -> CloudJobRow:
    return CloudJobRow(
        id=job.id,
        kind=job.kind,
        project_id=job.project_id,
        parent_id=parent_id,
        position=position,
        name=job.name,
        state=job.state,
        stage=job.stage,
        priority=job.priority,
        item_key=job.item_key,
        params_hash=job.params_hash,
        request=dict(job.request),
        progress=dict(job.progress),
        result=None if job.result is None else dict(job.result),
        error=job.error,
        created_at=now,
        updated_at=now,
        finished_at=now if job.state in FINAL else None,
    )


def job_of(row: CloudJobRow) -> CloudJob:
    return CloudJob(
        id=row.id,
        kind=row.kind,
        project_id=row.project_id,
        state=row.state,  # type: ignore[arg-type]  # written by this module alone
        stage=row.stage,
        request=dict(row.request),
        progress=dict(row.progress or {}),
        result=row.result,
        error=row.error,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancelled_at=row.cancelled_at,
        parent_id=row.parent_id,
        position=row.position,
        name=row.name,
        item_key=row.item_key,
        params_hash=row.params_hash,
        priority=row.priority,
        attempts=row.attempts,
        crashes=row.crashes,
        owner=row.lease_owner or "",
    )
