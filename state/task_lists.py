"""What is asked about many tasks at once, answered by SQL alone: lists, and what happened to the files of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, case, func, not_, select

from state.database import StateDatabase
from state.tables import TaskFileRow, TaskRow
from state.task_states import DONE_STATES, FINAL_STATES, REVERTED

TaskState = Literal["PENDING", "STARTED", "SUCCESS", "FAILURE"]
PARSED_SHARE = 0.3
"""How much of the way a file has gone once it is parsed."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The files of one task, added up. `share_done` is between 0 and `total`."""

    counts: dict[str, int]
    share_done: float = 0.0
    stored_count: int = 0
    skipped_count: int = 0
    reverted_count: int = 0

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class TaskLists:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def page(
        self, namespace: str, project: str, *, states: Sequence[TaskState], limit: int, offset: int
    ) -> tuple[int, list[tuple[TaskRow, Tally]]]:
        """(how many there are, one page of them, newest first); no `states`: all."""
        wanted = (TaskRow.namespace == namespace) & (TaskRow.project == project) & TaskRow.removed_at.is_(None)
        if states:
            wanted &= case(*((_IS[state], True) for state in states), else_=False)
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(TaskRow).where(wanted)) or 0
            newest = select(TaskRow).where(wanted).order_by(TaskRow.created_at.desc(), TaskRow.id)
            tasks = list(session.scalars(newest.limit(limit).offset(offset)))
            tallies = _tallies(session, [task.id for task in tasks])
        return total, [(task, tallies.get(task.id, Tally({}))) for task in tasks]

    def stamp(self, namespace: str, project: str, task_id: str) -> tuple[Any, ...] | None:
        """Differs whenever what is told of a task does; None when the project has no such task."""
        is_mine = and_(TaskRow.id == task_id, TaskRow.namespace == namespace, TaskRow.project == project)
        is_mine &= TaskRow.removed_at.is_(None)
        rows = TaskFileRow.task_id == task_id
        per_state = (
            select(
                TaskFileRow.state,
                func.count(),
                func.sum(TaskFileRow.stored_count),
                func.sum(TaskFileRow.units_done),
                func.max(TaskFileRow.updated_at),
            )
            .where(rows)
            .group_by(TaskFileRow.state)
            .order_by(TaskFileRow.state)
        )
        with self._database.read() as session:
            task = session.execute(select(TaskRow.cancelled_at).where(is_mine)).one_or_none()
            return None if task is None else (task[0], *map(tuple, session.execute(per_state)))

    def failed_files(self, namespace: str, project: str, dataset: str) -> set[str]:
        """Hashes of the files that failed in the last task that had them, as far as tasks are remembered."""
        place = and_(TaskRow.namespace == namespace, TaskRow.project == project, TaskRow.dataset == dataset)
        place &= TaskRow.removed_at.is_(None)
        last = (
            select(func.max(TaskFileRow.id))
            .join(TaskRow, TaskRow.id == TaskFileRow.task_id)
            .where(place)
            .group_by(TaskFileRow.file_hash)
        )
        query = select(TaskFileRow.file_hash).where(TaskFileRow.id.in_(last), TaskFileRow.state == "failed")
        with self._database.read() as session:
            return set(session.scalars(query))


def _has_file(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(TaskFileRow.id).where(TaskFileRow.task_id == TaskRow.id, condition).exists()


_IS_OPEN = _has_file(TaskFileRow.state.not_in(FINAL_STATES))
_IS_BEGUN = _has_file(TaskFileRow.state != "queued")
_IS_BAD = TaskRow.cancelled_at.is_not(None) | _has_file(TaskFileRow.state.in_(("failed", "cancelled")))
_IS: dict[TaskState, ColumnElement[bool]] = {
    "PENDING": and_(_IS_OPEN, not_(_IS_BEGUN)),
    "STARTED": and_(_IS_OPEN, _IS_BEGUN),
    "SUCCESS": and_(not_(_IS_OPEN), not_(_IS_BAD)),
    "FAILURE": and_(not_(_IS_OPEN), _IS_BAD),
}
"""What `workers.progress` says of a task, as SQL."""

_SHARE = case(
    (TaskFileRow.state.in_(DONE_STATES), 1.0),
    (
        (TaskFileRow.state == "parsing") & (TaskFileRow.units_total > 0),
        PARSED_SHARE * TaskFileRow.units_done / func.nullif(TaskFileRow.units_total, 0),
    ),
    (
        (TaskFileRow.state == "embedding") & (TaskFileRow.chunk_count > 0),
        PARSED_SHARE + (1 - PARSED_SHARE) * TaskFileRow.stored_count / func.nullif(TaskFileRow.chunk_count, 0),
    ),
    (TaskFileRow.state.in_(("parsed", "embedding")), PARSED_SHARE),
    else_=0.0,
)


def _tallies(session: Any, task_ids: Sequence[str]) -> dict[str, Tally]:
    query = (
        select(
            TaskFileRow.task_id,
            TaskFileRow.state,
            func.count(),
            func.sum(_SHARE),
            func.sum(TaskFileRow.stored_count),
            func.sum(TaskFileRow.skipped_count),
            func.sum(case((TaskFileRow.reason == REVERTED, 1), else_=0)),
        )
        .where(TaskFileRow.task_id.in_(task_ids))
        .group_by(TaskFileRow.task_id, TaskFileRow.state)
    )
    found: dict[str, Tally] = {}
    for task_id, state, count, share, stored, skipped, reverted in session.execute(query):
        before = found.get(task_id, Tally({}))
        found[task_id] = Tally(
            {**before.counts, state: count},
            before.share_done + float(share or 0),
            before.stored_count + int(stored or 0),
            before.skipped_count + int(skipped or 0),
            before.reverted_count + int(reverted or 0),
        )
    return found
