"""Datasets: named sets of files, and what is done with them."""

from typing import Annotated, Any

import orjson
from fastapi import Query, Request, Response

from config.overrides import check_overrides
from rag.errors import BadRequestError
from server.deps import DatasetServiceDep, RequestIdDep
from server.routing import Router
from server.schemas.datasets import (
    ActionRequest,
    ActionStarted,
    BulkAnswer,
    DatasetAnswer,
    DatasetChunksDeleted,
    DatasetCreate,
    DatasetList,
    DatasetStrategies,
    FileChunksDeleted,
    FileRemoved,
    UploadAnswer,
)
from server.schemas.errors import CONFLICT_RESPONSES, ERROR_RESPONSES, TOO_LARGE_RESPONSES
from server.services.datasets import Selection, UploadRequest
from server.services.uploads import BULK_PART, FILE_PART, OVERRIDES_FIELD

router = Router(
    prefix="/v1/projects/{namespace}/{project}/datasets", tags=["datasets", "mcp"], responses=ERROR_RESPONSES
)

UPLOAD_RESPONSES = {**CONFLICT_RESPONSES, **TOO_LARGE_RESPONSES}
BINARY = {"type": "string", "format": "binary"}
OVERRIDES = {
    "type": "string",
    "description": 'JSON, at most 10 KB: {"*.pdf": {"chunk_size": 400, "chunk_overlap": 40}}. Kept with the files.',
}


