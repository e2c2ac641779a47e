"""Extraction jobs of the second generation."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from rag.errors import BadRequestError, ConflictError, InvalidInputError, NotFoundError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.extract import (
    ExtractCreate,
    ExtractFields,
    ExtractJobMetadata,
    ExtractMetadata,
    ExtractPage,
    ExtractStatus,
    ExtractUsage,
    ExtractView,
)
from server.llamacloud.scope import Scope
from server.llamacloud.services.configurations import Configurations
from server.llamacloud.services.extract_jobs import checked_schema, file_job, files_of
from server.llamacloud.services.job_lists import jobs_of
from server.llamacloud.times import stamp
from state.cloud.jobs import CloudJob, JobState, NewJob

KIND = "extract"
PRODUCT = "extract_v2"
WORDS: Mapping[JobState, ExtractStatus] = {
    "waiting": "PENDING",
    "running": "RUNNING",
    "completed": "COMPLETED",
    "partial": "COMPLETED",
    "failed": "FAILED",
    "skipped": "FAILED",
    "cancelled": "CANCELLED",
}
EXPANDABLE = ("configuration", "extract_metadata", "usage")


class ExtractService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope

    def create(self, wanted: ExtractCreate) -> ExtractView:
        """
        Raises:
            InvalidInputError: the file, the configuration, its schema or an option is not good.
            UpstreamError: the broker does not answer; nothing was made.
        """
        given = wanted.file_input or wanted.document_input_value
        if given is None:
            raise InvalidInputError("file_input is missing: give the id of an uploaded file")
        saved = {}
        if wanted.configuration_id is not None:
            saved = Configurations(self._cloud).parameters(wanted.configuration_id, PRODUCT, self._scope.visible)
        if wanted.configuration is None and wanted.configuration_id is None:
            raise InvalidInputError("give a configuration with a data_schema, or a configuration_id")
        config = {**saved, **{key: each for key, each in (wanted.configuration or {}).items() if each is not None}}
        if wanted.webhook_configurations:
            config["webhook_configurations"] = len(wanted.webhook_configurations)
        job = self.job_for(given, config, configuration_id=wanted.configuration_id, ignored=wanted.ignored())
        return self.view(self._cloud.start(job))

    def job_for(
        self,
        file_input: str,
        config: dict[str, Any],
        *,
        configuration_id: str | None = None,
        ignored: Sequence[str] = (),
    ) -> NewJob:
        """A job that is not begun yet; for whoever begins many of them.

        Args:
            config: the parameters of an extract_v2 configuration.
            ignored: what was sent besides and has no effect; the result says so.
        """
        schema = checked_schema(config.get("data_schema"))
        if schema is None:
            sent = [repr(each[:60]) for each in sorted(config) if each != "data_schema"][:5]
            others = f"; it has {', '.join(sent)}" if sent else ""
            raise InvalidInputError(f"configuration.data_schema is missing: say what is to be read{others}")
        kind, file_id, project_id = self._source(file_input)
        (file,) = files_of(self._cloud, [file_id], project_id)
        options = {key: value for key, value in config.items() if key not in ("data_schema", "product_type")}
        return file_job(
            KIND,
            file,
            schema=schema,
            config=options,
            item_key=file_input,
            params_hash=configuration_id,
            file_input=file_input,
            document_input_type=kind,
            configuration_id=configuration_id,
            ignored_options=list(ignored),
        )

    def get(self, job_id: str, expand: Collection[str] = ()) -> ExtractView:
        _check_expand(expand)
        return self.view(self._job(job_id), expand)

    def page(
        self,
        token: str | None,
        size: int | None,
        *,
        expand: Collection[str],
        status: ExtractStatus | None,
        file_input: str | None,
        configuration_id: str | None,
        job_ids: Collection[str] | None,
        created: tuple[datetime | None, datetime | None],
    ) -> ExtractPage:
        _check_expand(expand)
        wanted = jobs_of(
            self._scope,
            WORDS,
            status,
            job_ids=job_ids,
            created=created,
            item_key=file_input,
            params_hash=configuration_id,
        )
        page = self._cloud.jobs.page(KIND, wanted, token, size)
        items = [self.view(each, expand) for each in page.items]
        return ExtractPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size or 0)

    def cancel(self, job_id: str) -> ExtractView:
        """Raises ConflictError for one that has ended."""
        job = self._job(job_id)
        if not self._cloud.jobs.cancel(KIND, job.id):
            raise ConflictError(f"extract job {job_id!r} is {WORDS[job.state]} already")
        return self.view(self._job(job_id))

    def delete(self, job_id: str) -> None:
        """With what it read; one that is under way stops."""
        self._cloud.jobs.delete(self._job(job_id).id)

    def view(self, job: CloudJob, expand: Collection[str] = ()) -> ExtractView:
        request, result = job.request, job.result or {}
        about = result.get("metadata") or {}
        # What is asked to end shows so at once, though its worker may take a moment to find out.
        state = "cancelled" if job.cancelled_at is not None and not job.is_final else job.state
        usage = ExtractUsage(num_pages_extracted=(about.get("usage") or {}).get("num_pages_extracted"))
        return ExtractView(
            id=job.id,
            project_id=job.project_id,
            status=WORDS[state],
            file_input=request.get("file_input") or request["file_id"],
            document_input_type=request.get("document_input_type") or "file_id",
            document_input_value=request.get("file_input") or request["file_id"],
            configuration={"data_schema": request["data_schema"], **request["config"]},
            configuration_id=request.get("configuration_id"),
            extract_result=result.get("data"),
            extract_metadata=_metadata(about) if about and _shows_metadata(request["config"], expand) else None,
            error_message=job.error if job.state == "failed" else None,
            metadata=ExtractJobMetadata(usage=usage),
            created_at=stamp(job.created_at),
            updated_at=stamp(job.updated_at),
        )

    def _job(self, job_id: str) -> CloudJob:
        return self._cloud.jobs.get(KIND, job_id, self._scope.visible)

    def _source(self, file_input: str) -> tuple[str, str, str]:
        """(kind of input, file id, project)."""
        visible = self._scope.visible
        try:
            found = self._cloud.objects.get("file", file_input, visible)
        except NotFoundError:
            pass
        else:
            return "file_id", found.id, found.project_id
        try:
            job = self._cloud.jobs.get("parse", file_input, visible)
        except NotFoundError as error:
            raise InvalidInputError(f"file_input {file_input[:100]!r} is neither a file nor a parse job") from error
        if not job.request.get("file_id"):
            raise BadRequestError(f"the file of parse job {file_input[:100]!r} was not kept; upload it")
        return "parse_job_id", str(job.request["file_id"]), job.project_id


def _check_expand(expand: Collection[str]) -> None:
    unknown = [each for each in expand if each not in EXPANDABLE]
    if unknown:
        raise InvalidInputError(f"expand = {unknown[0][:100]!r}: expected {', '.join(EXPANDABLE)}")


def _shows_metadata(config: dict[str, Any], expand: Collection[str]) -> bool:
    return "extract_metadata" in expand or bool(config.get("cite_sources") or config.get("confidence_scores"))


def _metadata(about: dict[str, Any]) -> ExtractMetadata:
    fields = about.get("field_metadata")
    if not isinstance(fields, list):
        shown = ExtractFields(document_metadata=fields or {})
    elif about.get("pages"):
        numbered = zip(about["pages"], fields, strict=False)
        shown = ExtractFields(page_metadata=[{"page_number": page, **each} for page, each in numbered])
    else:
        shown = ExtractFields(row_metadata=fields)
    return ExtractMetadata(
        field_metadata=shown,
        model=about.get("model"),
        warnings=about.get("warnings") or [],
        ignored_options=about.get("ignored_options") or [],
    )
