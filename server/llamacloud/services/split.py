"""Split jobs: made, listed and read; the work is workers/cloud/split.py."""

from collections.abc import Collection, Mapping
from datetime import datetime

from rag.errors import InvalidInputError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.split import (
    DEFAULT_POLICY,
    SplitConfiguration,
    SplitCreate,
    SplitInputView,
    SplitJobView,
    SplitPage,
    SplitResult,
    SplitStatus,
    SplitStrategyView,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.configurations import Configurations, read_saved
from server.llamacloud.services.job_input import job_input, read_pages
from server.llamacloud.services.job_lists import jobs_of
from server.llamacloud.times import stamp
from state.cloud.ids import USER_ID, new_id
from state.cloud.jobs import CloudJob, JobState, NewJob

KIND = "split"
PRODUCT = "split_v1"
WORDS: Mapping[JobState, SplitStatus] = {
    "waiting": "pending",
    "running": "processing",
    "completed": "completed",
    "partial": "completed",
    "failed": "failed",
    "skipped": "failed",
    "cancelled": "cancelled",
}


class SplitService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope

    def create(self, wanted: SplitCreate) -> SplitJobView:
        """
        Raises:
            InvalidInputError: the document or the configuration is missing or not good.
            NotFoundError: there is no such file.
            UpstreamError: the broker does not answer; no job was made.
        """
        given = wanted.file_input or (wanted.document_input.value if wanted.document_input else None)
        if given is None:
            raise InvalidInputError("document_input is missing: give {type: file_id, value: <id of a file>}")
        found, config = job_input(self._cloud, self._scope, given), self._configuration(wanted)
        strategy, pages = config.splitting_strategy, config.target_pages
        request = {
            **found.request,
            "categories": [each.model_dump() for each in config.categories],
            "policy": (strategy and strategy.allow_uncategorized) or DEFAULT_POLICY,
            "min_pages_per_split": strategy and strategy.min_pages_per_split,
            "configuration_id": wanted.configuration_id,
            "target_pages": None if pages is None else read_pages(pages),
            "target_pages_given": pages,
            "ignored_parameters": sorted({*wanted.ignored(), *config.ignored()}),
        }
        job = NewJob(new_id(KIND), KIND, found.file.project_id, request, stage="parse", name=found.file.name)
        return _view(self._cloud.start(job))

    def get(self, job_id: str) -> SplitJobView:
        return _view(self._cloud.jobs.get(KIND, job_id, self._scope.visible))

    def page(
        self,
        token: str | None,
        size: int | None,
        *,
        status: SplitStatus | None,
        job_ids: Collection[str] | None,
        created: tuple[datetime | None, datetime | None],
    ) -> SplitPage:
        wanted = jobs_of(self._scope, WORDS, status, job_ids=job_ids, created=created)
        page = self._cloud.jobs.page(KIND, wanted, token, size)
        items = [_view(each) for each in page.items]
        return SplitPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size or 0)

    def _configuration(self, wanted: SplitCreate) -> SplitConfiguration:
        if wanted.configuration is not None:
            return wanted.configuration
        if wanted.categories is not None:
            return SplitConfiguration(categories=wanted.categories, splitting_strategy=wanted.splitting_strategy)
        if wanted.configuration_id is None:
            raise InvalidInputError("give a configuration with categories, or a configuration_id")
        saved = Configurations(self._cloud).parameters(wanted.configuration_id, PRODUCT, self._scope.visible)
        return read_saved(SplitConfiguration, saved, wanted.configuration_id)


def _view(job: CloudJob) -> SplitJobView:
    request = job.request
    return SplitJobView(
        id=job.id,
        categories=request["categories"],
        document_input=SplitInputView(type=request["document_input_type"], value=request["file_input"]),
        document_input_type=request["document_input_type"],
        file_input=request["file_input"],
        project_id=job.project_id,
        user_id=USER_ID,
        status=WORDS[job.state],
        splitting_strategy=SplitStrategyView(
            allow_uncategorized=request["policy"], min_pages_per_split=request["min_pages_per_split"]
        ),
        configuration_id=request["configuration_id"],
        target_pages=request.get("target_pages_given"),
        ignored_parameters=request.get("ignored_parameters") or [],
        error_message=job.error if job.is_final else None,
        result=None if job.result is None else SplitResult.model_validate(job.result),
        created_at=stamp(job.created_at),
        updated_at=stamp(job.updated_at),
    )
