"""What the dataset routes do, but for receiving uploads (see uploads.py)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from anyio import to_thread

from config.loader import ProjectStore
from config.project import DatasetConfig, ProjectConfig
from rag.errors import BadRequestError, RagError
from server.schemas.datasets import (
    DatasetChunksDeleted,
    DatasetCreate,
    DatasetDetails,
    DatasetList,
    DatasetStrategies,
    DatasetView,
    DetailedDataset,
    FileChunksDeleted,
    FileDetail,
    FileMetadata,
    FileRemoved,
    UploadAnswer,
)
from server.services.uploads import Upload, receive_upload, refuse_early
from state.file_names import StoredFile
from state.files import DatasetFiles
from state.generations import GenerationStore, LiveFile
from workers.dispatch import StoredFile as TaskFile


class DatasetDispatcher(Protocol):
    """The part of `workers.dispatch.Dispatcher` that datasets need."""

    def start_ingest(
        self,
        *,
        namespace: str,
        project: str,
        dataset: str,
        config: ProjectConfig,
        files: Sequence[TaskFile],
        request_id: str | None,
    ) -> str: ...

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

    def list(self, namespace: str, project: str, *, with_details: bool) -> DatasetList:
        config = self._projects.load(namespace, project)
        datasets = [self._view(namespace, project, entry, with_details=with_details) for entry in config.datasets]
        return DatasetList(total=len(datasets), datasets=datasets)

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
            raw["datasets"] = [each for each in raw.get("datasets") or [] if each.get("name") != dataset]

        self._projects.edit(namespace, project, remove)
        self._files(namespace, project, dataset).remove_all()
        self._generations.forget(namespace, project, dataset)  # also of uploads that came in meanwhile
        return view

    async def upload(
        self,
        namespace: str,
        project: str,
        dataset: str,
        body: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str],
        auto_process: bool | None,
        request_id: str | None,
    ) -> UploadAnswer:
        """Store a file; process it at once when the request or the dataset's configuration asks for that."""
        _, entry = await to_thread.run_sync(self._found, namespace, project, dataset)
        files, limit = self._files(namespace, project, dataset), self._max_upload_bytes
        refuse_early(self._projects.paths(namespace, project).root, length=_length(headers), max_bytes=limit)
        content_type = headers.get("content-type", "")
        upload = await receive_upload(files, body, content_type=content_type, max_bytes=limit)
        is_processed_now = entry.auto_process if auto_process is None else auto_process
        return await to_thread.run_sync(
            self._take_in, (namespace, project, dataset), upload, request_id, is_processed_now
        )

    def _take_in(
        self, place: tuple[str, str, str], upload: Upload, request_id: str | None, is_processed_now: bool
    ) -> UploadAnswer:
        """What follows once the bytes are there: the file's row, and its processing if that is wanted."""
        file = upload.file
        with self._files(*place).locked():  # two uploads of the same bytes must not both make the row
            self._generations.ensure(*place, {file.hash: file.original_file_name})
        try:
            config, _ = self._found(*place)
        except RagError:  # dataset or project were deleted during the upload
            self._generations.forget(*place, file.hash)
            raise
        answer = UploadAnswer(
            filename=file.original_file_name,
            hash=file.hash,
            skipped=upload.is_duplicate,
            status="skipped" if upload.is_duplicate else "uploaded",
        )
        is_live = self._generations.of_dataset(*place)[file.hash].generation is not None
        if not is_processed_now or (upload.is_duplicate and is_live):
            return answer
        task_id = self._start(place, config, [file], request_id)
        return answer.model_copy(update={"status": "processing", "task_id": task_id})

    def process(self, namespace: str, project: str, dataset: str, request_id: str | None) -> str:
        """Start processing every file of the dataset; returns the task's id."""
        config, _ = self._found(namespace, project, dataset)
        files = self._files(namespace, project, dataset).list()
        return self._start((namespace, project, dataset), config, files, request_id)

    def remove_file(
        self, namespace: str, project: str, dataset: str, file_hash: str, *, with_bytes: bool
    ) -> FileRemoved:
        """Take a file out of the dataset: pending work, chunks, metadata and, if asked for, its bytes."""
        config, _ = self._found(namespace, project, dataset)
        files = self._files(namespace, project, dataset)
        files.get(file_hash)
        deleted = self._dispatcher.remove_file(namespace, project, config, dataset, file_hash)
        files.remove(file_hash, with_bytes=with_bytes)
        self._generations.forget(namespace, project, dataset, file_hash)
        return FileRemoved(file_hash=file_hash, deleted_chunks=deleted)

    def clear_file(self, namespace: str, project: str, dataset: str, file_hash: str) -> FileRemoved:
        """Delete a file's chunks; the file stays and can be processed again."""
        config, _ = self._found(namespace, project, dataset)
        self._files(namespace, project, dataset).get(file_hash)
        deleted = self._dispatcher.remove_chunks(namespace, project, config, dataset, file_hash)
        return FileRemoved(file_hash=file_hash, deleted_chunks=deleted)

    def delete_file_chunks(
        self, namespace: str, project: str, dataset: str, file_hash: str | None
    ) -> FileChunksDeleted:
        if file_hash is None:
            raise BadRequestError("action 'delete_file_chunks' needs 'file_hash'")
        removed = self.clear_file(namespace, project, dataset, file_hash)
        message = f"Deleted {removed.deleted_chunks} chunk(s)"
        return FileChunksDeleted(message=message, **removed.model_dump())

    def delete_dataset_chunks(self, namespace: str, project: str, dataset: str) -> DatasetChunksDeleted:
        """Delete the chunks of every file; the files stay."""
        config, _ = self._found(namespace, project, dataset)
        files = self._files(namespace, project, dataset).list()
        deleted = sum(self._dispatcher.remove_chunks(namespace, project, config, dataset, file.hash) for file in files)
        message = f"Deleted {deleted} chunk(s) of {len(files)} file(s)"
        return DatasetChunksDeleted(message=message, total_deleted_chunks=deleted, total_files_cleared=len(files))

    def _start(
        self, place: tuple[str, str, str], config: ProjectConfig, files: Sequence[StoredFile], request_id: str | None
    ) -> str:
        namespace, project, dataset = place
        return self._dispatcher.start_ingest(
            namespace=namespace,
            project=project,
            dataset=dataset,
            config=config,
            files=[TaskFile(file.hash, file.original_file_name) for file in files],
            request_id=request_id,
        )

    def _found(self, namespace: str, project: str, dataset: str) -> tuple[ProjectConfig, DatasetConfig]:
        config = self._projects.load(namespace, project)
        return config, config.dataset(dataset)

    def _files(self, namespace: str, project: str, dataset: str) -> DatasetFiles:
        return DatasetFiles(self._projects.paths(namespace, project).dataset(dataset))

    def _view(
        self, namespace: str, project: str, entry: DatasetConfig, *, with_details: bool
    ) -> DatasetView | DetailedDataset:
        try:
            files = self._files(namespace, project, entry.name).list()
        except BadRequestError:  # a name in an old file that can be no folder has no files
            files = []
        base = {
            "name": entry.name,
            "database": entry.database,
            "data_processing_strategy": entry.data_processing_strategy,
            "files": [file.hash for file in files],
            "auto_process": entry.auto_process,
        }
        if not with_details:
            return DatasetView(**base)
        live = self._generations.of_dataset(namespace, project, entry.name)
        return DetailedDataset(**base, details=_details(files, live))


def _details(files: Sequence[StoredFile], live: Mapping[str, LiveFile]) -> DatasetDetails:
    return DatasetDetails(
        total_files=len(files),
        total_size_bytes=sum(file.size for file in files),
        file_details=[
            FileDetail(
                hash=file.hash, original_filename=file.original_file_name, size=file.size, timestamp=file.timestamp
            )
            for file in files
        ],
        files_metadata=[
            FileMetadata(
                original_file_name=file.original_file_name,
                resolved_file_name=file.resolved_file_name,
                timestamp=file.timestamp,
                size=file.size,
                mime_type=file.mime_type,
                hash=file.hash,
                chunk_count=live[file.hash].chunk_count if file.hash in live else 0,
            )
            for file in files
        ],
    )


def _length(headers: Mapping[str, str]) -> int:
    """What the client declares; 0 when it declares nothing."""
    length = headers.get("content-length", "")
    return int(length[:20]) if length.isdecimal() else 0


def _not_supported(kind: str, name: str, known: list[str]) -> BadRequestError:
    return BadRequestError(f"RAG {kind} {name} not supported. Available: {', '.join(known) or 'none'}")
