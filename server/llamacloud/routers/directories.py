"""Directories and the files in them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from rag.errors import InvalidInputError
from server.llamacloud.deps import CloudDep, LinksDep, ScopeDep
from server.llamacloud.routers.files import BINARY, TEXT
from server.llamacloud.schemas.directories import (
    BulkDelete,
    DirectoryCreate,
    DirectoryFileAdd,
    DirectoryFilePage,
    DirectoryFileUpdate,
    DirectoryFileView,
    DirectoryPage,
    DirectoryType,
    DirectoryUpdate,
    DirectoryView,
)
from server.llamacloud.schemas.text import Plain
from server.llamacloud.services.directories import DirectoryService
from server.llamacloud.services.directory_files import DirectoryFileService, EntryFilter
from server.llamacloud.services.uploading import Body
from server.routing import Router
from server.schemas.errors import TOO_LARGE_RESPONSES

router = Router(prefix="/api", tags=["directories"])

PATH = "/v1/beta/directories"
FILES = f"{PATH}/{{directory_id}}/files"
FORM_FIELDS = ("unique_id", "display_name", "external_file_id", "metadata")
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["upload_file"],
                    "properties": {"upload_file": BINARY, **dict.fromkeys(FORM_FIELDS, TEXT)},
                }
            }
        },
    }
}
Size = Annotated[int | None, Query(ge=1)]
Expand = Annotated[list[str] | None, Query(description="`download_url`: with a link to the bytes; `metadata`.")]


async def get_directories(cloud: CloudDep) -> DirectoryService:
    return DirectoryService(cloud)


async def get_files(cloud: CloudDep) -> DirectoryFileService:
    return DirectoryFileService(cloud)


DirectoriesDep = Annotated[DirectoryService, Depends(get_directories)]
EntriesDep = Annotated[DirectoryFileService, Depends(get_files)]


@router.post(PATH, operation_id="cloud_directories_create", status_code=201)
def create(body: DirectoryCreate, scope: ScopeDep, directories: DirectoriesDep) -> DirectoryView:
    """Make an empty directory; put files in, then build an index over it."""
    return directories.create(scope, body)


@router.get(PATH, operation_id="cloud_directories_list")
def list_directories(
    scope: ScopeDep,
    directories: DirectoriesDep,
    name: Annotated[Plain | None, Query(description="Exactly this name.")] = None,
    type: Annotated[  # noqa: A002  # the published name of the parameter
        DirectoryType | None, Query(description="Absent: `user`. `index`: what indexes made for themselves.")
    ] = None,
    types: Annotated[list[DirectoryType] | None, Query(description="Several; repeat the key.")] = None,
    include_deleted: bool = False,
    data_source_id: Annotated[Plain | None, Query(description="Older clients send it; no directory has one.")] = None,
    page_size: Size = None,
    page_token: str | None = None,
) -> DirectoryPage:
    """List the directories of a project, in the order of their making."""
    wanted = [*(types or ()), *([] if type is None else [type])]
    return directories.page(
        scope,
        name=name,
        types=wanted,
        data_source_id=data_source_id,
        with_deleted=include_deleted,
        token=page_token,
        size=page_size,
    )


@router.get(f"{PATH}/{{directory_id}}", operation_id="cloud_directories_get")
def get_directory(directory_id: str, scope: ScopeDep, directories: DirectoriesDep) -> DirectoryView:
    """Look at one directory; its files are listed by `cloud_directory_files_list`."""
    return directories.get(directory_id, scope)


@router.patch(f"{PATH}/{{directory_id}}", operation_id="cloud_directories_update")
def update(directory_id: str, body: DirectoryUpdate, scope: ScopeDep, directories: DirectoriesDep) -> DirectoryView:
    """Give a directory another name or description; its files are not touched."""
    return directories.update(directory_id, scope, body)


@router.delete(f"{PATH}/{{directory_id}}", operation_id="cloud_directories_delete", status_code=204)
def delete(directory_id: str, scope: ScopeDep, directories: DirectoriesDep) -> Response:
    """Delete a directory with its entries; the files themselves and indexes over it stay."""
    directories.delete(directory_id, scope)
    return Response(status_code=204)


@router.post(FILES, operation_id="cloud_directory_files_add", status_code=201)
def add_file(directory_id: str, body: DirectoryFileAdd, scope: ScopeDep, entries: EntriesDep) -> DirectoryFileView:
    """Put an uploaded file into a directory.

    One of the same `unique_id` keeps its id and gets the new content: that is how a changed file comes again.
    """
    return entries.add(directory_id, scope, body)


@router.post(
    f"{FILES}/upload",
    operation_id="cloud_directory_files_upload",
    status_code=201,
    openapi_extra=FORM,
    responses=TOO_LARGE_RESPONSES,
)
async def upload_file(directory_id: str, request: Request, scope: ScopeDep, entries: EntriesDep) -> DirectoryFileView:
    """Upload a file (part `upload_file`) straight into a directory; `metadata` is a JSON object as text."""
    body = Body.of(request.headers, request.stream())
    return await entries.upload(directory_id, scope, body, _read_form)


@router.get(FILES, operation_id="cloud_directory_files_list")
def list_files(
    directory_id: str,
    scope: ScopeDep,
    entries: EntriesDep,
    links: LinksDep,
    display_name: Annotated[Plain | None, Query(description="Exactly this name.")] = None,
    display_name_contains: Annotated[Plain | None, Query(description="Small and capital letters are one.")] = None,
    file_id: Annotated[Plain | None, Query()] = None,
    unique_id: Annotated[Plain | None, Query()] = None,
    include_deleted: bool = False,
    expand: Expand = None,
    updated_at_on_or_after: datetime | None = None,
    updated_at_on_or_before: datetime | None = None,
    page_size: Size = None,
    page_token: str | None = None,
) -> DirectoryFilePage:
    """List the files of a directory, in the order in which they came; all filters that are given must hold."""
    wanted = EntryFilter(
        display_name=display_name,
        display_name_contains=display_name_contains,
        file_id=file_id,
        unique_id=unique_id,
        with_deleted=include_deleted,
        updated_from=updated_at_on_or_after,
        updated_to=updated_at_on_or_before,
    )
    return entries.page(directory_id, scope, wanted, links, expand=expand or (), token=page_token, size=page_size)


@router.post(f"{FILES}/bulk-delete", operation_id="cloud_directory_files_bulk_delete", status_code=204)
def bulk_delete(directory_id: str, body: BulkDelete, scope: ScopeDep, entries: EntriesDep) -> Response:
    """Delete up to a hundred files of a directory; unless all of them are in it, none is deleted."""
    entries.delete(directory_id, body.directory_file_ids, scope)
    return Response(status_code=204)


@router.get(f"{FILES}/{{directory_file_id}}", operation_id="cloud_directory_files_get")
def get_file(
    directory_id: str,
    directory_file_id: str,
    scope: ScopeDep,
    entries: EntriesDep,
    links: LinksDep,
    expand: Expand = None,
) -> DirectoryFileView:
    """Look at one file of a directory, by its `dfl-` id."""
    return entries.get(directory_id, directory_file_id, scope, links, expand or ())


@router.patch(f"{FILES}/{{directory_file_id}}", operation_id="cloud_directory_files_update")
def update_file(
    directory_id: str, directory_file_id: str, body: DirectoryFileUpdate, scope: ScopeDep, entries: EntriesDep
) -> DirectoryFileView:
    """Rename a file of a directory, move it to another one, or replace its metadata."""
    return entries.update(directory_id, directory_file_id, scope, body)


@router.delete(f"{FILES}/{{directory_file_id}}", operation_id="cloud_directory_files_delete", status_code=204)
def delete_file(directory_id: str, directory_file_id: str, scope: ScopeDep, entries: EntriesDep) -> Response:
    """Take a file out of a directory; the next sync of an index drops what was made of it."""
    entries.delete(directory_id, [directory_file_id], scope)
    return Response(status_code=204)


def _read_form(fields: Mapping[str, str]) -> DirectoryFileAdd:
    """Raises RequestValidationError as a JSON body would."""
    given: dict[str, Any] = {name: fields[name] for name in FORM_FIELDS if fields.get(name)}
    if "metadata" in given:
        try:
            given["metadata"] = orjson.loads(given["metadata"])
        except orjson.JSONDecodeError as error:
            raise InvalidInputError(f"metadata: expected a JSON object as text ({error.msg})") from error
    try:
        return DirectoryFileAdd.model_validate({**given, "file_id": ""})
    except ValidationError as error:
        problems = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
        raise RequestValidationError(problems, body=given) from error
