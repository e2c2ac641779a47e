"""What the dataset routes do, but for receiving uploads (see uploads.py)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from anyio import to_thread

from config.loader import ProjectStore
from config.overrides import ParserOverrides, check_against
from config.project import DatasetConfig, ProjectConfig
from rag.errors import BadRequestError, NotFoundError, RagError, UpstreamError
from server.schemas.datasets import (
    BulkAnswer,
    DatasetChunksDeleted,
    DatasetCreate,
    DatasetStrategies,
    DatasetView,
    FileChunksDeleted,
    FileRemoved,
    UploadAnswer,
    UploadStatus,
)
from server.services.dataset_views import bulk_answer, dataset_view
from server.services.dispatching import IngestStarter
from server.services.uploads import (
    MAX_BULK_FILES,
    CheckOverrides,
    Received,
    receive_bulk,
    receive_upload,
    refuse_early,
)
from state.file_names import StoredFile
from state.files import DatasetFiles
from state.generations import GenerationStore

MAX_HASH_CHARS = 64

Place = tuple[str, str, str]
"""Namespace, project, dataset."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What comes with the body of an upload.

    Args:
        length: as the client declares it; 0 when it declares nothing.
    """

    content_type: str = ""
    length: int = 0
    auto_process: bool | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a dataset is processed, and how.

    Args:
        failed_only: files whose last processing failed.
        overrides: options of cutting, instead of those that came with the files.
        force: also what is unchanged.
    """

    file_hash: str | None = None
    failed_only: bool = False
    overrides: ParserOverrides | None = None
    force: bool = False


EVERYTHING = Selection()


class DatasetDispatcher(IngestStarter, Protocol):
    """The part of `workers.dispatch.Dispatcher` that datasets need."""

    def failed_files(self, namespace: str, project: str, dataset: str) -> set[str]: ...

    def remove_chunks(
        self, namespace: str, project: str, config: ProjectConfig, dataset: str, file_hash: str
    ) -> int: ...

    def remove_file(self, namespace: str, project: str, config: ProjectConfig, dataset: str, file_hash: str) -> int: ...

    def remove_dataset(self, namespace: str, project: str, config: ProjectConfig, dataset: str) -> int: ...


