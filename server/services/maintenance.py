"""Looking after a database: giving room back, emptying it, deleting documents, processing everything anew."""

import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import anyio
from anyio import to_thread

from config.loader import ProjectStore
from config.project import ProjectConfig
from rag.errors import BadRequestError, RagError
from rag.filters import parse_filter
from server.schemas.maintenance import (
    Cleared,
    Compacted,
    DocumentsDeleted,
    DocumentSelection,
    Reindexed,
    SelectionPreview,
)
from server.services.database_access import DatabaseAccess, OpenDatabase
from server.services.dispatching import IngestStarter
from server.services.sizes import human_size
from state.contents import ShownFile
from state.files import DatasetFiles

REINDEX_WAIT_S = 45.0
"""Less than the minute after which the `lf` command gives up."""
SHOWN_NAMES = 100
SHOWN_ERRORS = 100
FIRST_LOOK_S, LONGEST_PAUSE_S = 0.1, 1.0


class MaintenanceDispatcher(IngestStarter, Protocol):
    """The part of `workers.dispatch.Dispatcher` that maintenance needs."""

    def task_status(self, namespace: str, project: str, task_id: str) -> dict[str, Any]: ...

    def remove_chunks(
        self, namespace: str, project: str, config: ProjectConfig, dataset: str, file_hash: str
    ) -> int: ...


