"""Takes files of this machine into a dataset, as uploads would: stored under their hash, with metadata and a row."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from config.loader import ProjectStore
from config.project import ProjectConfig
from rag.errors import LimitExceededError
from server.services.dispatching import IngestStarter
from state.file_names import StoredFile
from state.files import DatasetFiles
from state.generations import GenerationStore

COPIED_BYTES = 1_000_000

Place = tuple[str, str, str]
"""Namespace, project, dataset."""


class ImportDispatcher(IngestStarter, Protocol):
    """The part of `workers.dispatch.Dispatcher` that imports need."""

    def check_broker(self) -> None: ...

    def remove_file(self, namespace: str, project: str, config: ProjectConfig, dataset: str, file_hash: str) -> int: ...


class FileImport:
    def __init__(
        self,
        projects: ProjectStore,
        generations: GenerationStore,
        dispatcher: ImportDispatcher,
        *,
        max_upload_bytes: int,
    ) -> None:
        self._projects = projects
        self._generations = generations
        self._dispatcher = dispatcher
        self._max_bytes = max_upload_bytes

    def check_queue(self) -> None:
        """Raises UpstreamError when nothing could be processed now."""
        self._dispatcher.check_broker()

    def stored(self, place: Place) -> DatasetFiles:
        namespace, project, dataset = place
        return DatasetFiles(self._projects.paths(namespace, project).dataset(dataset))

    def take(self, place: Place, paths: Iterable[Path]) -> list[StoredFile]:
        """Store the files; what the dataset has already is kept as it is.

        Raises:
            LimitExceededError: a file is larger than an upload may be; those before it are stored.
            NotFoundError: project or dataset were deleted meanwhile.
        """
        files = self.stored(place)
        taken = [self._take_one(files, path) for path in paths]
        if taken:
            with files.locked():  # an upload of the same bytes must not make the row at the same time
                self._generations.ensure(*place, {file.hash: file.original_file_name for file in taken})
        return list({file.hash: file for file in taken}.values())

    def _take_one(self, files: DatasetFiles, path: Path) -> StoredFile:
        if path.stat().st_size > self._max_bytes:
            raise LimitExceededError(f"'{path.name}' is larger than {self._max_bytes} bytes (LF_MAX_UPLOAD_BYTES)")
        with path.open("rb") as source, files.receive(self._max_bytes) as incoming:
            shutil.copyfileobj(source, incoming, COPIED_BYTES)
            file, _ = incoming.commit(path.name, None)
        return file

    def process(self, place: Place, files: Sequence[StoredFile], request_id: str | None) -> str | None:
        """Start processing; returns the task's id, None when there is no file."""
        if not files:
            return None
        namespace, project, dataset = place
        return self._dispatcher.start_ingest(
            namespace=namespace,
            project=project,
            dataset=dataset,
            config=self._projects.load(namespace, project),
            files=files,
            request_id=request_id,
        )

    def remove(self, place: Place, file_hash: str) -> None:
        """Take a file out of the dataset, with its chunks and its bytes."""
        namespace, project, dataset = place
        config = self._projects.load(namespace, project)
        self._dispatcher.remove_file(namespace, project, config, dataset, file_hash)
        self.stored(place).remove(file_hash, with_bytes=True)
        self._generations.forget(*place, file_hash)
