"""Which files one database holds, and who works on them: what looking after a database needs to know of the state."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, delete, func, select, tuple_, update

from state.database import StateDatabase
from state.tables import FileRow, TaskFileRow, TaskRow

Columns = TypeVarTuple("Columns")
Pair = tuple[str, str]
"""(dataset/file_hash, generation)."""
IMPORTED = "@"
"""How the dataset of imported chunks begins; no dataset of a project can be called so."""
ROWS_PER_STATEMENT = 400
"""SQLite takes at most 32,766 values in one statement, and expressions at most 1,000 deep."""


LONGEST_IMPORT_S = 6 * 3600.0


def import_generation(now: float) -> str:
    """A name that tells when the import began: its chunks are in the store before anything shows them."""
    return f"import-{int(now)}-{secrets.token_hex(6)}"


def is_being_imported(generation: str) -> bool:
    """Whether these chunks may belong to an import that has not ended."""
    kind, _, rest = generation.partition("-")
    began = rest.partition("-")[0]
    return kind == "import" and began.isdecimal() and time.time() - int(began) < LONGEST_IMPORT_S


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file whose chunks a database shows."""

    dataset: str
    file_hash: str
    filename: str
    generation: str
    chunk_count: int
    updated_at: float

    @property
    def file_key(self) -> str:
        return f"{self.dataset}/{self.file_hash}"

    @property
    def pair(self) -> Pair:
        return self.file_key, self.generation

    @property
    def is_imported(self) -> bool:
        return self.dataset.startswith(IMPORTED)


