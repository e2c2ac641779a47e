"""Batches of the second generation: one job of a saved configuration for each file of a directory."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from rag.errors import ConflictError, InvalidInputError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.batches import (
    JobReference,
    RunConfig,
    RunCreate,
    RunPage,
    RunResult,
    RunStatus,
    RunView,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.batch_processing import Source, directory_sources
from server.llamacloud.services.configurations import Configurations
from server.llamacloud.services.extract import ExtractService
from server.llamacloud.services.parsing import check_parameters, parse_job, second_generation
from server.llamacloud.times import seconds_of, stamp
from state.cloud.ids import new_id
from state.cloud.jobs import CloudJob, JobFilter, JobState, NewJob

KIND = "batch_v2"
WORDS: Mapping[JobState, RunStatus] = {
    "waiting": "PENDING",
    "running": "RUNNING",
    "completed": "COMPLETED",
    "partial": "COMPLETED",
    "failed": "FAILED",
    "skipped": "COMPLETED",
    "cancelled": "CANCELLED",
}


class RunService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope

    def create(self, wanted: RunCreate) -> RunView:
        """
        Raises:
            InvalidInputError: the configuration does not exist, or is for another product.
            NotFoundError: there is no such directory.
            UpstreamError: the broker does not answer; nothing was made.
        """
        project_id, sources = directory_sources(self._cloud, self._scope, wanted.source_directory_id)
        job = wanted.config.job
        settings = Configurations(self._cloud).parameters(job.configuration_id, job.type, self._scope.visible)
        if job.type == "parse_v2":
            parameters = second_generation(settings)
            check_parameters(self._cloud, parameters, project_id)
            made = [parse_job(each.file, parameters, settings) for each in sources]
        else:
            made = [self._extract(each, settings, job.configuration_id) for each in sources]
        items = [
            replace(each, item_key=source.item_id, name=source.name) for source, each in zip(sources, made, strict=True)
        ]
        request = {"config": wanted.config.model_dump(), "source_directory_id": wanted.source_directory_id}
        key = wanted.source_directory_id
        return self._view(self._cloud.start(NewJob(new_id(KIND), KIND, project_id, request, item_key=key), items))

    def get(self, job_id: str, expand: Collection[str]) -> RunView:
        return self._view(self._job(job_id), expand)

    def page(
        self,
        token: str | None,
        size: int | None,
        *,
        directory_id: str | None,
        status: RunStatus | None,
        created: tuple[datetime | None, datetime | None],
        expand: Collection[str],
    ) -> RunPage:
        wanted = JobFilter(
            project_id=self._scope.project_id,
            item_key=directory_id,
            states=None if status is None else _states(status),
            created_from=seconds_of(created[0]),
            created_to=seconds_of(created[1]),
        )
        page = self._cloud.jobs.page(KIND, wanted, token, size)
        items = [self._view(each, expand) for each in page.items]
        return RunPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size)

    def cancel(self, job_id: str) -> RunView:
        job = self._job(job_id)
        if not self._cloud.jobs.cancel(KIND, job.id):
            raise ConflictError(f"Batch {job.id!r} has ended already: it is {WORDS[job.state]}")
        return self._view(self._job(job_id))

    def _extract(self, source: Source, settings: dict[str, object], configuration_id: str) -> NewJob:
        service = ExtractService(self._cloud, self._scope)
        return service.job_for(source.file.id, settings, configuration_id=configuration_id)

    def _job(self, job_id: str) -> CloudJob:
        return self._cloud.jobs.get(KIND, job_id, self._scope.visible)

    def _view(self, job: CloudJob, expand: Collection[str] = ()) -> RunView:
        unknown = sorted(set(expand) - {"results"})
        if unknown:
            raise InvalidInputError(f"expand = {unknown[0][:60]!r}: known is results")
        return RunView(
            id=job.id,
            config=RunConfig.model_validate(job.request["config"]),
            project_id=job.project_id,
            source_directory_id=job.request["source_directory_id"],
            status=self._status(job),
            created_at=stamp(job.created_at),
            updated_at=stamp(job.updated_at),
            results=[_result(each) for each in self._cloud.jobs.items(job.id)] if "results" in expand else None,
        )

    def _status(self, job: CloudJob) -> RunStatus:
        """One of which nothing has begun while workers are busy with others waits for them."""
        if job.state != "waiting":
            return WORDS[job.state]
        running = JobFilter(project_id=job.project_id, states=("running",))
        is_busy = any(self._cloud.jobs.slice(kind, running, limit=1, offset=0)[1] for kind in (KIND, "batch"))
        return "THROTTLED" if is_busy else "PENDING"


def _states(status: RunStatus) -> tuple[JobState, ...]:
    word = "PENDING" if status == "THROTTLED" else status
    return tuple(state for state, each in WORDS.items() if each == word)


def _result(job: CloudJob) -> RunResult:
    kind = "parse_v2" if job.kind == "parse" else "extract_v2"
    reference = JobReference.model_validate({"id": job.id, "type": kind})
    return RunResult(source_directory_file_id=job.item_key or "", job_reference=reference, error_message=None)
