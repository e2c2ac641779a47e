"""Batches of the second generation: one job of a saved configuration for each file of a directory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

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
from server.llamacloud.services.extract_jobs import checked_schema, file_job
from server.llamacloud.services.job_lists import jobs_of
from server.llamacloud.services.parse_configuration import check_parameters, second_generation
from server.llamacloud.services.parsing import parse_job
from server.llamacloud.times import stamp
from state.cloud.ids import new_id
from state.cloud.job_lists import JobLists
from state.cloud.jobs import CloudJob, JobFilter, JobState, NewJob
from state.cloud.objects import CloudObject

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
            made = _extractions(sources, settings, job.configuration_id)
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
        wanted = jobs_of(
            self._scope,
            WORDS,
            "PENDING" if status == "THROTTLED" else status,
            created=created,
            item_key=directory_id,
        )
        page = self._cloud.jobs.page(KIND, wanted, token, size)
        items = self._views(page.items, expand)
        if status in ("PENDING", "THROTTLED") and any(each.status != status for each in items):
            return RunPage(items=[], total_size=0)  # of one project, all that wait are throttled or none is
        return RunPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size)

    def cancel(self, job_id: str) -> RunView:
        job = self._job(job_id)
        if not self._cloud.jobs.cancel(KIND, job.id):
            raise ConflictError(f"Batch {job.id!r} has ended already: it is {WORDS[job.state]}")
        return self._view(self._job(job_id))

    def _job(self, job_id: str) -> CloudJob:
        return self._cloud.jobs.get(KIND, job_id, self._scope.visible)

    def _view(self, job: CloudJob, expand: Collection[str] = ()) -> RunView:
        return self._views([job], expand)[0]

    def _views(self, jobs: Sequence[CloudJob], expand: Collection[str]) -> list[RunView]:
        unknown = sorted(set(expand) - {"results"})
        if unknown:
            raise InvalidInputError(f"expand = {unknown[0][:60]!r}: known is results")
        busy = self._busy({each.project_id for each in jobs if each.state == "waiting"})
        lists = JobLists(self._cloud.engine.database)
        items = lists.items_of([each.id for each in jobs]) if "results" in expand else None
        return [_run(each, busy, None if items is None else items[each.id]) for each in jobs]

    def _busy(self, project_ids: Collection[str]) -> set[str]:
        """Projects in which a batch is under way."""
        return {
            each
            for each in project_ids
            for kind in (KIND, "batch")
            if self._cloud.jobs.slice(kind, JobFilter(project_id=each, states=("running",)), limit=1, offset=0)[1]
        }


def _run(job: CloudJob, busy: Collection[str], items: Sequence[CloudJob] | None) -> RunView:
    """One of which nothing has begun while workers are busy with others waits for them."""
    is_throttled = job.state == "waiting" and job.project_id in busy
    return RunView(
        id=job.id,
        config=RunConfig.model_validate(job.request["config"]),
        project_id=job.project_id,
        source_directory_id=job.request["source_directory_id"],
        status="THROTTLED" if is_throttled else WORDS[job.state],
        created_at=stamp(job.created_at),
        updated_at=stamp(job.updated_at),
        results=None if items is None else [_result(each) for each in items],
    )


def _extractions(sources: Sequence[Source], settings: Mapping[str, Any], configuration_id: str) -> list[NewJob]:
    """Files that were deleted since are read from what the directory keeps of them."""
    schema = checked_schema(settings.get("data_schema"))
    if schema is None:
        raise InvalidInputError(f"configuration {configuration_id!r} has no data_schema: say in it what is to be read")
    options = {name: value for name, value in settings.items() if name != "data_schema"}

    def made(file: CloudObject) -> NewJob:
        if file.ref is None:
            raise InvalidInputError(f"the bytes of file {file.id!r} have not arrived yet; send them to its link first")
        return file_job(
            "extract",
            file,
            schema=schema,
            config=options,
            item_key=file.id,
            params_hash=configuration_id,
            file_input=file.id,
            document_input_type="file_id",
            configuration_id=configuration_id,
        )

    return [made(each.file) for each in sources]


def _result(job: CloudJob) -> RunResult:
    error = job.error if job.is_final else None
    kind = "parse_v2" if job.kind == "parse" else "extract_v2"
    reference = JobReference.model_validate({"id": job.id, "type": kind})
    return RunResult(source_directory_file_id=job.item_key or "", job_reference=reference, error_message=error)
