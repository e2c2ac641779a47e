"""Links that carry their own permission."""

from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Request, Response
from fastapi.responses import FileResponse

from server.llamacloud.deps import CloudDep
from server.llamacloud.services.signed import SignedService
from server.llamacloud.services.uploading import Body
from server.routing import Router
from server.schemas.errors import TOO_LARGE_RESPONSES, ErrorBody

Responses: TypeAlias = dict[int | str, dict[str, Any]]
router = Router(prefix="/api", tags=["signed"])

REFUSED: Responses = {
    403: {"model": ErrorBody, "description": "The link has expired, or was not given out by this server."}
}
BYTES: Responses = {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}
RAW = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}}
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}
"""What a stranger uploaded must not run in a browser as a page of this server."""


async def get_service(cloud: CloudDep) -> SignedService:
    return SignedService(cloud)


SignedDep = Annotated[SignedService, Depends(get_service)]


@router.head("/v1/signed/{token}", include_in_schema=False)
@router.get(
    "/v1/signed/{token}",
    operation_id="cloud_signed_download",
    response_class=FileResponse,
    responses={**REFUSED, **BYTES},
)
def download(token: str, signed: SignedDep) -> Response:
    """Get the bytes that a signed link names; it needs no key. Ranges are answered."""
    found = signed.open(token)
    return FileResponse(found.path, media_type=found.media_type, filename=found.filename, headers=SAFE_HEADERS)


@router.put(
    "/v1/signed/{token}",
    operation_id="cloud_signed_upload",
    responses={**REFUSED, **TOO_LARGE_RESPONSES},
    openapi_extra=RAW,
)
async def upload(token: str, request: Request, signed: SignedDep) -> Response:
    """Send the bytes of a file that was announced with `cloud_files_presign`; the body is the file itself."""
    await signed.receive(token, Body.of(request.headers, request.stream()))
    return Response(status_code=200)