class DatabaseContents:
    """Of one database: the first three arguments of each method name it. Every method is one transaction."""

    def __init__(self, database: StateDatabase, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def files(self, namespace: str, project: str, database: str) -> list[ShownFile]:
        """By name, without regard to case."""
        # Columns, not rows of the ORM: 10,000 of those take five times as long.
        columns = (
            FileRow.dataset,
            FileRow.file_hash,
            FileRow.filename,
            FileRow.live_generation,
            FileRow.chunk_count,
            FileRow.updated_at,
        )
        query = select(*columns).where(*_shown_in(namespace, project, database))
        with self._database.read() as session:
            found = [
                ShownFile(dataset, file_hash, filename, generation or "", chunk_count, updated_at)
                for dataset, file_hash, filename, generation, chunk_count, updated_at in session.execute(query)
            ]
        return sorted(found, key=lambda file: (file.filename.casefold(), file.dataset, file.file_hash))

    def tasks_at_work(
        self, namespace: str, project: str, database: str, kinds: Sequence[str] = ("ingest", "upkeep")
    ) -> list[str]:
        """Ids of the tasks that may still write to it; a rebuild or move that is cancelled does until it has ended."""
        query = select(TaskRow.id).where(
            TaskRow.namespace == namespace,
            TaskRow.project == project,
            TaskRow.database == database,
            TaskRow.kind.in_(kinds),
            TaskRow.finished_at.is_(None),
            TaskRow.cancelled_at.is_(None) | (TaskRow.kind == "upkeep"),
        )
        with self._database.read() as session:
            return list(session.scalars(query.order_by(TaskRow.created_at)))

    def pairs_in_work(self, namespace: str, project: str, database: str) -> set[Pair]:
        """Generations that a task writes, or would go back to when it is cancelled, or has still to clean up."""
        key = TaskRow.dataset + "/" + TaskFileRow.file_hash
        open_tasks = (TaskRow.namespace == namespace, TaskRow.project == project, TaskRow.cleaned_at.is_(None))
        written = _of_tasks(select(key, TaskFileRow.generation)).where(*open_tasks, TaskRow.database == database)
        replaced = _of_tasks(select(key, TaskFileRow.previous_generation)).where(
            *open_tasks, TaskFileRow.previous_database == database
        )
        with self._database.read() as session:
            return {(row[0], row[1]) for query in (written, replaced) for row in session.execute(query) if row[1]}

    def last_task_file(self, namespace: str, project: str, dataset: str, file_hash: str) -> int | None:
        """The row of a file in the last task that had it: what `TaskStore.reserve_discard` takes."""
        query = _of_tasks(select(func.max(TaskFileRow.id))).where(
            TaskRow.namespace == namespace,
            TaskRow.project == project,
            TaskRow.dataset == dataset,
            TaskFileRow.file_hash == file_hash,
        )
        with self._database.read() as session:
            row: int | None = session.scalar(query)
            return row

    def hide(self, namespace: str, project: str, database: str, files: Sequence[ShownFile] | None = None) -> None:
        """Nothing of these files (None: of any) is shown any more; imported ones are forgotten, as nobody can process
        them again.
        """
        shown = _shown_in(namespace, project, database)
        is_imported = FileRow.dataset.startswith(IMPORTED)
        nothing = {"live_generation": None, "database": None, "chunk_count": 0}
        with self._database.write() as session:
            for chosen in _batches(files):
                session.execute(delete(FileRow).where(*shown, *chosen, is_imported))
                session.execute(update(FileRow).where(*shown, *chosen).values(nothing))

    def show(self, namespace: str, project: str, database: str, files: Sequence[ShownFile]) -> list[Pair]:
        """Show these generations instead of what is shown of the same files; returns what was replaced.

        A file that has no row gets one: what was imported, or what `hide` took away.
        """
        here = (FileRow.namespace == namespace, FileRow.project == project)
        replaced: list[Pair] = []
        with self._database.write() as session:
            for start in range(0, len(files), ROWS_PER_STATEMENT):
                batch = {(file.dataset, file.file_hash): file for file in files[start : start + ROWS_PER_STATEMENT]}
                rows = session.scalars(
                    select(FileRow).where(*here, tuple_(FileRow.dataset, FileRow.file_hash).in_(list(batch)))
                )
                for row in list(rows):
                    file = batch.pop((row.dataset, row.file_hash))
                    if row.live_generation and (row.live_generation, row.database) != (file.generation, database):
                        replaced.append((file.file_key, row.live_generation))
                    row.live_generation, row.database = file.generation, database
                    row.chunk_count, row.updated_at, row.filename = file.chunk_count, self._clock(), file.filename
                session.add_all(self._row(namespace, project, database, file) for file in batch.values())
                session.flush()
        return replaced

    def forget(self, namespace: str, project: str, file: ShownFile) -> None:
        """Remove the row of a file that nobody can process again: it is gone, or was imported."""
        with self._database.write() as session:
            session.execute(
                delete(FileRow).where(
                    FileRow.namespace == namespace,
                    FileRow.project == project,
                    FileRow.dataset == file.dataset,
                    FileRow.file_hash == file.file_hash,
                )
            )

    def last_change(self, namespace: str, project: str, database: str) -> float | None:
        with self._database.read() as session:
            return session.scalar(select(func.max(FileRow.updated_at)).where(*_shown_in(namespace, project, database)))

    def _row(self, namespace: str, project: str, database: str, file: ShownFile) -> FileRow:
        return FileRow(
            namespace=namespace,
            project=project,
            dataset=file.dataset,
            file_hash=file.file_hash,
            filename=file.filename,
            database=database,
            live_generation=file.generation,
            chunk_count=file.chunk_count,
            updated_at=self._clock(),
        )


def _shown_in(namespace: str, project: str, database: str) -> tuple[ColumnElement[bool], ...]:
    return (
        FileRow.namespace == namespace,
        FileRow.project == project,
        FileRow.database == database,
        FileRow.live_generation.is_not(None),
    )


def _batches(files: Sequence[ShownFile] | None) -> list[tuple[ColumnElement[bool], ...]]:
    if files is None:
        return [()]
    keys = [(file.dataset, file.file_hash) for file in files]
    return [
        (tuple_(FileRow.dataset, FileRow.file_hash).in_(keys[start : start + ROWS_PER_STATEMENT]),)
        for start in range(0, len(keys), ROWS_PER_STATEMENT)
    ]


def _of_tasks(query: Select[*Columns]) -> Select[*Columns]:
    return query.join(TaskRow, TaskRow.id == TaskFileRow.task_id)
