"""Batches of the second generation."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.batches import RunCreate, RunPage, RunStatus, RunView
from server.llamacloud.services.batches import RunService
from server.routing import Router

router = Router(prefix="/api", tags=["batches"])
PATH = "/v2/batches"


async def get_service(cloud: CloudDep, scope: ScopeDep) -> RunService:
    return RunService(cloud, scope)


ServiceDep = Annotated[RunService, Depends(get_service)]
Expand = Annotated[list[str] | None, Query(description="results: the job of each file.")]


@router.post(PATH, operation_id="cloud_batches_create")
def create_run(body: RunCreate, service: ServiceDep) -> RunView:
    """Start a job of a saved configuration for each file of a directory."""
    return service.create(body)


@router.get(PATH, operation_id="cloud_batches_list")
def list_runs(
    service: ServiceDep,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
    source_directory_id: str | None = None,
    status: RunStatus | None = None,
    created_at_on_or_after: datetime | None = None,
    created_at_on_or_before: datetime | None = None,
    expand: Expand = None,
) -> RunPage:
    """The batches of a project, oldest first, page by page."""
    return service.page(
        page_token,
        page_size,
        directory_id=source_directory_id,
        status=status,
        created=(created_at_on_or_after, created_at_on_or_before),
        expand=expand or (),
    )


@router.get(f"{PATH}/{{batch_id}}", operation_id="cloud_batches_get")
def get_run(batch_id: str, service: ServiceDep, expand: Expand = None) -> RunView:
    """A batch, with the job of each file where that is asked for."""
    return service.get(batch_id, expand or ())


@router.post(f"{PATH}/{{batch_id}}/cancel", operation_id="cloud_batches_cancel")
def cancel_run(batch_id: str, service: ServiceDep) -> RunView:
    """End a batch: jobs that wait are cancelled, those that run end as soon as they find out."""
    return service.cancel(batch_id)
