"""What several services ask of the workers' dispatcher."""

from collections.abc import Sequence
from typing import Protocol

from config.overrides import ParserOverrides
from config.project import ProjectConfig
from state.file_names import StoredFile


class IngestStarter(Protocol):
    """The part of `workers.dispatch.Dispatcher` that starts a task over files of a dataset."""

    def start_ingest(
        self,
        *,
        namespace: str,
        project: str,
        dataset: str,
        config: ProjectConfig,
        files: Sequence[StoredFile],
        request_id: str | None,
        overrides: ParserOverrides | None = None,
        force: bool = False,
    ) -> str: ...