class MaintenanceService:
    def __init__(
        self,
        projects: ProjectStore,
        access: DatabaseAccess,
        dispatcher: MaintenanceDispatcher,
        *,
        reindex_wait_s: float,
    ) -> None:
        """`reindex_wait_s`: how long `reindex` waits for its tasks before it answers."""
        self._projects = projects
        self._access = access
        self._dispatcher = dispatcher
        self._reindex_wait_s = reindex_wait_s

    def compact(self, namespace: str, project: str, database: str | None) -> Compacted:
        """Delete what no query can show and no task needs, and give its room back to the disk."""
        started_at = time.perf_counter()
        opened = self._access.open(namespace, project, database)
        upkeep = opened.store.upkeep
        vectors_before, bytes_before = upkeep.vector_count(), upkeep.size_bytes()
        owner = f"compact:{uuid.uuid4().hex[:12]}"
        for pair in self._access.dead(opened):
            self._access.discard(opened, pair, owner)
        upkeep.compact()
        vectors_after, saved = upkeep.vector_count(), max(0, bytes_before - upkeep.size_bytes())
        return Compacted(
            success=True,
            vectors_before=vectors_before,
            vectors_after=vectors_after,
            space_saved_bytes=saved,
            duration_seconds=_since(started_at),
            message=f"Removed {vectors_before - vectors_after} vectors that nothing showed; {human_size(saved)} saved",
        )

    def clear(self, namespace: str, project: str, database: str | None) -> Cleared:
        """Delete every chunk; the files stay in their datasets and can be processed again."""
        opened = self._access.open(namespace, project, database)
        self._access.require_idle(opened, "clear")
        documents, chunks = self._access.clear(opened)
        message = f"Cleared database '{opened.database.name}': {chunks} chunks of {documents} documents"
        return Cleared(success=True, documents_cleared=documents, chunks_cleared=chunks, message=message)

    def preview_delete(self, namespace: str, project: str, wanted: DocumentSelection) -> SelectionPreview:
        opened = self._access.open(namespace, project, wanted.database)
        files = self._selected(opened, wanted)
        return SelectionPreview(
            count=len(files),
            chunk_count=sum(file.chunk_count for file in files),
            filenames=[file.filename for file in files[:SHOWN_NAMES]],
        )

    def delete(self, namespace: str, project: str, wanted: DocumentSelection) -> DocumentsDeleted:
        """Delete the chunks of the chosen documents; their files stay in their datasets."""
        opened = self._access.open(namespace, project, wanted.database)
        files = self._selected(opened, wanted)
        documents, chunks, errors = self._remove(opened, files)
        missing = sorted(set(wanted.ids or ()) - {file.file_hash for file in files})
        missing += sorted(set(wanted.filenames or ()) - {file.filename for file in files})
        errors += [f"document '{each[:100]}' is not among those that match" for each in missing[:SHOWN_ERRORS]]
        return DocumentsDeleted(success=not errors, documents_deleted=documents, chunks_deleted=chunks, errors=errors)

    def remove_one(self, opened: OpenDatabase, file: ShownFile) -> int:
        """Take a file out of the database; returns its chunks."""
        namespace, project, _ = opened.place
        chunks = self._dispatcher.remove_chunks(namespace, project, opened.config, file.dataset, file.file_hash)
        if file.is_imported:
            self._access.contents.forget(namespace, project, file)
        return chunks

    def _remove(self, opened: OpenDatabase, files: Iterable[ShownFile]) -> tuple[int, int, list[str]]:
        """(documents, chunks, errors). One that fails does not stop the rest."""
        documents = chunks = 0
        errors: list[str] = []
        for file in files:
            try:
                chunks += self.remove_one(opened, file)
                documents += 1
            except RagError as error:
                errors.append(f"{file.filename}: {error.message}")
        return documents, chunks, errors[:SHOWN_ERRORS]

    def _selected(self, opened: OpenDatabase, wanted: DocumentSelection) -> list[ShownFile]:
        if not (wanted.ids or wanted.filenames or wanted.metadata):
            raise BadRequestError(
                "name what is to be deleted by ids, filenames or metadata; POST …/rag/clear empties a whole database"
            )
        ids, names = set(wanted.ids or ()), set(wanted.filenames or ())
        files = self._access.contents.files(*opened.place)
        if ids or names:
            files = [file for file in files if file.file_hash in ids or file.filename in names]
        if wanted.metadata:
            matching = opened.store.upkeep.matching(parse_filter(wanted.metadata))
            files = [file for file in files if file.pair in matching]
        return files

    # -- processing everything anew -------------------------------------------------------------------------

    async def reindex(
        self, namespace: str, project: str, database: str | None, strategy: str | None, request_id: str | None
    ) -> Reindexed:
        """Process the files of every dataset of the database again, and wait a while for the end.

        Each file goes on answering from its old chunks until its new ones are complete.
        """
        started_at = time.perf_counter()
        task_ids = await to_thread.run_sync(self._start_all, namespace, project, database, strategy, request_id)
        pause_s = FIRST_LOOK_S
        while True:
            bodies = await to_thread.run_sync(self._bodies, namespace, project, task_ids)
            is_over = all(body["result"] is not None for body in bodies)
            if is_over or _since(started_at) >= self._reindex_wait_s:
                return _reindexed(bodies, _since(started_at))
            await anyio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 1.5 * pause_s)

    def _start_all(
        self, namespace: str, project: str, database: str | None, strategy: str | None, request_id: str | None
    ) -> list[str]:
        config = self._projects.load(namespace, project)
        chosen = config.database(database)
        if strategy is not None:
            config = _with_strategy(config, chosen.name, config.strategy(strategy).name)
        task_ids = []
        for entry in config.datasets:
            if entry.database == chosen.name:
                files = DatasetFiles(self._projects.paths(namespace, project).dataset(entry.name)).list()
                task_ids.append(
                    self._dispatcher.start_ingest(
                        namespace=namespace,
                        project=project,
                        dataset=entry.name,
                        config=config,
                        files=files,
                        request_id=request_id,
                        force=True,
                    )
                )
        return task_ids

    def _bodies(self, namespace: str, project: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
        return [self._dispatcher.task_status(namespace, project, task_id) for task_id in task_ids]


def _with_strategy(config: ProjectConfig, database: str, strategy: str) -> ProjectConfig:
    """The datasets of the database processed with another strategy; llamafarm.yaml stays as it is."""
    datasets = [
        each.model_copy(update={"data_processing_strategy": strategy}) if each.database == database else each
        for each in config.datasets
    ]
    return config.model_copy(update={"datasets": datasets})


def _reindexed(bodies: Sequence[dict[str, Any]], duration_s: float) -> Reindexed:
    files = [file for body in bodies for file in body["meta"].get("files", [])]
    done = [file for file in files if file["state"] == "success"]
    errors = [f"{file['filename']}: {file['error']}" for file in files if file["state"] == "failure"]
    for body in bodies:
        if body["result"] is None:
            left = body["meta"]["total"] - body["meta"]["current"]
            errors.append(f"not finished yet: {left} file(s) of task {body['task_id']} go on; poll that task")
    return Reindexed(
        success=not errors,
        documents_processed=len(done),
        chunks_created=sum(file["chunks"] for file in done),
        duration_seconds=duration_s,
        errors=errors[:SHOWN_ERRORS],
        task_ids=[body["task_id"] for body in bodies],
    )


def _since(started_at: float) -> float:
    return round(time.perf_counter() - started_at, 3)
