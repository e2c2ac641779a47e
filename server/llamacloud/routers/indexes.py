"""Indexes over directories."""

from typing import Annotated

from fastapi import Depends, Query, Response

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.indexes import IndexCreate, IndexPage, IndexView, SyncStarted
from server.llamacloud.services.indexes import IndexService
from server.routing import Router

router = Router(prefix="/api", tags=["llamacloud: indexes"])

Expand = Annotated[list[str] | None, Query(description="`sync_in_progress`; others are ignored.")]


async def get_service(cloud: CloudDep) -> IndexService:
    return IndexService(cloud)


IndexServiceDep = Annotated[IndexService, Depends(get_service)]


@router.post("/v1/indexes", operation_id="cloud_index_create")
def create_index(body: IndexCreate, scope: ScopeDep, indexes: IndexServiceDep) -> IndexView:
    """Make a searchable index over a directory and start its first build; `last_exported_at` tells when it is done."""
    return indexes.create(scope, body)


@router.get("/v1/indexes", operation_id="cloud_index_list")
def list_indexes(
    scope: ScopeDep,
    indexes: IndexServiceDep,
    page_size: Annotated[int | None, Query(ge=1, description="More than 1000 are made 1000.")] = None,
    page_token: Annotated[str | None, Query(description="Of the page before.")] = None,
    expand: Expand = None,
) -> IndexPage:
    """List the indexes of a project in the order in which they were made, page by page."""
    return indexes.page(scope, token=page_token, size=page_size, expand=expand or ())


@router.get("/v1/indexes/{index_id}", operation_id="cloud_index_get")
def get_index(index_id: str, scope: ScopeDep, indexes: IndexServiceDep, expand: Expand = None) -> IndexView:
    """Tell how an index was made and, in `metadata`, how far its build is and which files failed."""
    return indexes.get(scope, index_id, expand or ())


@router.delete("/v1/indexes/{index_id}", operation_id="cloud_index_delete", status_code=204, response_class=Response)
def delete_index(index_id: str, scope: ScopeDep, indexes: IndexServiceDep) -> None:
    """Delete an index with its vectors, postings and parsed text; the source directory and its files stay."""
    indexes.delete(scope, index_id)


@router.post("/v1/indexes/{index_id}/sync", operation_id="cloud_index_sync")
def sync_index(index_id: str, scope: ScopeDep, indexes: IndexServiceDep) -> SyncStarted:
    """Parse what changed in the directory and forget what is gone; one that runs already takes this request in."""
    indexes.sync(scope, index_id)
    return SyncStarted()


@router.post("/v1/indexes/{index_id}/sync/cancel", operation_id="cloud_index_sync_cancel")
def cancel_index_sync(index_id: str, scope: ScopeDep, indexes: IndexServiceDep) -> IndexView:
    """End the sync that runs, if one does; files that it had not finished are as they were before."""
    return indexes.cancel_sync(scope, index_id)
