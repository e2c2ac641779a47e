"""Files: uploading, listing, downloading and deleting them, in both of the vendor's generations."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from server.llamacloud.deps import CloudDep, LinksDep, OfficialDep, ScopeDep
from server.llamacloud.links import PresignedURL
from server.llamacloud.schemas.files import (
    FileFilter,
    FilePage,
    FileQuery,
    FileView,
    UploadFromUrl,
    UploadSlot,
    UploadSlotRequest,
)
from server.llamacloud.schemas.text import Key, Plain
from server.llamacloud.scope import require_project_id
from server.llamacloud.services.downloads import DownloadService
from server.llamacloud.services.files import FileService, Labels
from server.llamacloud.services.uploading import Body
from server.routing import Router
from server.schemas.errors import TOO_LARGE_RESPONSES

router = Router(prefix="/api", tags=["files"])

BINARY = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": BINARY, "purpose": TEXT, "external_file_id": TEXT},
                }
            }
        },
    }
}
Seconds = Annotated[int | None, Query(description="How long the link works: 1 s to 7 days; an hour by default.")]


async def get_service(cloud: CloudDep) -> FileService:
    return FileService(cloud)


async def get_downloads(cloud: CloudDep) -> DownloadService:
    return DownloadService(cloud)


FilesDep = Annotated[FileService, Depends(get_service)]


@router.post("/v1/files", operation_id="cloud_files_upload", openapi_extra=FORM, responses=TOO_LARGE_RESPONSES)
async def upload(
    request: Request,
    scope: ScopeDep,
    files: FilesDep,
    is_official: OfficialDep,
    project_id: str | None = None,
    external_file_id: Annotated[Key | None, Query()] = None,
) -> FileView:
    """Upload a file in the part `file` (or `upload_file`) of a form.

    It is stored once by content, whatever its name. `project_id` is needed; the vendor's own clients may leave it out.
    """
    if not is_official:
        require_project_id(project_id or request.headers.get("project-id"))
    body = Body.of(request.headers, request.stream())
    return await files.upload(scope, body, Labels(external_file_id=external_file_id))


@router.post("/v1/beta/files", operation_id="cloud_files_create", openapi_extra=FORM, responses=TOO_LARGE_RESPONSES)
async def create(
    request: Request, scope: ScopeDep, files: FilesDep, external_file_id: Annotated[Key | None, Query()] = None
) -> FileView:
    """Upload a file in the part `file` of a form, with `purpose` and `external_file_id` beside it."""
    body = Body.of(request.headers, request.stream())
    return await files.upload(scope, body, Labels(external_file_id=external_file_id))


@router.put("/v1/files", operation_id="cloud_files_presign", responses=TOO_LARGE_RESPONSES)
def presign(
    body: UploadSlotRequest, scope: ScopeDep, files: FilesDep, links: LinksDep, expires_at_seconds: Seconds = None
) -> UploadSlot:
    """Announce a file and get a link that takes its bytes: PUT them there, once, without a key."""
    return files.slot(scope, body, links, expires_at_seconds)


@router.put("/v1/files/upload_from_url", operation_id="cloud_files_upload_from_url", responses=TOO_LARGE_RESPONSES)
def upload_from_url(
    body: UploadFromUrl, scope: ScopeDep, downloads: Annotated[DownloadService, Depends(get_downloads)]
) -> FileView:
    """Have the server fetch a file from an address of http or https.

    Addresses of private networks and of this server are refused, also behind redirects, unless the operator named the
    host in LF_ALLOWED_HOSTS.
    """
    return downloads.take(scope, body)


@router.get("/v1/beta/files", operation_id="cloud_files_list")
def list_files(
    scope: ScopeDep,
    files: FilesDep,
    links: LinksDep,
    file_name: Annotated[Plain | None, Query(description="Exactly this name.")] = None,
    external_file_id: Annotated[Plain | None, Query()] = None,
    file_ids: Annotated[list[Plain] | None, Query(description="Repeat the key for several.")] = None,
    expand: Annotated[list[str] | None, Query(description="`download_url`.")] = None,
    order_by: Annotated[str | None, Query(description="name, id, or created_at: the newest first.")] = None,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
) -> FilePage:
    """List the files of a project, in the order of their upload."""
    wanted = FileFilter(file_name=file_name, external_file_id=external_file_id, file_ids=file_ids)
    return files.page(scope, wanted, links, order_by=order_by, expand=expand or (), token=page_token, size=page_size)


@router.post("/v1/beta/files/query", operation_id="cloud_files_query")
def query(body: FileQuery, scope: ScopeDep, files: FilesDep, links: LinksDep) -> FilePage:
    """List files by a filter in the body, as older clients do."""
    wanted = body.filter or FileFilter()
    return files.page(scope, wanted, links, order_by=body.order_by, token=body.page_token, size=body.page_size)


@router.get("/v1/beta/files/{file_id}", operation_id="cloud_files_get")
@router.get("/v1/files/{file_id}", operation_id="cloud_files_get_v1")
def get_file(file_id: str, scope: ScopeDep, files: FilesDep) -> FileView:
    """Look at one file: name, size, type and when it came."""
    return files.view(file_id, scope)


@router.get("/v1/beta/files/{file_id}/content", operation_id="cloud_files_content")
@router.get("/v1/files/{file_id}/content", operation_id="cloud_files_content_v1")
def content(
    file_id: str, scope: ScopeDep, files: FilesDep, links: LinksDep, expires_at_seconds: Seconds = None
) -> PresignedURL:
    """Get a link to the bytes of a file; it works without a key until it expires."""
    return files.content(file_id, scope, links, expires_at_seconds)


@router.delete("/v1/beta/files/{file_id}", operation_id="cloud_files_delete", status_code=204)
@router.delete("/v1/files/{file_id}", operation_id="cloud_files_delete_v1", status_code=204)
def delete(file_id: str, scope: ScopeDep, files: FilesDep) -> Response:
    """Delete a file.

    What was made of it stays, and so do its bytes while a directory, an index or a pipeline holds them.
    """
    files.delete(file_id, scope)
    return Response(status_code=204)
