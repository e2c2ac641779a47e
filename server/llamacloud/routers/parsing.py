"""Parsing jobs, first generation: below /api/parsing and below /api/v1/parsing, the same jobs."""

from typing import Annotated, Any

from fastapi import Depends, Request, Response

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.parse import FirstJob, FirstJobDetails, FirstJson, FirstMarkdown, FirstText
from server.llamacloud.services.parsing import ParsingService, first_view, metadata_of, shown_parameters
from server.llamacloud.services.uploading import Body
from server.llamacloud.times import stamp
from server.routing import Router
from server.schemas.errors import TOO_LARGE_RESPONSES

router = Router(prefix="/api", tags=["parsing"])
FIRST = "/parsing"
NEWER = "/v1/parsing"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "additionalProperties": {"type": "string"},
                }
            }
        },
    }
}
SUFFIXES = [
    ".pdf", ".docx", ".xlsx", ".xls", ".xlsm", ".ods", ".csv", ".tsv", ".pptx", ".odp", ".odt", ".rtf", ".epub",
    ".html", ".htm", ".md", ".txt", ".json", ".jsonl", ".xml", ".rst", ".eml", ".msg", ".png", ".jpg", ".jpeg",
    ".tiff", ".bmp", ".gif", ".webp", ".zip",
]  # fmt: skip


BOOK: dict[int | str, dict[str, Any]] = {
    **TOO_LARGE_RESPONSES,
    200: {"content": {XLSX: {"schema": {"type": "string", "format": "binary"}}}},
}


async def get_service(cloud: CloudDep, scope: ScopeDep) -> ParsingService:
    return ParsingService(cloud, scope)


ServiceDep = Annotated[ParsingService, Depends(get_service)]


@router.post(f"{NEWER}/upload", operation_id="cloud_parsing_upload", openapi_extra=FORM, responses=TOO_LARGE_RESPONSES)
@router.post(
    f"{FIRST}/upload", operation_id="cloud_parsing_upload_plain", openapi_extra=FORM, responses=TOO_LARGE_RESPONSES
)
async def upload_to_parse(request: Request, service: ServiceDep) -> FirstJob:
    """Send a file to be parsed; every parameter is a field of the form. Addresses (input_url) are refused."""
    return FirstJob(**first_view(await service.upload(Body.of(request.headers, request.stream()))))


@router.get(f"{NEWER}/supported_file_extensions", operation_id="cloud_parsing_extensions")
@router.get(f"{FIRST}/supported_file_extensions", operation_id="cloud_parsing_extensions_plain")
def supported_file_extensions() -> list[str]:
    """The endings of files that parsers read; what a file is is told by its bytes."""
    return SUFFIXES


@router.get(f"{NEWER}/job/{{job_id}}", operation_id="cloud_parsing_job")
@router.get(f"{FIRST}/job/{{job_id}}", operation_id="cloud_parsing_job_plain")
def get_parsing_job(job_id: str, service: ServiceDep) -> FirstJob:
    """Whether a parsing job is done, and why not if it failed."""
    return FirstJob(**first_view(service.get(job_id)))


@router.get(f"{NEWER}/job/{{job_id}}/details", operation_id="cloud_parsing_details")
@router.get(f"{FIRST}/job/{{job_id}}/details", operation_id="cloud_parsing_details_plain")
@router.get(f"{NEWER}/job/{{job_id}}/parameters", operation_id="cloud_parsing_parameters")
@router.get(f"{FIRST}/job/{{job_id}}/parameters", operation_id="cloud_parsing_parameters_plain")
def get_parsing_job_details(job_id: str, service: ServiceDep) -> FirstJobDetails:
    """A parsing job with the parameters that it was given; secrets are masked."""
    job = service.get(job_id)
    return FirstJobDetails(
        **first_view(job),
        parameters=shown_parameters(job),
        file_id=job.request["file_id"],
        file_name=job.request["file_name"],
        job_metadata=metadata_of(job.result) if job.result else None,
        webhook_errors=service.hook_errors(job),
        created_at=stamp(job.created_at),
        updated_at=stamp(job.updated_at),
    )


