"""Batches of the first generation: a directory or a list of files, parsed or classified."""

from typing import Annotated

from fastapi import Depends, Query

from server.llamacloud.deps import CloudDep, LinksDep, ScopeDep
from server.llamacloud.schemas.batches import (
    BatchCancel,
    BatchCancelled,
    BatchCreate,
    BatchItemPage,
    BatchJob,
    BatchPage,
    BatchProgress,
    BatchStatus,
    ItemResults,
    ItemStatus,
    JobType,
)
from server.llamacloud.services.batch_processing import BatchService
from server.routing import Router

router = Router(prefix="/api", tags=["batch processing"])
PATH = "/v1/beta/batch-processing"
Offset = Annotated[int, Query(ge=0, le=1_000_000_000)]


async def get_service(cloud: CloudDep, scope: ScopeDep) -> BatchService:
    return BatchService(cloud, scope)


ServiceDep = Annotated[BatchService, Depends(get_service)]


@router.post(PATH, operation_id="cloud_batch_create", status_code=201)
def create_batch(body: BatchCreate, service: ServiceDep) -> BatchJob:
    """Parse or classify every file of a directory, or those that are named, in the background."""
    return service.create(body)


@router.get(PATH, operation_id="cloud_batch_list")
def list_batches(
    service: ServiceDep,
    directory_id: str | None = None,
    job_type: JobType | None = None,
    status: BatchStatus | None = None,
    limit: Annotated[int, Query(ge=1)] = 50,
    offset: Offset = 0,
) -> BatchPage:
    """The batches of a project, oldest first."""
    return service.page(
        directory_id=directory_id, job_type=job_type, status=status, limit=min(limit, 1_000), offset=offset
    )


@router.get(f"{PATH}/items/{{item_id}}/processing-results", operation_id="cloud_batch_item_results")
def get_item_results(
    item_id: str, service: ServiceDep, links: LinksDep, job_type: JobType | None = None
) -> ItemResults:
    """What batches have made of one file, with links to the outputs."""
    return service.results(item_id, job_type, links)


@router.get(f"{PATH}/{{job_id}}", operation_id="cloud_batch_status")
def get_batch(job_id: str, service: ServiceDep) -> BatchProgress:
    """A batch, and how far it has come."""
    return service.status(job_id)


@router.post(f"{PATH}/{{job_id}}/cancel", operation_id="cloud_batch_cancel")
def cancel_batch(job_id: str, service: ServiceDep, body: BatchCancel | None = None) -> BatchCancelled:
    """End a batch: items that wait are cancelled, those that run end as soon as they find out."""
    return service.cancel(job_id)


@router.get(f"{PATH}/{{job_id}}/items", operation_id="cloud_batch_items")
def list_batch_items(
    job_id: str,
    service: ServiceDep,
    status: ItemStatus | None = None,
    limit: Annotated[int, Query(ge=1)] = 100,
    offset: Offset = 0,
) -> BatchItemPage:
    """The files of a batch, in its order, each with what has become of it."""
    return service.items(job_id, status=status, limit=min(limit, 1_000), offset=offset)
