"""Datasets: named sets of files, and what is done with them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from server.deps import DatasetServiceDep, RequestIdDep
from server.schemas.datasets import (
    ActionRequest,
    ActionStarted,
    DatasetAnswer,
    DatasetChunksDeleted,
    DatasetCreate,
    DatasetList,
    DatasetStrategies,
    FileChunksDeleted,
    FileRemoved,
    UploadAnswer,
)
from server.schemas.errors import ERROR_RESPONSES
from server.services.uploads import refuse_overrides

router = APIRouter(
    prefix="/v1/projects/{namespace}/{project}/datasets", tags=["datasets", "mcp"], responses=ERROR_RESPONSES
)

MULTIPART_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.get("", operation_id="dataset_list")
@router.get("/", include_in_schema=False)
def list_datasets(
    namespace: str,
    project: str,
    datasets: DatasetServiceDep,
    include_extra_details: Annotated[bool, Query(description="Adds `details` with every file.")] = True,
) -> DatasetList:
    return datasets.list(namespace, project, with_details=include_extra_details)


@router.post("", operation_id="dataset_create")
@router.post("/", include_in_schema=False)
def create_dataset(namespace: str, project: str, body: DatasetCreate, datasets: DatasetServiceDep) -> DatasetAnswer:
    return DatasetAnswer(dataset=datasets.create(namespace, project, body))


@router.get("/strategies", operation_id="dataset_strategies_list")
def list_strategies(namespace: str, project: str, datasets: DatasetServiceDep) -> DatasetStrategies:
    return datasets.strategies(namespace, project)


@router.delete("/{dataset}", operation_id="dataset_delete")
def delete_dataset(namespace: str, project: str, dataset: str, datasets: DatasetServiceDep) -> DatasetAnswer:
    return DatasetAnswer(dataset=datasets.delete(namespace, project, dataset))


@router.post("/{dataset}/data", operation_id="dataset_data_upload", openapi_extra=MULTIPART_BODY)
async def upload_file(
    namespace: str,
    project: str,
    dataset: str,
    request: Request,
    datasets: DatasetServiceDep,
    request_id: RequestIdDep,
    auto_process: Annotated[
        bool | None, Query(description="Process at once; default: what the dataset's configuration says, else no.")
    ] = None,
) -> UploadAnswer:
    return await datasets.upload(
        namespace,
        project,
        dataset,
        request.stream(),
        headers=request.headers,
        auto_process=auto_process,
        request_id=request_id,
    )


@router.post("/{dataset}/actions", operation_id="dataset_actions")
def start_action(
    namespace: str,
    project: str,
    dataset: str,
    body: ActionRequest,
    request: Request,
    datasets: DatasetServiceDep,
    request_id: RequestIdDep,
) -> ActionStarted | FileChunksDeleted | DatasetChunksDeleted:
    if body.action_type == "delete_file_chunks":
        return datasets.delete_file_chunks(namespace, project, dataset, body.file_hash)
    if body.action_type == "delete_dataset_chunks":
        return datasets.delete_dataset_chunks(namespace, project, dataset)
    refuse_overrides(body.parser_overrides)
    task_id = datasets.process(namespace, project, dataset, request_id)
    task_uri = f"{request.base_url}v1/projects/{namespace}/{project}/tasks/{task_id}"
    return ActionStarted(task_uri=task_uri, task_id=task_id)


@router.delete("/{dataset}/data/{file_hash}", operation_id="dataset_data_delete")
def remove_file(
    namespace: str,
    project: str,
    dataset: str,
    file_hash: str,
    datasets: DatasetServiceDep,
    remove_from_disk: Annotated[bool, Query(description="Also delete the stored bytes.")] = False,
) -> FileRemoved:
    return datasets.remove_file(namespace, project, dataset, file_hash, with_bytes=remove_from_disk)


@router.post("/{dataset}/cleanup/{file_hash}", operation_id="dataset_file_cleanup")
def clear_file(namespace: str, project: str, dataset: str, file_hash: str, datasets: DatasetServiceDep) -> FileRemoved:
    return datasets.clear_file(namespace, project, dataset, file_hash)