@router.get(f"{NEWER}/job/{{job_id}}/result/text", operation_id="cloud_parsing_text")
@router.get(f"{FIRST}/job/{{job_id}}/result/text", operation_id="cloud_parsing_text_plain")
def get_parsed_text(job_id: str, service: ServiceDep) -> FirstText:
    """The text of all pages of a finished job, with their separators."""
    job, found = service.result(job_id)
    return FirstText(text=service.raw(job, "result.txt").decode(), job_metadata=metadata_of(found["metadata"]))


@router.get(f"{NEWER}/job/{{job_id}}/result/markdown", operation_id="cloud_parsing_markdown")
@router.get(f"{FIRST}/job/{{job_id}}/result/markdown", operation_id="cloud_parsing_markdown_plain")
def get_parsed_markdown(job_id: str, service: ServiceDep) -> FirstMarkdown:
    """The Markdown of all pages of a finished job, with their separators."""
    job, found = service.result(job_id)
    return FirstMarkdown(markdown=service.raw(job, "result.md").decode(), job_metadata=metadata_of(found["metadata"]))


@router.get(f"{NEWER}/job/{{job_id}}/result/json", operation_id="cloud_parsing_json")
@router.get(f"{FIRST}/job/{{job_id}}/result/json", operation_id="cloud_parsing_json_plain")
def get_parsed_pages(job_id: str, service: ServiceDep) -> FirstJson:
    """Every page of a finished job: its text, its Markdown, and what stands on it."""
    _, found = service.result(job_id)  # no file_name: the vendor's helper adds its own, and refuses a second
    return FirstJson(
        pages=service.first_pages(found),
        job_metadata=metadata_of(found["metadata"]),
    )


@router.get(f"{NEWER}/job/{{job_id}}/result/raw/text", operation_id="cloud_parsing_raw_text", response_class=Response)
@router.get(
    f"{FIRST}/job/{{job_id}}/result/raw/text", operation_id="cloud_parsing_raw_text_plain", response_class=Response
)
def get_raw_text(job_id: str, service: ServiceDep) -> Response:
    """The text of a finished job, as it is."""
    job, _ = service.result(job_id)
    return Response(service.raw(job, "result.txt"), media_type="text/plain; charset=utf-8")


@router.get(
    f"{NEWER}/job/{{job_id}}/result/raw/markdown", operation_id="cloud_parsing_raw_markdown", response_class=Response
)
@router.get(
    f"{FIRST}/job/{{job_id}}/result/raw/markdown",
    operation_id="cloud_parsing_raw_markdown_plain",
    response_class=Response,
)
def get_raw_markdown(job_id: str, service: ServiceDep) -> Response:
    """The Markdown of a finished job, as it is."""
    job, _ = service.result(job_id)
    return Response(service.raw(job, "result.md"), media_type="text/markdown; charset=utf-8")


@router.get(f"{NEWER}/job/{{job_id}}/result/raw/json", operation_id="cloud_parsing_raw_json")
@router.get(f"{FIRST}/job/{{job_id}}/result/raw/json", operation_id="cloud_parsing_raw_json_plain")
def get_raw_pages(job_id: str, service: ServiceDep) -> FirstJson:
    """The pages of a finished job, as the route without `raw` gives them."""
    return get_parsed_pages(job_id, service)


@router.get(
    f"{NEWER}/job/{{job_id}}/result/xlsx",
    operation_id="cloud_parsing_xlsx",
    response_class=Response,
    responses=BOOK,
)
@router.get(
    f"{FIRST}/job/{{job_id}}/result/xlsx",
    operation_id="cloud_parsing_xlsx_plain",
    response_class=Response,
    responses=BOOK,
)
@router.get(
    f"{NEWER}/job/{{job_id}}/result/raw/xlsx",
    operation_id="cloud_parsing_raw_xlsx",
    response_class=Response,
    responses=BOOK,
)
@router.get(
    f"{FIRST}/job/{{job_id}}/result/raw/xlsx",
    operation_id="cloud_parsing_raw_xlsx_plain",
    response_class=Response,
    responses=BOOK,
)
def get_workbook(job_id: str, service: ServiceDep) -> Response:
    """The tables of a finished job as an Excel workbook, one sheet for each."""
    headers = {"Content-Disposition": f'attachment; filename="{job_id}.xlsx"'}
    return Response(service.workbook(job_id), media_type=XLSX, headers=headers)
