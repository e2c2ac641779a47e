"""Spreadsheet jobs: made, listed, read and deleted; the work is workers/cloud/sheets.py."""

import shutil
from collections.abc import Collection
from datetime import datetime
from pathlib import PurePath

from rag.errors import InvalidInputError, NotFoundError
from rag.sheets.places import read_range
from server.llamacloud.engine import CloudEngine
from server.llamacloud.links import Links, PresignedURL
from server.llamacloud.schemas.files import FileView
from server.llamacloud.schemas.sheets import (
    ResultType,
    SheetsConfig,
    SheetsCreate,
    SheetsJobView,
    SheetsPage,
    SheetsRegion,
    WorksheetMetadata,
)
from server.llamacloud.schemas.text import FirstStatus
from server.llamacloud.scope import Scope
from server.llamacloud.services.configurations import Configurations, read_saved
from server.llamacloud.services.files import view_of
from server.llamacloud.services.job_lists import FIRST_WORDS, jobs_of
from server.llamacloud.times import stamp
from state.cloud.ids import USER_ID, new_id
from state.cloud.jobs import CloudJob, NewJob
from state.cloud.objects import CloudObject

KIND = "sheets"
PRODUCT = "spreadsheet_v1"
PARQUET = "application/vnd.apache.parquet"


class SheetsService:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope

    def create(self, wanted: SheetsCreate) -> SheetsJobView:
        """
        Raises:
            NotFoundError: there is no such file.
            InvalidInputError: its bytes have not arrived, or the configuration is not good.
            UpstreamError: the broker does not answer; no job was made.
        """
        file = self._cloud.objects.get("file", wanted.file_id, self._scope.visible)
        if file.ref is None:
            raise InvalidInputError(f"the bytes of file {file.id!r} have not arrived yet; send them to its link first")
        config = self._config(wanted)
        if config.extraction_range is not None:
            read_range(config.extraction_range)
        request = {
            "file_id": file.id,
            "file_hash": file.ref,
            "file_name": file.name or file.id,
            "file": view_of(file).model_dump(mode="json"),
            "config": config.model_dump(),
            "configuration_id": wanted.configuration_id,
            "notes": _not_applied(config, wanted),
        }
        job = NewJob(new_id(KIND), KIND, file.project_id, request, stage="parse", name=file.name)
        return self._view(self._cloud.start(job), with_results=True)

    def get(self, job_id: str, *, with_results: bool) -> SheetsJobView:
        return self._view(self._job(job_id), with_results=with_results)

    def page(
        self,
        token: str | None,
        size: int | None,
        *,
        status: FirstStatus | None,
        job_ids: Collection[str] | None,
        created: tuple[datetime | None, datetime | None],
        with_results: bool,
    ) -> SheetsPage:
        wanted = jobs_of(self._scope, FIRST_WORDS, status, job_ids=job_ids, created=created)
        page = self._cloud.jobs.page(KIND, wanted, token, size)
        known = self._cloud.objects.by_ids("file", [job.request["file_id"] for job in page.items], self._scope.visible)
        items = [_view(job, known.get(job.request["file_id"]), with_results=with_results) for job in page.items]
        return SheetsPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size or 0)

    def result(self, job_id: str, region_id: str, kind: ResultType, links: Links, seconds: int | None) -> PresignedURL:
        """
        Raises:
            NotFoundError: the job has no such region, or the region has no data of this kind.
            InvalidInputError: `seconds` is not 1 to seven days.
        """
        job = self._job(job_id)
        regions = (job.result or {}).get("regions", [])
        region = next((each for each in regions if each["region_id"] == region_id), None)
        if region is None:
            why = "" if job.is_final else "; the job has not ended yet"
            raise NotFoundError(f"Region {region_id[:100]!r} not found in sheets job {job_id[:100]!r}{why}")
        if kind not in (region["region_type"], "cell_metadata"):
            raise NotFoundError(
                f"Region {region_id!r} is of type {region['region_type']!r} and has no result {kind!r}; ask for "
                f"{region['region_type']!r} or 'cell_metadata'"
            )
        stem = PurePath(job.name or "sheet").stem
        claim = {
            "kind": "result",
            "project_id": job.project_id,
            "job_id": job.id,
            "name": f"{region_id}.{kind}.parquet",
            "media_type": PARQUET,
            "filename": f"{stem[:100]}-{region['location'].replace(':', '-')}-{kind}.parquet",
        }
        return links.presigned(claim, seconds)

    def delete(self, job_id: str) -> None:
        """The row first: a worker that has the job in hand then keeps nothing."""
        job = self._job(job_id)
        self._cloud.jobs.delete(job.id)
        shutil.rmtree(self._cloud.files(job.project_id).root / "jobs" / job.id, ignore_errors=True)

    def _job(self, job_id: str) -> CloudJob:
        return self._cloud.jobs.get(KIND, job_id, self._scope.visible)

    def _config(self, wanted: SheetsCreate) -> SheetsConfig:
        given = wanted.configuration or wanted.config
        if given is not None or wanted.configuration_id is None:
            return given or SheetsConfig()
        saved = Configurations(self._cloud).parameters(wanted.configuration_id, PRODUCT, self._scope.visible)
        return read_saved(SheetsConfig, saved, wanted.configuration_id)

    def _view(self, job: CloudJob, *, with_results: bool) -> SheetsJobView:
        file_id = job.request["file_id"]
        file = self._cloud.objects.by_ids("file", [file_id], job.project_id).get(file_id)
        return _view(job, file, with_results=with_results)


def _not_applied(config: SheetsConfig, wanted: SheetsCreate) -> list[str]:
    notes = []
    if config.specialization is not None:
        notes.append(f"specialization '{config.specialization}' was not applied: regions are found by general rules")
    if config.use_experimental_processing:
        notes.append("use_experimental_processing was not applied: there is no experimental processing here")
    if config.tier == "agentic":
        notes.append("tier 'agentic' was not applied: regions are found by rules, without a language model")
    if wanted.webhook_configurations:
        notes.append("webhook_configurations were not applied: webhooks are not sent")
    return notes


def _view(job: CloudJob, file: CloudObject | None, *, with_results: bool) -> SheetsJobView:
    """A file that was deleted since is shown as it was."""
    result = job.result or {}
    shown = result if with_results else {}
    request = job.request
    errors = result.get("errors") or ([job.error] if job.error and job.is_final else [])
    return SheetsJobView(
        id=job.id,
        config=SheetsConfig.model_validate(request["config"]),
        configuration_id=request["configuration_id"],
        created_at=stamp(job.created_at),
        updated_at=stamp(job.updated_at),
        file_id=request["file_id"],
        file=FileView.model_validate(request["file"]) if file is None else view_of(file),
        project_id=job.project_id,
        user_id=USER_ID,
        status=FIRST_WORDS[job.state],
        success=job.state in ("completed", "partial") if job.is_final else None,
        errors=errors,
        regions=[SheetsRegion.model_validate(each) for each in shown.get("regions", [])],
        worksheet_metadata=[WorksheetMetadata.model_validate(each) for each in shown.get("worksheet_metadata", [])],
    )