def _form(part: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The body of an upload, which is read as a stream and so has no parameter."""
    fields = {"type": "object", "required": [part], "properties": {part: schema, OVERRIDES_FIELD: OVERRIDES}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": fields}}}}


ONE_FILE = _form(FILE_PART, BINARY)
SEVERAL_FILES = _form(BULK_PART, {"type": "array", "items": BINARY, "maxItems": 100})


@router.get("", operation_id="dataset_list", response_model=DatasetList)
@router.get("/", include_in_schema=False)
def list_datasets(
    namespace: str,
    project: str,
    datasets: DatasetServiceDep,
    include_extra_details: Annotated[bool, Query(description="Adds `details` with every file.")] = True,
) -> Response:
    """List the datasets of a project, each with its files.

    `details` tells every file's name, size, hash and number of chunks; without `include_extra_details` the answer
    is small.
    """
    body = datasets.list(namespace, project, with_details=include_extra_details)
    # Written here: of ten thousand files, checking what is known to be right would take most of the time.
    return Response(orjson.dumps(body), media_type="application/json")


@router.post("", operation_id="dataset_create", responses=CONFLICT_RESPONSES)
@router.post("/", include_in_schema=False)
def create_dataset(namespace: str, project: str, body: DatasetCreate, datasets: DatasetServiceDep) -> DatasetAnswer:
    """Create an empty dataset, bound to a database and a processing strategy.

    `dataset_strategies_list` gives the names that are accepted. Upload files next, then process them.
    """
    return DatasetAnswer(dataset=datasets.create(namespace, project, body))


@router.get("/strategies", operation_id="dataset_strategies_list")
@router.get("/strategies/", include_in_schema=False)
def list_strategies(namespace: str, project: str, datasets: DatasetServiceDep) -> DatasetStrategies:
    """List the names a new dataset may use: processing strategies and databases."""
    return datasets.strategies(namespace, project)


@router.delete("/{dataset}", operation_id="dataset_delete", responses=CONFLICT_RESPONSES)
@router.delete("/{dataset}/", include_in_schema=False)
def delete_dataset(namespace: str, project: str, dataset: str, datasets: DatasetServiceDep) -> DatasetAnswer:
    """Delete a dataset with its files and everything that was made from them."""
    return DatasetAnswer(dataset=datasets.delete(namespace, project, dataset))


@router.post("/{dataset}/data", operation_id="dataset_data_upload", openapi_extra=ONE_FILE, responses=UPLOAD_RESPONSES)
@router.post("/{dataset}/data/", include_in_schema=False)
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
    """Add one file to a dataset.

    Files with the same bytes are stored once (`skipped`). A file answers queries only after it was processed:
    `dataset_actions` with `process`, or `auto_process=true` here.
    """
    wanted = _wanted(request, auto_process, request_id)
    return await datasets.upload((namespace, project, dataset), request.stream(), wanted)


@router.post(
    "/{dataset}/data/bulk",
    operation_id="dataset_data_bulk_upload",
    openapi_extra=SEVERAL_FILES,
    responses=UPLOAD_RESPONSES,
)
@router.post("/{dataset}/data/bulk/", include_in_schema=False)
async def upload_files(
    namespace: str,
    project: str,
    dataset: str,
    request: Request,
    datasets: DatasetServiceDep,
    request_id: RequestIdDep,
    auto_process: Annotated[bool, Query(description="Process at once what was stored.")] = False,
) -> BulkAnswer:
    """Add up to a hundred files to a dataset in one request.

    A file that cannot be stored is counted in `failed` and told under `files`; the others are stored all the same.
    """
    wanted = _wanted(request, auto_process, request_id)
    return await datasets.upload_bulk((namespace, project, dataset), request.stream(), wanted)


def _wanted(request: Request, auto_process: bool | None, request_id: str | None) -> UploadRequest:
    length = request.headers.get("content-length", "")
    return UploadRequest(
        content_type=request.headers.get("content-type", ""),
        length=int(length[:20]) if length.isdecimal() else 0,
        auto_process=auto_process,
        request_id=request_id,
    )


@router.post("/{dataset}/actions", operation_id="dataset_actions", responses=UPLOAD_RESPONSES)
@router.post("/{dataset}/actions/", include_in_schema=False)
def start_action(
    namespace: str,
    project: str,
    dataset: str,
    body: ActionRequest,
    request: Request,
    datasets: DatasetServiceDep,
    request_id: RequestIdDep,
) -> ActionStarted | FileChunksDeleted | DatasetChunksDeleted:
    """Start work on a dataset, or delete what was made from its files.

    `process` (alias `ingest`) parses, chunks and embeds what is new and gives a `task_id` to poll with `task_get`;
    `reprocess` does so with everything, and what is there answers until the new chunks are complete;
    `delete_file_chunks` and `delete_dataset_chunks` take files out of the answers at once and keep the files.
    """
    if body.action_type in ("delete_file_chunks", "delete_dataset_chunks"):
        return _delete_chunks((namespace, project, dataset), body, datasets)
    which = Selection(
        file_hash=body.file_hash,
        failed_only=body.failed_only,
        overrides=check_overrides(body.parser_overrides),
        force=body.action_type == "reprocess",
    )
    task_id = datasets.process((namespace, project, dataset), request_id, which)
    task_uri = f"{request.base_url}v1/projects/{namespace}/{project}/tasks/{task_id}"
    return ActionStarted(task_uri=task_uri, task_id=task_id)


def _delete_chunks(
    place: tuple[str, str, str], body: ActionRequest, datasets: DatasetServiceDep
) -> FileChunksDeleted | DatasetChunksDeleted:
    of_dataset = body.action_type == "delete_dataset_chunks"
    if body.failed_only or body.parser_overrides or (of_dataset and body.file_hash is not None):
        raise BadRequestError(
            f"action '{body.action_type}' takes no 'failed_only' and no 'parser_overrides', and only "
            "'delete_file_chunks' takes a 'file_hash'"
        )
    if of_dataset:
        return datasets.delete_dataset_chunks(*place)
    return datasets.delete_file_chunks(*place, body.file_hash)


@router.delete("/{dataset}/data/{file_hash}", operation_id="dataset_data_delete", responses=CONFLICT_RESPONSES)
@router.delete("/{dataset}/data/{file_hash}/", include_in_schema=False)
def remove_file(
    namespace: str,
    project: str,
    dataset: str,
    file_hash: str,
    datasets: DatasetServiceDep,
    remove_from_disk: Annotated[bool, Query(description="Also delete the stored bytes.")] = False,
) -> FileRemoved:
    """Remove one file from a dataset, with its chunks."""
    return datasets.remove_file(namespace, project, dataset, file_hash, with_bytes=remove_from_disk)


@router.post("/{dataset}/cleanup/{file_hash}", operation_id="dataset_file_cleanup", responses=CONFLICT_RESPONSES)
@router.post("/{dataset}/cleanup/{file_hash}/", include_in_schema=False)
def clear_file(namespace: str, project: str, dataset: str, file_hash: str, datasets: DatasetServiceDep) -> FileRemoved:
    """Take one file out of the answers: its chunks are deleted, the file stays."""
    return datasets.clear_file(namespace, project, dataset, file_hash)
