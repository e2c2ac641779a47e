"""Pipelines: files that are brought in step and searched together."""

from collections.abc import Sequence
from typing import Annotated

from anyio import to_thread
from fastapi import Body, Depends, Query, Response

from server.llamacloud.deps import CloudDep, OfficialDep, ScopeDep
from server.llamacloud.schemas.pipelines import (
    MAX_FILES,
    FileWord,
    IngestionStatus,
    PipelineCreate,
    PipelineFileCounts,
    PipelineFileInput,
    PipelineFilePage,
    PipelineFileUpdate,
    PipelineFileView,
    PipelinePage,
    PipelineRetrieveRequest,
    PipelineRetrieveResponse,
    PipelineStatusCounts,
    PipelineUpdate,
    PipelineView,
    SyncJobView,
)
from server.llamacloud.services.pipeline_files import FilesWanted, PipelineFileService
from server.llamacloud.services.pipeline_retrieval import PipelineRetrieval
from server.llamacloud.services.pipelines import PipelineService
from server.routing import Router

router = Router(prefix="/api", tags=["llamacloud: pipelines"])

PIPELINE = "/v1/pipelines/{pipeline_id}"


async def get_service(cloud: CloudDep) -> PipelineService:
    return PipelineService(cloud)


async def get_files(cloud: CloudDep) -> PipelineFileService:
    return PipelineFileService(cloud)


async def get_retrieval(cloud: CloudDep) -> PipelineRetrieval:
    return PipelineRetrieval(cloud)


PipelinesDep = Annotated[PipelineService, Depends(get_service)]
FilesDep = Annotated[PipelineFileService, Depends(get_files)]
RetrievalDep = Annotated[PipelineRetrieval, Depends(get_retrieval)]
DataSourceId = Annotated[str | None, Query(description="Only those that this data source has.")]
Manually = Annotated[bool, Query(description="Only those that no data source has.")]


@router.get("/v1/pipelines", operation_id="cloud_pipeline_list")
def list_pipelines(
    scope: ScopeDep,
    pipelines: PipelinesDep,
    official: OfficialDep,
    pipeline_name: Annotated[str | None, Query(description="Its whole name.")] = None,
    project_name: Annotated[str | None, Query(description="Instead of `project_id`.")] = None,
    pipeline_type: Annotated[str | None, Query(description="Every pipeline is MANAGED.")] = None,
) -> list[PipelineView]:
    """List the pipelines of a project in the order in which they were made."""
    if pipeline_type not in (None, "MANAGED"):
        return []
    found = pipelines.all(scope, name=pipeline_name, project_name=project_name)
    return pipelines.views(found, official=official)


@router.post("/v1/pipelines", operation_id="cloud_pipeline_create", status_code=201)
def create_pipeline(
    body: PipelineCreate, scope: ScopeDep, pipelines: PipelinesDep, official: OfficialDep
) -> PipelineView:
    """Make an empty pipeline; 400 when the project has one of this name, or the embedding model is not here."""
    return pipelines.view(pipelines.create(scope, body), official=official)


@router.put("/v1/pipelines", operation_id="cloud_pipeline_upsert")
def upsert_pipeline(
    body: PipelineCreate, scope: ScopeDep, pipelines: PipelinesDep, official: OfficialDep
) -> PipelineView:
    """Change the pipeline of this name, or make it where there is none."""
    return pipelines.view(pipelines.upsert(scope, body), official=official)


@router.get("/v2/pipelines", operation_id="cloud_pipeline_page")
def page_pipelines(
    scope: ScopeDep,
    pipelines: PipelinesDep,
    name: Annotated[str | None, Query(description="Its whole name.")] = None,
    page_size: Annotated[int | None, Query(ge=1, description="More than 1000 are made 1000.")] = None,
    page_token: Annotated[str | None, Query(description="Of the page before.")] = None,
    pipeline_type: Annotated[str | None, Query(description="Every pipeline is MANAGED.")] = None,
) -> PipelinePage:
    """List the pipelines of a project in short, page by page."""
    if pipeline_type not in (None, "MANAGED"):
        return PipelinePage(items=[], next_page_token=None, total_size=0)
    return pipelines.page(scope, name=name, token=page_token, size=page_size)


