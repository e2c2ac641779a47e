"""Spreadsheet jobs: the regions of a workbook as Parquet files behind signed links.

Below /v1/beta as first published, and below /v1 as newer clients ask for it: the same jobs.
"""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from server.llamacloud.deps import CloudDep, LinksDep, ScopeDep
from server.llamacloud.links import PresignedURL
from server.llamacloud.schemas.sheets import ResultType, SheetsCreate, SheetsJobView, SheetsPage
from server.llamacloud.schemas.text import FirstStatus
from server.llamacloud.services.sheets import SheetsService
from server.routing import Router

router = Router(prefix="/api", tags=["sheets"])
BETA = "/v1/beta/sheets/jobs"
NEWER = "/v1/sheets/jobs"
RESULT = "{spreadsheet_job_id}/regions/{region_id}/result/{region_type}"


async def get_service(cloud: CloudDep, scope: ScopeDep) -> SheetsService:
    return SheetsService(cloud, scope)


ServiceDep = Annotated[SheetsService, Depends(get_service)]


@router.post(NEWER, operation_id="cloud_sheets_create_v1")
@router.post(BETA, operation_id="cloud_sheets_create")
def create_sheets_job(body: SheetsCreate, service: ServiceDep) -> SheetsJobView:
    """Find the regions of a spreadsheet (.xlsx, .xls, .ods, .csv, .tsv), in the background."""
    return service.create(body)


@router.get(NEWER, operation_id="cloud_sheets_list_v1")
@router.get(BETA, operation_id="cloud_sheets_list")
def list_sheets_jobs(
    service: ServiceDep,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
    status: Annotated[FirstStatus | None, Query(description="Only jobs of this state.")] = None,
    job_ids: Annotated[list[str] | None, Query(max_length=1_000)] = None,
    created_at_on_or_after: datetime | None = None,
    created_at_on_or_before: datetime | None = None,
    include_results: Annotated[bool, Query(description="With regions and sheets.")] = False,
) -> SheetsPage:
    """The spreadsheet jobs of a project, oldest first, page by page."""
    created = (created_at_on_or_after, created_at_on_or_before)
    return service.page(
        page_token, page_size, status=status, job_ids=job_ids, created=created, with_results=include_results
    )


@router.get(f"{NEWER}/{{spreadsheet_job_id}}", operation_id="cloud_sheets_get_v1")
@router.get(f"{BETA}/{{spreadsheet_job_id}}", operation_id="cloud_sheets_get")
def get_sheets_job(
    spreadsheet_job_id: str,
    service: ServiceDep,
    include_results: Annotated[bool, Query(description="With regions and sheets.")] = True,
) -> SheetsJobView:
    """A spreadsheet job, with its regions once it has ended."""
    return service.get(spreadsheet_job_id, with_results=include_results)


@router.get(f"{NEWER}/{RESULT}", operation_id="cloud_sheets_result_v1")
@router.get(f"{BETA}/{RESULT}", operation_id="cloud_sheets_result")
def get_sheets_result(
    spreadsheet_job_id: str,
    region_id: str,
    region_type: ResultType,
    service: ServiceDep,
    links: LinksDep,
    expires_at_seconds: Annotated[int | None, Query(description="How long the link works; absent: an hour.")] = None,
) -> PresignedURL:
    """A link to the Parquet file of a region: its cells (`table` or `extra`), or facts of each cell."""
    return service.result(spreadsheet_job_id, region_id, region_type, links, expires_at_seconds)


@router.delete(f"{NEWER}/{{spreadsheet_job_id}}", operation_id="cloud_sheets_delete_v1")
@router.delete(f"{BETA}/{{spreadsheet_job_id}}", operation_id="cloud_sheets_delete")
def delete_sheets_job(spreadsheet_job_id: str, service: ServiceDep) -> dict[str, str]:
    """Delete a spreadsheet job and its results; one that is at work ends without any."""
    service.delete(spreadsheet_job_id)
    return {}
