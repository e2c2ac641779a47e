"""Data sources of a project, and which of them a pipeline takes files from."""

from typing import Annotated

from fastapi import Body, Depends, Response

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.data_sources import (
    MAX_SOURCES,
    DataSourceCreate,
    DataSourceUpdate,
    DataSourceView,
    PipelineSourceInput,
    PipelineSourceUpdate,
    PipelineSourceView,
    SourceStatus,
)
from server.llamacloud.services.data_sources import DataSourceService
from server.routing import Router

router = Router(prefix="/api", tags=["data sources"])

PATH = "/v1/data-sources"
OF_PIPELINE = "/v1/pipelines/{pipeline_id}/data-sources"


async def get_service(cloud: CloudDep) -> DataSourceService:
    return DataSourceService(cloud)


SourcesDep = Annotated[DataSourceService, Depends(get_service)]


@router.post(PATH, operation_id="cloud_data_sources_create")
def create(body: DataSourceCreate, scope: ScopeDep, sources: SourcesDep) -> DataSourceView:
    """Note a place to take files from: a directory that the operator allows, or addresses of http and https.

    Every other type is refused with 400 and the list of those that there are.
    """
    return sources.create(scope, body)


@router.get(PATH, operation_id="cloud_data_sources_list")
def list_sources(scope: ScopeDep, sources: SourcesDep) -> list[DataSourceView]:
    """List the data sources of a project, in the order of their making."""
    return sources.all(scope)


@router.get(f"{PATH}/{{data_source_id}}", operation_id="cloud_data_sources_get")
def get_source(data_source_id: str, scope: ScopeDep, sources: SourcesDep) -> DataSourceView:
    """Look at one data source and its configuration."""
    return sources.get(data_source_id, scope)


@router.put(f"{PATH}/{{data_source_id}}", operation_id="cloud_data_sources_update")
def update(data_source_id: str, body: DataSourceUpdate, scope: ScopeDep, sources: SourcesDep) -> DataSourceView:
    """Change a data source; pipelines that have it are synced."""
    return sources.update(data_source_id, scope, body)


@router.delete(f"{PATH}/{{data_source_id}}", operation_id="cloud_data_sources_delete", status_code=204)
def delete(data_source_id: str, scope: ScopeDep, sources: SourcesDep) -> Response:
    """Delete a data source; pipelines lose what they had from it with a sync, which is started."""
    sources.delete(data_source_id, scope)
    return Response(status_code=204)


@router.get(OF_PIPELINE, operation_id="cloud_pipeline_data_sources_list")
def list_of_pipeline(pipeline_id: str, scope: ScopeDep, sources: SourcesDep) -> list[PipelineSourceView]:
    """List the data sources of a pipeline, each with its last sync and what went wrong in it."""
    return sources.of_pipeline(pipeline_id, scope)


@router.put(OF_PIPELINE, operation_id="cloud_pipeline_data_sources_put")
def attach(
    pipeline_id: str,
    body: Annotated[list[PipelineSourceInput], Body(max_length=MAX_SOURCES)],
    scope: ScopeDep,
    sources: SourcesDep,
) -> list[PipelineSourceView]:
    """Give data sources to a pipeline, and start its sync.

    Each is one that exists (`data_source_id`), or is made here (`name`, `source_type`, `config`); one of a name that
    the pipeline has already is changed.
    """
    return sources.attach(pipeline_id, scope, body)


@router.put(f"{OF_PIPELINE}/{{data_source_id}}", operation_id="cloud_pipeline_data_source_update")
def set_interval(
    pipeline_id: str, data_source_id: str, body: PipelineSourceUpdate, scope: ScopeDep, sources: SourcesDep
) -> PipelineSourceView:
    """Set how often a pipeline looks at a source; the shortest interval of its sources is the pipeline's."""
    return sources.set_interval(pipeline_id, data_source_id, scope, body.sync_interval)


@router.get(f"{OF_PIPELINE}/{{data_source_id}}/status", operation_id="cloud_pipeline_data_source_status")
def get_status(pipeline_id: str, data_source_id: str, scope: ScopeDep, sources: SourcesDep) -> SourceStatus:
    """Tell how the last sync of a source went."""
    return sources.status(pipeline_id, data_source_id, scope)


@router.post(f"{OF_PIPELINE}/{{data_source_id}}/sync", operation_id="cloud_pipeline_data_source_sync")
def sync(pipeline_id: str, data_source_id: str, scope: ScopeDep, sources: SourcesDep) -> PipelineSourceView:
    """Start a sync of the pipeline, which looks at all of its sources."""
    return sources.sync(pipeline_id, data_source_id, scope)