@router.get(PIPELINE, operation_id="cloud_pipeline_get")
def get_pipeline(pipeline_id: str, scope: ScopeDep, pipelines: PipelinesDep, official: OfficialDep) -> PipelineView:
    """Tell how a pipeline is set up and, for others than the vendor's clients, how it is."""
    return pipelines.view(pipelines.get(scope, pipeline_id), official=official)


@router.put(PIPELINE, operation_id="cloud_pipeline_update")
def update_pipeline(
    pipeline_id: str, body: PipelineUpdate, scope: ScopeDep, pipelines: PipelinesDep, official: OfficialDep
) -> PipelineView:
    """Change what is given; another way of cutting text has the files processed again. The embedder stays."""
    return pipelines.view(pipelines.update(scope, pipeline_id, body), official=official)


@router.delete(PIPELINE, operation_id="cloud_pipeline_delete", status_code=200, response_class=Response)
def delete_pipeline(pipeline_id: str, scope: ScopeDep, pipelines: PipelinesDep) -> None:
    """Delete a pipeline with its vectors, postings, parsed text and jobs; the uploaded files stay."""
    pipelines.delete(scope, pipeline_id)


@router.get(f"{PIPELINE}/status", operation_id="cloud_pipeline_status")
def get_pipeline_status(pipeline_id: str, scope: ScopeDep, pipelines: PipelinesDep) -> IngestionStatus:
    """Tell whether a pipeline is in step with its files, and which of them failed."""
    return pipelines.status(pipelines.get(scope, pipeline_id))


@router.post(f"{PIPELINE}/sync", operation_id="cloud_pipeline_sync")
def sync_pipeline(
    pipeline_id: str, scope: ScopeDep, pipelines: PipelinesDep, official: OfficialDep
) -> SyncJobView | PipelineView:
    """Process what is new or changed and forget what is gone; the vendor's clients are answered with the pipeline."""
    found, job = pipelines.sync(scope, pipeline_id)
    return pipelines.view(found, official=True) if official else pipelines.sync_job(found, job)


@router.post(f"{PIPELINE}/sync/cancel", operation_id="cloud_pipeline_sync_cancel")
def cancel_pipeline_sync(
    pipeline_id: str, scope: ScopeDep, pipelines: PipelinesDep, official: OfficialDep
) -> PipelineView:
    """End the sync that runs, if one does; files that it had not finished are as they were before."""
    return pipelines.view(pipelines.cancel_sync(scope, pipeline_id), official=official)


# -- files --------------------------------------------------------------------------------------------------


@router.get(f"{PIPELINE}/files", operation_id="cloud_pipeline_file_list")
def list_files(
    pipeline_id: str, scope: ScopeDep, pipelines: PipelinesDep, files: FilesDep, official: OfficialDep
) -> Sequence[PipelineFileView]:
    """List the files of a pipeline, and how far each is."""
    return files.all(pipelines.get(scope, pipeline_id), official=official)


@router.put(f"{PIPELINE}/files", operation_id="cloud_pipeline_file_add")
def add_files(
    pipeline_id: str,
    body: Annotated[list[PipelineFileInput], Body(max_length=MAX_FILES)],
    scope: ScopeDep,
    pipelines: PipelinesDep,
    files: FilesDep,
    official: OfficialDep,
) -> Sequence[PipelineFileView]:
    """Add uploaded files, or replace the metadata of those that are there; all of them, or none."""
    found = pipelines.get(scope, pipeline_id)
    added = files.put(found, body)
    return files.views(pipelines.get(scope, pipeline_id), added, official=official)


