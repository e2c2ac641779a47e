"""Parsing jobs, second generation."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.parse import ParseCreate, ParseJobView, ParsePage, ParseResultView, ParseStatus
from server.llamacloud.services.parse import ParseService
from server.llamacloud.services.uploading import Body
from server.routing import Router
from server.schemas.errors import TOO_LARGE_RESPONSES

router = Router(prefix="/api", tags=["parse"])
PATH = "/v2/parse"
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "configuration": {"type": "string", "description": "JSON"},
                    },
                }
            }
        },
    }
}


async def get_service(cloud: CloudDep, scope: ScopeDep) -> ParseService:
    return ParseService(cloud, scope)


ServiceDep = Annotated[ParseService, Depends(get_service)]


@router.post(PATH, operation_id="cloud_parse_create")
def create_parse_job(body: ParseCreate, service: ServiceDep) -> ParseJobView:
    """Parse an uploaded file, in the background."""
    return service.create(body)


@router.post(f"{PATH}/upload", operation_id="cloud_parse_upload", openapi_extra=FORM, responses=TOO_LARGE_RESPONSES)
async def upload_parse_job(request: Request, service: ServiceDep) -> ParseJobView:
    """Send a file with its configuration, and have it parsed in the background."""
    return await service.upload(Body.of(request.headers, request.stream()))


@router.get(PATH, operation_id="cloud_parse_list")
def list_parse_jobs(
    service: ServiceDep,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
    status: Annotated[ParseStatus | None, Query(description="Only jobs of this state.")] = None,
    job_ids: Annotated[list[str] | None, Query(max_length=1_000)] = None,
    created_at_on_or_after: datetime | None = None,
    created_at_on_or_before: datetime | None = None,
) -> ParsePage:
    """The parsing jobs of a project, oldest first, page by page."""
    created = (created_at_on_or_after, created_at_on_or_before)
    return service.page(page_token, page_size, status=status, job_ids=job_ids, created=created)


@router.get(f"{PATH}/{{job_id}}", operation_id="cloud_parse_get")
def get_parse_job(
    job_id: str,
    service: ServiceDep,
    expand: Annotated[
        list[str] | None, Query(description="markdown, text, items, metadata, markdown_full, text_full.")
    ] = None,
) -> ParseResultView:
    """A parsing job, with those parts of its result that are asked for."""
    return service.get(job_id, expand or ())


@router.post(f"{PATH}/{{job_id}}/cancel", operation_id="cloud_parse_cancel")
def cancel_parse_job(job_id: str, service: ServiceDep) -> ParseJobView:
    """End a parsing job that is not wanted any more."""
    return service.cancel(job_id)
