"""Parsing jobs as the second generation shows them."""

from collections.abc import Collection, Mapping
from datetime import datetime

from rag.errors import BadRequestError, ConflictError, InvalidInputError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.parse import ParseCreate, ParseJobView, ParsePage, ParseResultView, ParseStatus
from server.llamacloud.scope import Scope
from server.llamacloud.services.job_lists import jobs_of
from server.llamacloud.services.parsing import KIND, ParsingService, expanded
from server.llamacloud.services.uploading import Body
from server.llamacloud.times import stamp
from state.cloud.jobs import CloudJob, JobState

WORDS: Mapping[JobState, ParseStatus] = {
    "waiting": "PENDING",
    "running": "RUNNING",
    "completed": "COMPLETED",
    "partial": "COMPLETED",
    "failed": "FAILED",
    "skipped": "COMPLETED",
    "cancelled": "CANCELLED",
}
EXPANSIONS = frozenset({"markdown", "text", "items", "metadata", "markdown_full", "text_full"})


class ParseService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope
        self._jobs = ParsingService(cloud, scope)

    def create(self, wanted: ParseCreate) -> ParseJobView:
        if wanted.source_url:
            raise BadRequestError("source_url is refused: upload the file and name it by file_id")
        if not wanted.file_id:
            raise InvalidInputError("file_id is missing: the id of an uploaded file")
        about = {"configuration_id": wanted.configuration_id, "user_metadata": wanted.user_metadata}
        return view(self._jobs.create(wanted.file_id, {**(wanted.model_extra or {}), **about}))

    async def upload(self, body: Body) -> ParseJobView:
        return view(await self._jobs.upload_configured(body))

    def get(self, job_id: str, expand: Collection[str]) -> ParseResultView:
        unknown = sorted(set(expand) - EXPANSIONS)
        if unknown:
            raise InvalidInputError(f"expand = {unknown[0][:60]!r}: known are {', '.join(sorted(EXPANSIONS))}")
        job = self._jobs.get(job_id)
        has_result = bool(expand) and job.state in ("completed", "partial")
        read = self._jobs.result(job_id)[1] if has_result else None
        return ParseResultView.model_validate({"job": view(job), **expanded(job, read, expand)})

    def page(
        self,
        token: str | None,
        size: int | None,
        *,
        status: ParseStatus | None,
        job_ids: Collection[str] | None,
        created: tuple[datetime | None, datetime | None],
    ) -> ParsePage:
        wanted = jobs_of(self._scope, WORDS, status, job_ids=job_ids, created=created)
        page = self._cloud.jobs.page(KIND, wanted, token, size)
        items = [view(each) for each in page.items]
        return ParsePage(items=items, next_page_token=page.next_page_token, total_size=page.total_size)

    def cancel(self, job_id: str) -> ParseJobView:
        job = self._jobs.get(job_id)
        if not self._cloud.jobs.cancel(KIND, job.id):
            raise ConflictError(f"Parse job {job.id!r} has ended already: it is {job.state}")
        return view(self._jobs.get(job_id))


def view(job: CloudJob) -> ParseJobView:
    return ParseJobView(
        id=job.id,
        project_id=job.project_id,
        status=WORDS[job.state],
        name=job.name,
        tier=(job.request.get("configuration") or {}).get("tier"),
        user_metadata=(job.request.get("configuration") or {}).get("user_metadata"),
        error_message=job.error if job.is_final else None,
        created_at=stamp(job.created_at),
        updated_at=stamp(job.updated_at),
    )