@router.get(f"{PIPELINE}/files2", operation_id="cloud_pipeline_file_page")
@router.get("/v1/beta/pipelines/{pipeline_id}/files", operation_id="cloud_pipeline_file_page_beta")
def page_files(
    pipeline_id: str,
    scope: ScopeDep,
    pipelines: PipelinesDep,
    files: FilesDep,
    data_source_id: DataSourceId = None,
    only_manually_uploaded: Manually = False,
    file_name_contains: Annotated[str | None, Query(description="In any case.")] = None,
    statuses: Annotated[list[FileWord] | None, Query(description="Only files in one of these.")] = None,
    order_by: Annotated[str | None, Query(description="name, created_at or updated_at; ` desc` turns it.")] = None,
    limit: Annotated[int | None, Query(ge=1, description="More than 1000 are made 1000; default 100.")] = None,
    offset: Annotated[int | None, Query(ge=0, le=10**9)] = None,
) -> PipelineFilePage:
    """List the files of a pipeline by offset, in the words of the vendor's clients."""
    wanted = FilesWanted(
        data_source_id=data_source_id,
        only_manually_uploaded=only_manually_uploaded,
        name_contains=file_name_contains,
        statuses=tuple(statuses) if statuses else None,
        order_by=order_by,
    )
    return files.page(pipelines.get(scope, pipeline_id), wanted, limit=min(limit or 100, 1000), offset=offset or 0)


@router.get(f"{PIPELINE}/files/count", operation_id="cloud_pipeline_file_count")
def count_files(pipeline_id: str, scope: ScopeDep, pipelines: PipelinesDep, files: FilesDep) -> PipelineFileCounts:
    """Count the files of a pipeline by how far they are."""
    return files.counts(pipelines.get(scope, pipeline_id))


@router.get(f"{PIPELINE}/files/status-counts", operation_id="cloud_pipeline_file_status_counts")
def count_statuses(
    pipeline_id: str,
    scope: ScopeDep,
    pipelines: PipelinesDep,
    files: FilesDep,
    data_source_id: DataSourceId = None,
    only_manually_uploaded: Manually = False,
) -> PipelineStatusCounts:
    """Count the files of a pipeline by how far they are, in the words of the vendor's clients."""
    wanted = FilesWanted(data_source_id=data_source_id, only_manually_uploaded=only_manually_uploaded)
    return files.status_counts(pipelines.get(scope, pipeline_id), wanted)


@router.put(f"{PIPELINE}/files/{{file_id}}", operation_id="cloud_pipeline_file_update")
def update_file(
    pipeline_id: str,
    file_id: str,
    body: PipelineFileUpdate,
    scope: ScopeDep,
    pipelines: PipelinesDep,
    files: FilesDep,
    official: OfficialDep,
) -> PipelineFileView:
    """Replace the metadata of a file; its chunks stay as they are."""
    found = pipelines.get(scope, pipeline_id)
    return files.views(found, [files.describe(found, file_id, body.metadata)], official=official)[0]


@router.delete(
    f"{PIPELINE}/files/{{file_id}}",
    operation_id="cloud_pipeline_file_delete",
    status_code=204,
    response_class=Response,
)
def delete_file(pipeline_id: str, file_id: str, scope: ScopeDep, pipelines: PipelinesDep, files: FilesDep) -> None:
    """Take a file out of a pipeline: searches do not find it any more. The uploaded file stays."""
    files.remove(pipelines.get(scope, pipeline_id), file_id)


@router.get(f"{PIPELINE}/files/{{file_id}}/status", operation_id="cloud_pipeline_file_status")
def get_file_status(
    pipeline_id: str, file_id: str, scope: ScopeDep, pipelines: PipelinesDep, files: FilesDep
) -> IngestionStatus:
    """Tell how far a file of a pipeline is and, where it failed, why."""
    return files.status(pipelines.get(scope, pipeline_id), file_id)


# -- searching ----------------------------------------------------------------------------------------------


@router.post(f"{PIPELINE}/retrieve", operation_id="cloud_pipeline_retrieve")
async def retrieve(
    pipeline_id: str,
    body: PipelineRetrieveRequest,
    scope: ScopeDep,
    pipelines: PipelinesDep,
    retrieval: RetrievalDep,
) -> PipelineRetrieveResponse:
    """Search a pipeline: by `mode` and `top_k`, or by the numbers of the vendor's clients."""
    found = await to_thread.run_sync(pipelines.get, scope, pipeline_id)
    return await retrieval.retrieve(found, body)
