"""Tasks and their files: making them, leasing them, ending them. Every method is one transaction.

A lease is owned: a change by someone who lost it in the meantime changes nothing and says so (False),
so a message that is delivered twice, or a worker that was thought dead, cannot undo another's work.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from state.database import StateDatabase
from state.events import Note
from state.file_trace import log_end
from state.tables import TaskFileRow, TaskRow
from state.task_recovery import TaskRecovery
from state.task_rows import (
    CANCELLED,
    NO_LEASE,
    ClaimedFile,
    NewFile,
    claimed_file,
    file_row,
    files_of,
    hashes_of,
    is_cancelled,
    is_in_hand_elsewhere,
    is_used_elsewhere,
    new_row,
    notes_of,
    owned_row,
    set_values,
    shown_task,
)
from state.task_states import FINAL_STATES, RUNNING, WAITING, Stage
from state.upkeep_tasks import refuse_during_upkeep

DISCARD_S = 120.0
"""How long one who deletes the chunks of a file keeps others from writing some, should it die meanwhile."""
NEVER = -1.0
"""As the time of a file's last message: the sweeper sends one soon, whatever else waits."""


class TaskStore(TaskRecovery):
    """`clock` gives seconds since the epoch; injected so that tests can move it."""

    def __init__(self, database: StateDatabase, *, lease_s: float, clock: Callable[[], float] = time.time) -> None:
        super().__init__(database, lease_s=lease_s, clock=clock)

    # -- making and reading ---------------------------------------------------------------------------------

    def create(self, task: TaskRow, files: Sequence[NewFile]) -> list[NewFile]:
        """Returns the files that are in the task: those that were removed since they were listed stay out.

        Raises:
            ConflictError: the database is being rebuilt or moved.
        """
        now = self._clock()
        task.created_at = now
        with self._database.write() as session:
            refuse_during_upkeep(session, task)
            present = set(session.scalars(hashes_of(task.namespace, task.project, task.dataset)))
            kept = [file for file in files if file.file_hash in present]
            if all(file.unchanged_chunks is not None for file in kept):
                task.finished_at = task.cleaned_at = now
            session.add(task)
            session.flush()
            if kept:
                rows = [new_row(task.id, position, file, now) for position, file in enumerate(kept)]
                session.execute(insert(TaskFileRow), rows)
        return kept

    def last_configs(self, namespace: str, project: str) -> dict[str, dict[str, Any]]:
        """Database name → the configuration of the last task that wrote to it, as far as tasks are remembered."""
        is_mine = (TaskRow.namespace == namespace) & (TaskRow.project == project) & TaskRow.removed_at.is_(None)
        with self._database.read() as session:
            names = list(session.scalars(select(TaskRow.database).where(is_mine).distinct()))
            newest = select(TaskRow.config).where(is_mine).order_by(TaskRow.created_at.desc()).limit(1)
            return {name: session.scalars(newest.where(TaskRow.database == name)).one() for name in names}

    def get(self, namespace: str, project: str, task_id: str) -> tuple[TaskRow, list[TaskFileRow]] | None:
        with self._database.read() as session:
            task = shown_task(session, namespace, project, task_id)
            return None if task is None else (task, files_of(session, task_id))

    def get_file(self, namespace: str, project: str, task_id: str, position: int) -> tuple[TaskRow, TaskFileRow] | None:
        """One file of a task by its number."""
        query = select(TaskFileRow).where(TaskFileRow.task_id == task_id, TaskFileRow.position == position)
        with self._database.read() as session:
            task, row = shown_task(session, namespace, project, task_id), session.scalar(query)
            return None if task is None or row is None else (task, row)

    def remove_of_project(self, namespace: str, project: str) -> None:
        """Nobody is told of the project's tasks any more. A row goes at once, or when its task is cleaned up: what a
        stage that runs is still writing is deleted by that.
        """
        is_its = (TaskRow.namespace == namespace) & (TaskRow.project == project)
        with self._database.write() as session:
            session.execute(delete(TaskRow).where(is_its, TaskRow.cleaned_at.is_not(None)))
            session.execute(
                update(TaskRow).where(is_its, TaskRow.removed_at.is_(None)).values(removed_at=self._clock())
            )

    # -- the life of one file -------------------------------------------------------------------------------

    def claim(self, file_id: int, stage: Stage, owner: str) -> ClaimedFile | None:
        """Lease a waiting file; None when it is not waiting (taken, ended, not due yet) or when another task has
        the same file in hand: two tasks write the same chunk ids, so they take turns.
        """
        now = self._clock()
        with self._database.write() as session:
            row = session.get(TaskFileRow, file_id)
            if row is None or row.state != WAITING[stage] or row.not_before > now:
                return None
            task = session.get_one(TaskRow, row.task_id)
            if is_in_hand_elsewhere(session, task, row, now):
                return None
            lease = {"state": RUNNING[stage], "lease_owner": owner, "lease_until": now + self._lease_s}
            set_values(row, now, lease)
            return claimed_file(row, task)

    def renew(self, leases: Collection[tuple[int, str]]) -> None:
        """Prolong the leases (file id, owner) that are still theirs."""
        until = self._clock() + self._lease_s
        with self._database.write() as session:
            for file_id, owner in leases:
                session.execute(
                    update(TaskFileRow)
                    .where(TaskFileRow.id == file_id, TaskFileRow.lease_owner == owner)
                    .values(lease_until=until)
                )

    def report(self, file_id: int, owner: str, **values: Any) -> bool:
        """Write progress (units_done, stored_count …); False when the lease is lost or the task cancelled."""
        with self._database.write() as session:
            row = owned_row(session, file_id, owner)
            if row is None or is_cancelled(session, row):
                return False
            set_values(row, self._clock(), values)
            return True

    def is_wanted(self, file_id: int, owner: str) -> bool:
        """Whether the lease is still its holder's and the task goes on; changes nothing."""
        with self._database.read() as session:
            row = owned_row(session, file_id, owner)
            return row is not None and not is_cancelled(session, row)

    def note(self, claimed: ClaimedFile, name: str, **data: Any) -> None:
        """Remember a step for the event log. Written when the stage ends: a stage that is killed has done nothing."""
        claimed.trace.append((name, self._clock(), data))

    def parsed(
        self, file_id: int, owner: str, *, chunk_count: int, details: dict[str, Any], trace: Sequence[Note] = ()
    ) -> bool:
        """End of the parse stage: the file waits to be embedded. False when the lease is lost or the task cancelled;
        in the latter case the file has ended."""
        now = self._clock()
        values = {
            "state": "parsed",
            "chunk_count": chunk_count,
            "details": details,
            "trace": list(trace),
            "attempts": 0,
            "crashes": 0,
            "enqueued_at": now,
        }
        return self._put_back(file_id, owner, values)

    def retry_later(
        self,
        file_id: int,
        owner: str,
        stage: Stage,
        *,
        delay_s: float,
        error: str,
        details: dict[str, Any] | None = None,
    ) -> bool:
        """Put a file back for another try, because an upstream failed. False as for `parsed`.

        Args:
            details: replace those of the row.
        """
        with self._database.read() as session:
            row = session.get(TaskFileRow, file_id)
            attempts = 0 if row is None else row.attempts + 1
        values: dict[str, Any] = {"state": WAITING[stage], "attempts": attempts, "error": error}
        values |= {} if details is None else {"details": details}
        return self._put_back(file_id, owner, {**values, "not_before": self._clock() + delay_s})

    def skip(self, file_id: int, owner: str, *, chunk_count: int, generation: str) -> bool:
        """The same file with the same options is live already, as `generation`."""
        counts = {"chunk_count": chunk_count, "skipped_count": chunk_count, "generation": generation}
        return self._release(file_id, owner, {"state": "skipped", "reason": "unchanged", **counts})

    def end(
        self, file_id: int, owner: str, state: str, *, error: str, reason: str, trace: Sequence[Note] | None = None
    ) -> bool:
        """End a file that was not processed: failed or cancelled. Without a `trace`, what the row has counts."""
        values: dict[str, Any] = {"state": state, "error": error, "reason": reason, "stored_count": 0}
        return self._release(file_id, owner, values if trace is None else {**values, "trace": list(trace)})

    def may_discard(self, claimed: ClaimedFile, owner: str, generation: str) -> bool:
        """`reserve_discard` for a stage that gives up what it has written under `generation`."""
        return self.reserve_discard(claimed.id, owner, generation=generation, database=claimed.database)

    def reserve_discard(self, file_id: int, owner: str, *, generation: str, database: str) -> bool:
        """Whether the chunks of a generation belong to nobody: not live, not being written, not what a cancel would
        go back to. Until `end_discard`, nobody can begin to write chunks of this file: between this look and the
        deletion they could otherwise be written anew and become live.
        """
        now = self._clock()
        with self._database.write() as session:
            row = session.get(TaskFileRow, file_id)
            if row is None or (row.state not in FINAL_STATES and row.lease_owner != owner):
                return False
            task = session.get_one(TaskRow, row.task_id)
            file = file_row(session, task.namespace, task.project, task.dataset, row.file_hash)
            if file is not None and (file.live_generation, file.database) == (generation, database):
                return False
            if is_used_elsewhere(session, task, row, (generation, database), now):
                return False
            if row.state in FINAL_STATES:
                row.lease_owner, row.lease_until = owner, now + DISCARD_S
            return True

    def end_discard(self, file_id: int, owner: str) -> None:
        with self._database.write() as session:
            row = owned_row(session, file_id, owner)
            if row is not None and row.state in FINAL_STATES:
                row.lease_owner = row.lease_until = None

    def commit(
        self, claimed: ClaimedFile, owner: str, *, generation: str, chunk_count: int, details: dict[str, Any]
    ) -> bool:
        """The commit point of an ingest: the new generation becomes the one that queries see.

        False, and nothing changed, when the lease was lost, the task cancelled or the file removed meanwhile.
        """
        now = self._clock()
        with self._database.write() as session:
            row = owned_row(session, claimed.id, owner)
            file = file_row(session, claimed.namespace, claimed.project, claimed.dataset, claimed.file_hash)
            if row is None or file is None or is_cancelled(session, row):
                return False
            details = {**details, "previous_chunk_count": file.chunk_count}
            values = {"state": "processed", "stored_count": chunk_count, "error": None, "details": details}
            previous = {"previous_generation": file.live_generation, "previous_database": file.database}
            set_values(row, now, {**values, **previous, **NO_LEASE})
            file.live_generation, file.database = generation, claimed.database
            file.chunk_count, file.updated_at = chunk_count, now
            log_end(session, row, claimed.trace, now)
            return True

    def _release(self, file_id: int, owner: str, values: dict[str, Any]) -> bool:
        with self._database.write() as session:
            row = owned_row(session, file_id, owner)
            if row is None:
                return False
            set_values(row, self._clock(), {**values, **NO_LEASE})
            log_end(session, row, notes_of(row), self._clock())
            return True

    def _put_back(self, file_id: int, owner: str, values: dict[str, Any]) -> bool:
        """As `_release` to a state that waits; the file of a task that was cancelled meanwhile ends instead."""
        with self._database.write() as session:
            row = owned_row(session, file_id, owner)
            if row is None:
                return False
            is_over = is_cancelled(session, row)
            set_values(row, self._clock(), {**values, **(CANCELLED if is_over else {}), **NO_LEASE})
            return not is_over

    def embed_again(self, namespace: str, project: str, database: str) -> int:
        """Have the files that are being embedded begin anew, as what they wrote to the database is deleted; returns how
        many. Who embeds them now has lost the lease, and cannot make anything live.
        """
        now = self._clock()
        is_meant = (TaskRow.namespace == namespace, TaskRow.project == project, TaskRow.database == database)
        query = select(TaskFileRow).join(TaskRow, TaskRow.id == TaskFileRow.task_id)
        query = query.where(*is_meant, TaskRow.cancelled_at.is_(None), TaskFileRow.state == RUNNING["embed"])
        with self._database.write() as session:
            rows = session.scalars(query).all()
            values = {"state": WAITING["embed"], "stored_count": 0, "not_before": 0.0, "enqueued_at": NEVER}
            for row in rows:
                set_values(row, now, {**values, **NO_LEASE})
            return len(rows)
