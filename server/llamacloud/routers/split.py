"""Split jobs: which pages of a file belong together, and what kind of document they are.

Below /v1/beta as first published, and below /v1 as newer clients ask for it: the same jobs.
"""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.split import SplitCreate, SplitJobView, SplitPage, SplitStatus
from server.llamacloud.services.split import SplitService
from server.routing import Router

router = Router(prefix="/api", tags=["split"])
BETA = "/v1/beta/split/jobs"
NEWER = "/v1/split/jobs"


async def get_service(cloud: CloudDep, scope: ScopeDep) -> SplitService:
    return SplitService(cloud, scope)


ServiceDep = Annotated[SplitService, Depends(get_service)]


@router.post(NEWER, operation_id="cloud_split_create_v1", status_code=201)
@router.post(BETA, operation_id="cloud_split_create", status_code=201)
def create_split_job(body: SplitCreate, service: ServiceDep) -> SplitJobView:
    """Split a file into documents of given categories, in the background."""
    return service.create(body)


@router.get(NEWER, operation_id="cloud_split_list_v1")
@router.get(BETA, operation_id="cloud_split_list")
def list_split_jobs(
    service: ServiceDep,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
    status: Annotated[SplitStatus | None, Query(description="Only jobs of this state.")] = None,
    job_ids: Annotated[list[str] | None, Query(max_length=1_000)] = None,
    created_at_on_or_after: datetime | None = None,
    created_at_on_or_before: datetime | None = None,
) -> SplitPage:
    """The split jobs of a project, oldest first, page by page."""
    created = (created_at_on_or_after, created_at_on_or_before)
    return service.page(page_token, page_size, status=status, job_ids=job_ids, created=created)


@router.get(f"{NEWER}/{{split_job_id}}", operation_id="cloud_split_get_v1")
@router.get(f"{BETA}/{{split_job_id}}", operation_id="cloud_split_get")
def get_split_job(split_job_id: str, service: ServiceDep) -> SplitJobView:
    """A split job, with its segments once it is completed."""
    return service.get(split_job_id)
