"""Which generation of each file is live: what makes a file's chunks visible together, or not at all."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from state.database import StateDatabase
from state.tables import FileRow

_FILES = FileRow.__table__.c
# Made once and without the ORM, as every search asks it. The dataset is what lets the unique index find the rows:
# without it all files of the project are read (9.6 ms at 20,000).
_LIVE = select(_FILES.dataset, _FILES.file_hash, _FILES.live_generation).where(
    _FILES.namespace == bindparam("namespace"),
    _FILES.project == bindparam("project"),
    _FILES.dataset.in_(bindparam("datasets", expanding=True)),
    _FILES.file_hash.in_(bindparam("hashes", expanding=True)),
    _FILES.database == bindparam("database"),
)

# Without the ORM, too: a listing asks it for ten thousand files (270 ms as objects).
_OF_DATASET = select(_FILES.file_hash, _FILES.live_generation, _FILES.database, _FILES.chunk_count).where(
    _FILES.namespace == bindparam("namespace"),
    _FILES.project == bindparam("project"),
    _FILES.dataset == bindparam("dataset"),
)

LiveCheck = Callable[[set[tuple[str, str]]], set[tuple[str, str]]]
"""Takes (file_key, generation) pairs that a search met and gives back the ones that may be shown."""


@dataclass(frozen=True, slots=True)
class LiveFile:
    generation: str | None
    database: str | None
    chunk_count: int


class GenerationStore:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def live_check(self, namespace: str, project: str, database: str) -> LiveCheck:
        """The check that a database's searches are filtered by."""
        place = {"namespace": namespace, "project": project, "database": database}

        def check(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
            if not pairs:
                return set()
            keys = [file_key.rpartition("/") for file_key, _ in pairs]
            wanted = {"datasets": list({key[0] for key in keys}), "hashes": list({key[2] for key in keys})}
            rows = self._database.rows(_LIVE, {**place, **wanted})
            return pairs & {(f"{row[0]}/{row[1]}", row[2]) for row in rows}

        return check

    def of_dataset(self, namespace: str, project: str, dataset: str) -> dict[str, LiveFile]:
        """File hash → what is live of it; files that were never processed have generation None."""
        rows = self._database.rows(_OF_DATASET, {"namespace": namespace, "project": project, "dataset": dataset})
        return {file_hash: LiveFile(*live) for file_hash, *live in rows}

    def of_file(self, namespace: str, project: str, dataset: str, file_hash: str) -> LiveFile | None:
        with self._database.read() as session:
            row = session.scalar(
                select(FileRow).where(
                    FileRow.namespace == namespace,
                    FileRow.project == project,
                    FileRow.dataset == dataset,
                    FileRow.file_hash == file_hash,
                )
            )
            return None if row is None else LiveFile(row.live_generation, row.database, row.chunk_count)

    def ensure(self, namespace: str, project: str, dataset: str, files: dict[str, str]) -> None:
        """Make the rows of files (hash → filename) that have none yet."""
        known = self.of_dataset(namespace, project, dataset)
        place = {"namespace": namespace, "project": project, "dataset": dataset, "chunk_count": 0}
        rows = [
            {**place, "file_hash": file_hash, "filename": name, "updated_at": time.time()}
            for file_hash, name in files.items()
            if file_hash not in known
        ]
        if not rows:
            return
        with self._database.write() as session:
            # Two requests may both have found the row missing: the second one changes nothing.
            dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
            session.execute(dialect.insert(FileRow).on_conflict_do_nothing(), rows)

    def hide(self, namespace: str, project: str, dataset: str, file_hash: str) -> LiveFile:
        """The file stays, its chunks are not shown any more; returns what was shown."""
        with self._database.write() as session:
            row = session.scalar(_one_file(namespace, project, dataset, file_hash))
            if row is None:
                return LiveFile(None, None, 0)
            shown = LiveFile(row.live_generation, row.database, row.chunk_count)
            row.live_generation, row.database, row.chunk_count = None, None, 0
            return shown

    def show_again(self, namespace: str, project: str, dataset: str, file_hash: str, shown: LiveFile) -> None:
        """Take a `hide` back, unless something else went live meanwhile."""
        with self._database.write() as session:
            row = session.scalar(_one_file(namespace, project, dataset, file_hash))
            if row is not None and row.live_generation is None:
                row.live_generation, row.database, row.chunk_count = shown.generation, shown.database, shown.chunk_count

    def forget(self, namespace: str, project: str, dataset: str | None = None, file_hash: str | None = None) -> None:
        """Remove the rows of a file, of a dataset, or of a project."""
        query = delete(FileRow).where(FileRow.namespace == namespace, FileRow.project == project)
        if dataset is not None:
            query = query.where(FileRow.dataset == dataset)
        if file_hash is not None:
            query = query.where(FileRow.file_hash == file_hash)
        with self._database.write() as session:
            session.execute(query)


def _one_file(namespace: str, project: str, dataset: str, file_hash: str) -> Select[FileRow]:
    return select(FileRow).where(
        FileRow.namespace == namespace,
        FileRow.project == project,
        FileRow.dataset == dataset,
        FileRow.file_hash == file_hash,
    )
