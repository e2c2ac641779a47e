"""Classify jobs, in both generations: made, listed and read; the work is workers/cloud/classify.py."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from rag.errors import InvalidInputError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.classify import (
    ClassifierCreate,
    ClassifierJobPage,
    ClassifierJobView,
    ClassifierResults,
    ClassifyConfiguration,
    ClassifyCreate,
    ClassifyPage,
    ClassifyParsing,
    ClassifyResult,
    ClassifyStatus,
    ClassifyView,
    FileClassification,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.configurations import Configurations, read_saved
from server.llamacloud.services.job_input import job_input, read_pages
from server.llamacloud.services.job_lists import FIRST_WORDS, jobs_of
from server.llamacloud.times import stamp
from state.cloud.ids import USER_ID, new_id
from state.cloud.jobs import CloudJob, JobFilter, JobState, NewJob

ITEM, RUN, SECOND = "classify", "classify_run", "classify_v2"
"""One file of several, or of a batch; what gathers them; a job of the second generation."""
PRODUCT = "classify_v2"
WORDS: Mapping[JobState, ClassifyStatus] = {
    "waiting": "PENDING",
    "running": "RUNNING",
    "completed": "COMPLETED",
    "partial": "COMPLETED",
    "failed": "FAILED",
    "skipped": "FAILED",
    "cancelled": "CANCELLED",
}


class ClassifierService:
    """The first generation: one job for several files."""

    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope

    def create(self, wanted: ClassifierCreate) -> ClassifierJobView:
        """
        Raises:
            InvalidInputError: it asks for a model that sees.
            NotFoundError: there is no such file.
            UpstreamError: the broker does not answer; no job was made.
        """
        if wanted.mode == "MULTIMODAL":
            raise InvalidInputError("mode MULTIMODAL needs a model that sees, which this server has not: use FAST")
        shared = {
            "rules": [each.model_dump() for each in wanted.rules],
            "mode": "FAST",
            "parsing_configuration": wanted.parsing_configuration and wanted.parsing_configuration.model_dump(),
            "ignored_parameters": wanted.ignored(),
        }
        files = [job_input(self._cloud, self._scope, each) for each in dict.fromkeys(wanted.file_ids)]
        project_id = files[0].file.project_id
        if any(each.file.project_id != project_id for each in files):
            raise InvalidInputError("file_ids: the files of one job have to belong to one project")
        items = [
            NewJob(new_id(ITEM), ITEM, project_id, {**each.request, **shared}, stage="parse", name=each.file.name)
            for each in files
        ]
        return self._view(self._cloud.start(NewJob(new_id(RUN), RUN, project_id, shared), items))

    def get(self, job_id: str) -> ClassifierJobView:
        return self._view(self._job(job_id))

    def page(self, token: str | None, size: int | None) -> ClassifierJobPage:
        page = self._cloud.jobs.page(RUN, JobFilter(project_id=self._scope.project_id), token, size)
        items = [self._view(each) for each in page.items]
        return ClassifierJobPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size or 0)

    def results(self, job_id: str) -> ClassifierResults:
        job = self._job(job_id)
        files = self._cloud.jobs.items(job.id) if job.kind == RUN else [job]
        items = [
            FileClassification(
                id=each.id,
                classify_job_id=job.id,
                file_id=each.request["file_id"],
                result=_result(each),
                error_message=each.error if each.is_final else None,
                created_at=stamp(each.created_at),
                updated_at=stamp(each.updated_at),
            )
            for each in files
        ]
        return ClassifierResults(items=items, total_size=len(items))

    def _job(self, job_id: str) -> CloudJob:
        """Of several files, or the job of one, such as a batch makes."""
        try:
            return self._cloud.jobs.get(RUN, job_id, self._scope.visible)
        except NotFoundError:
            return self._cloud.jobs.get(ITEM, job_id, self._scope.visible)

    def _view(self, job: CloudJob) -> ClassifierJobView:
        status = FIRST_WORDS[job.state]
        if job.state == "completed" and job.kind == RUN and self._cloud.jobs.counts([job.id])[job.id].get("failed"):
            status = "PARTIAL_SUCCESS"
        return ClassifierJobView(
            id=job.id,
            project_id=job.project_id,
            user_id=USER_ID,
            rules=job.request["rules"],
            status=status,
            parsing_configuration=job.request.get("parsing_configuration"),
            ignored_parameters=job.request.get("ignored_parameters") or [],
            error_message=job.error if job.is_final else None,
            job_record_id=job.id,
            created_at=stamp(job.created_at),
            updated_at=stamp(job.updated_at),
            effective_at=stamp(job.updated_at),
        )


class ClassifyService:
    """The second generation: one job for one document."""

    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope

    def create(self, wanted: ClassifyCreate) -> ClassifyView:
        """Raises as `ClassifierService.create`, and InvalidInputError for a configuration that is missing."""
        given = wanted.file_input or wanted.file_id or wanted.parse_job_id
        if given is None:
            raise InvalidInputError("file_input is missing: give the id of a file, or of a parse job")
        found, config = job_input(self._cloud, self._scope, given), self._configuration(wanted)
        request = {
            **found.request,
            "rules": [each.model_dump() for each in config.rules],
            "mode": "FAST",
            "parsing_configuration": _counted_from_zero(config.parsing_configuration),
            "configuration": config.model_dump(exclude_none=True),
            "configuration_id": wanted.configuration_id,
            "ignored_parameters": sorted({*wanted.ignored(), *config.ignored()}),
        }
        job = NewJob(
            new_id(SECOND),
            SECOND,
            found.file.project_id,
            request,
            stage="parse",
            name=found.file.name,
            params_hash=wanted.configuration_id,
        )
        return _view(self._cloud.start(job))

    def get(self, job_id: str) -> ClassifyView:
        return _view(self._cloud.jobs.get(SECOND, job_id, self._scope.visible))

    def page(
        self,
        token: str | None,
        size: int | None,
        *,
        status: ClassifyStatus | None,
        job_ids: Collection[str] | None,
        configuration_id: str | None,
        created: tuple[datetime | None, datetime | None],
    ) -> ClassifyPage:
        wanted = jobs_of(self._scope, WORDS, status, job_ids=job_ids, created=created, params_hash=configuration_id)
        page = self._cloud.jobs.page(SECOND, wanted, token, size)
        items = [_view(each) for each in page.items]
        return ClassifyPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size or 0)

    def _configuration(self, wanted: ClassifyCreate) -> ClassifyConfiguration:
        if wanted.configuration is not None:
            return wanted.configuration
        if wanted.configuration_id is None:
            raise InvalidInputError("give a configuration with rules, or a configuration_id")
        saved = Configurations(self._cloud).parameters(wanted.configuration_id, PRODUCT, self._scope.visible)
        return read_saved(ClassifyConfiguration, saved, wanted.configuration_id)


def _counted_from_zero(parsing: ClassifyParsing | None) -> dict[str, Any] | None:
    if parsing is None:
        return None
    pages = None if parsing.target_pages is None else read_pages(parsing.target_pages)
    return {"lang": parsing.lang, "max_pages": parsing.max_pages, "target_pages": pages}


def _result(job: CloudJob) -> ClassifyResult | None:
    return None if job.result is None else ClassifyResult.model_validate(job.result)


def _view(job: CloudJob) -> ClassifyView:
    request = job.request
    is_parsed = request["document_input_type"] == "parse_job_id"
    return ClassifyView(
        id=job.id,
        configuration=request["configuration"],
        configuration_id=request["configuration_id"],
        ignored_parameters=request.get("ignored_parameters") or [],
        document_input_type=request["document_input_type"],
        file_input=request["file_input"],
        parse_job_id=request["file_input"] if is_parsed else None,
        project_id=job.project_id,
        user_id=USER_ID,
        status=WORDS[job.state],
        error_message=job.error if job.is_final else None,
        result=_result(job),
        created_at=stamp(job.created_at),
        updated_at=stamp(job.updated_at),
    )