class DatasetService:
    def __init__(
        self,
        projects: ProjectStore,
        dispatcher: DatasetDispatcher,
        generations: GenerationStore,
        *,
        max_upload_bytes: int,
    ) -> None:
        self._projects = projects
        self._dispatcher = dispatcher
        self._generations = generations
        self._max_upload_bytes = max_upload_bytes

    def list(self, namespace: str, project: str, *, with_details: bool) -> dict[str, Any]:
        """As `DatasetList`."""
        config = self._projects.load(namespace, project)
        datasets = [self._view(namespace, project, entry, with_details=with_details) for entry in config.datasets]
        return {"total": len(datasets), "datasets": datasets}

    def strategies(self, namespace: str, project: str) -> DatasetStrategies:
        config = self._projects.load(namespace, project)
        if config.rag is None:
            return DatasetStrategies(data_processing_strategies=[], databases=[])
        return DatasetStrategies(
            data_processing_strategies=[entry.name for entry in config.strategies],
            databases=[entry.name for entry in config.databases],
        )

    def create(self, namespace: str, project: str, wanted: DatasetCreate) -> DatasetView:
        """Add the dataset to llamafarm.yaml.

        Raises:
            BadRequestError: it exists already, or its strategy or database does not.
        """
        config = self._projects.load(namespace, project)
        strategies = [entry.name for entry in config.strategies]
        if wanted.data_processing_strategy not in strategies:
            raise _not_supported("data processing strategy", wanted.data_processing_strategy, strategies)
        databases = [entry.name for entry in config.databases]
        if wanted.database not in databases:
            raise _not_supported("database", wanted.database, databases)

        def add(raw: dict[str, Any]) -> None:
            known = raw.get("datasets") or []
            if any(str(entry.get("name")).lower() == wanted.name.lower() for entry in known):
                raise BadRequestError(f"Dataset {wanted.name} already exists")
            raw["datasets"] = [*known, wanted.model_dump()]

        self._projects.edit(namespace, project, add)
        return DatasetView(**wanted.model_dump())

    def delete(self, namespace: str, project: str, dataset: str) -> DatasetView:
        """Remove the dataset with its pending work, its chunks and its files."""
        config, entry = self._found(namespace, project, dataset)
        view = self._view(namespace, project, entry, with_details=False)
        self._dispatcher.remove_dataset(namespace, project, config, dataset)

        def remove(raw: dict[str, Any]) -> None:
            known = raw.get("datasets") or []
            raw["datasets"] = [each for each in known if each.get("name") != dataset]
            if len(raw["datasets"]) == len(known):  # somebody else has just deleted it
                raise NotFoundError(f"Dataset {dataset} not found")

        self._projects.edit(namespace, project, remove)
        self._files(namespace, project, dataset).remove_all()
        self._generations.forget(namespace, project, dataset)  # also of uploads that came in meanwhile
        return DatasetView(**view)

    async def upload(self, place: Place, body: AsyncIterator[bytes], wanted: UploadRequest) -> UploadAnswer:
        """Store a file; process it at once when the request or the dataset's configuration asks for that."""
        files, entry, check = await to_thread.run_sync(self._upload_target, place)
        limit = self._max_upload_bytes
        refuse_early(self._project_root(place), length=wanted.length, max_bytes=limit)
        received = await receive_upload(files, body, content_type=wanted.content_type, max_bytes=limit, check=check)
        is_processed_now = entry.auto_process if wanted.auto_process is None else wanted.auto_process
        task_id = await to_thread.run_sync(self._take_in, place, received, wanted.request_id, is_processed_now)
        (upload,) = received.stored
        return UploadAnswer(
            filename=upload.file.original_file_name,
            hash=upload.file.hash,
            skipped=upload.is_duplicate,
            status=_status(received, task_id),
            task_id=task_id,
        )

    async def upload_bulk(self, place: Place, body: AsyncIterator[bytes], wanted: UploadRequest) -> BulkAnswer:
        """Store several files; one that cannot be stored is told by name and keeps no other back."""
        files, _, check = await to_thread.run_sync(self._upload_target, place)
        limit = self._max_upload_bytes
        refuse_early(self._project_root(place), length=wanted.length, max_bytes=MAX_BULK_FILES * limit)
        received = await receive_bulk(files, body, content_type=wanted.content_type, max_bytes=limit, check=check)
        task_id = await to_thread.run_sync(
            self._take_in, place, received, wanted.request_id, wanted.auto_process or False
        )
        return bulk_answer(received, _status(received, task_id), task_id)

    def _project_root(self, place: Place) -> Path:
        """On the disk that an upload goes to; the dataset's own folder may not be there yet."""
        return self._projects.paths(*place[:2]).root

    def _upload_target(self, place: Place) -> tuple[DatasetFiles, DatasetConfig, CheckOverrides]:
        config, entry = self._found(*place)

        def check(overrides: ParserOverrides | None) -> None:
            if overrides:
                check_against(overrides, config.strategy(entry.data_processing_strategy))

        return self._files(*place), entry, check

    def _take_in(self, place: Place, received: Received, request_id: str | None, is_processed_now: bool) -> str | None:
        """What follows once the bytes are there: the files' rows, and their processing if that is wanted."""
        uploads, files = received.stored, self._files(*place)
        if not uploads:
            return None
        names = {upload.file.hash: upload.file.original_file_name for upload in uploads}
        with files.locked():  # two uploads of the same bytes must not both make the row
            self._generations.ensure(*place, names)
        try:
            config, _ = self._found(*place)
        except RagError:  # dataset or project were deleted during the upload
            for file_hash in names:
                self._generations.forget(*place, file_hash)
            raise
        taken = {upload.file.hash: upload.file for upload in uploads}
        if received.overrides is not None:
            taken = {file_hash: files.set_overrides(file_hash, received.overrides) for file_hash in taken}
        if not is_processed_now:
            return None
        live = self._generations.of_dataset(*place)
        is_known = {upload.file.hash for upload in uploads if upload.is_duplicate and live[upload.file.hash].generation}
        if received.overrides is None and is_known >= set(taken):
            return None
        return self._start(place, config, list(taken.values()), request_id)

    def process(self, place: Place, request_id: str | None, which: Selection = EVERYTHING) -> str:
        """Start processing files of the dataset, all of them unless `which` says less; returns the task's id.

        Raises:
            NotFoundError: no such dataset, or no such file in it.
            BadRequestError: an override does not go with the dataset's strategy.
        """
        config, _ = self._found(*place)
        files = self._files(*place)
        chosen = files.list() if which.file_hash is None else [files.get(which.file_hash)]
        if which.failed_only:
            failed = self._dispatcher.failed_files(*place)
            chosen = [file for file in chosen if file.hash in failed]
        return self._start(place, config, chosen, request_id, overrides=which.overrides, force=which.force)

    def remove_file(
        self, namespace: str, project: str, dataset: str, file_hash: str, *, with_bytes: bool
    ) -> FileRemoved:
        """Take a file out of the dataset: pending work, chunks, metadata and, if asked for, its bytes."""
        config, _ = self._found(namespace, project, dataset)
        self._require_file((namespace, project, dataset), file_hash)
        deleted = self._dispatcher.remove_file(namespace, project, config, dataset, file_hash)
        self._files(namespace, project, dataset).remove(file_hash, with_bytes=with_bytes)
        self._generations.forget(namespace, project, dataset, file_hash)
        return FileRemoved(file_hash=file_hash, deleted_chunks=deleted)

    def clear_file(self, namespace: str, project: str, dataset: str, file_hash: str) -> FileRemoved:
        """Delete a file's chunks; the file stays and can be processed again."""
        config, _ = self._found(namespace, project, dataset)
        has_metadata = self._require_file((namespace, project, dataset), file_hash)
        deleted = self._dispatcher.remove_chunks(namespace, project, config, dataset, file_hash)
        if not has_metadata:  # nothing is left of it
            self._generations.forget(namespace, project, dataset, file_hash)
        return FileRemoved(file_hash=file_hash, deleted_chunks=deleted)

    def _require_file(self, place: Place, file_hash: str) -> bool:
        """Whether the file has metadata. One whose metadata was deleted by hand is still known by its chunks.

        Raises:
            NotFoundError: it is not known at all.
        """
        files = self._files(*place)
        if files.find(file_hash) is not None:
            return True
        if len(file_hash) > MAX_HASH_CHARS or self._generations.of_file(*place, file_hash) is None:
            files.get(file_hash)  # raises
        return False

    def delete_file_chunks(
        self, namespace: str, project: str, dataset: str, file_hash: str | None
    ) -> FileChunksDeleted:
        if file_hash is None:
            raise BadRequestError("action 'delete_file_chunks' needs 'file_hash'")
        removed = self.clear_file(namespace, project, dataset, file_hash)
        message = f"Deleted {removed.deleted_chunks} chunk(s)"
        return FileChunksDeleted(message=message, **removed.model_dump())

    def delete_dataset_chunks(self, namespace: str, project: str, dataset: str) -> DatasetChunksDeleted:
        """Delete the chunks of every file; the files stay.

        Raises:
            UpstreamError: the store does not answer, and nothing was deleted.
        """
        config, _ = self._found(namespace, project, dataset)
        hashes = {file.hash for file in self._files(namespace, project, dataset).list()}
        hashes |= set(self._generations.of_dataset(namespace, project, dataset))
        deleted = cleared = 0
        for file_hash in sorted(hashes):
            try:
                deleted += self._dispatcher.remove_chunks(namespace, project, config, dataset, file_hash)
            except UpstreamError:
                if not cleared:
                    raise
                break  # it would not answer for the others either, and each would wait for that
            cleared += 1
        failed = len(hashes) - cleared
        return DatasetChunksDeleted(
            message=f"Deleted {deleted} chunk(s) of {cleared} file(s)" + (f"; {failed} failed" if failed else ""),
            total_deleted_chunks=deleted,
            total_files_cleared=cleared,
            total_files_failed=failed,
        )

    def _start(
        self,
        place: Place,
        config: ProjectConfig,
        files: Sequence[StoredFile],
        request_id: str | None,
        *,
        overrides: ParserOverrides | None = None,
        force: bool = False,
    ) -> str:
        namespace, project, dataset = place
        return self._dispatcher.start_ingest(
            namespace=namespace,
            project=project,
            dataset=dataset,
            config=config,
            files=files,
            request_id=request_id,
            overrides=overrides,
            force=force,
        )

    def _found(self, namespace: str, project: str, dataset: str) -> tuple[ProjectConfig, DatasetConfig]:
        config = self._projects.load(namespace, project)
        return config, config.dataset(dataset)

    def _files(self, namespace: str, project: str, dataset: str) -> DatasetFiles:
        return DatasetFiles(self._projects.paths(namespace, project).dataset(dataset))

    def _view(self, namespace: str, project: str, entry: DatasetConfig, *, with_details: bool) -> dict[str, Any]:
        try:
            files = self._files(namespace, project, entry.name).list()
        except BadRequestError:  # a name in an old file that can be no folder has no files
            files = []
        live = self._generations.of_dataset(namespace, project, entry.name) if with_details else None
        return dataset_view(entry, files, live)


def _status(received: Received, task_id: str | None) -> UploadStatus:
    if task_id is not None:
        return "processing"
    if not received.stored:
        return "failed"
    return "skipped" if all(upload.is_duplicate for upload in received.stored) else "uploaded"


def _not_supported(kind: str, name: str, known: list[str]) -> BadRequestError:
    return BadRequestError(f"RAG {kind} {name} not supported. Available: {', '.join(known) or 'none'}")
