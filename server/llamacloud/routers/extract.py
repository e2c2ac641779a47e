"""Extraction, second generation."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.extract import (
    ExtractCreate,
    ExtractDeleted,
    ExtractPage,
    ExtractStatus,
    ExtractView,
    SchemaConfiguration,
    SchemaConfigurationWish,
)
from server.llamacloud.schemas.extraction import SchemaCheck, SchemaView
from server.llamacloud.services.extract import PRODUCT, ExtractService
from server.llamacloud.services.extract_jobs import checked_schema
from server.llamacloud.services.extract_schemas import SchemaService
from server.routing import Router

router = Router(prefix="/api", tags=["extract"])
PATH = "/v2/extract"


async def get_service(cloud: CloudDep, scope: ScopeDep) -> ExtractService:
    return ExtractService(cloud, scope)


ServiceDep = Annotated[ExtractService, Depends(get_service)]
Expand = Annotated[
    list[str] | None, Query(description="extract_metadata; configuration and usage are always answered.")
]


@router.post(PATH, operation_id="cloud_extract_create")
def create_extract_job(body: ExtractCreate, service: ServiceDep) -> ExtractView:
    """Read a file by a schema, in the background."""
    return service.create(body)


@router.get(PATH, operation_id="cloud_extract_list")
def list_extract_jobs(
    service: ServiceDep,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
    expand: Expand = None,
    status: Annotated[ExtractStatus | None, Query(description="Only jobs of this state.")] = None,
    file_input: str | None = None,
    document_input_value: Annotated[str | None, Query(description="The former name of file_input.")] = None,
    configuration_id: str | None = None,
    job_ids: Annotated[list[str] | None, Query(max_length=1_000)] = None,
    created_at_on_or_after: datetime | None = None,
    created_at_on_or_before: datetime | None = None,
) -> ExtractPage:
    """The jobs of a project, oldest first, page by page."""
    return service.page(
        page_token,
        page_size,
        expand=expand or (),
        status=status,
        file_input=file_input or document_input_value,
        configuration_id=configuration_id,
        job_ids=job_ids,
        created=(created_at_on_or_after, created_at_on_or_before),
    )


@router.post(f"{PATH}/schema/validation", operation_id="cloud_extract_schema_validate")
def validate_extract_schema(body: SchemaCheck) -> SchemaView:
    """Check a JSON Schema and give it back as it will be used."""
    return SchemaView(data_schema=checked_schema(body.data_schema) or {})


@router.post(f"{PATH}/schema/generate", operation_id="cloud_extract_schema_generate")
def generate_extract_schema(body: SchemaConfigurationWish, cloud: CloudDep, scope: ScopeDep) -> SchemaConfiguration:
    """Make a schema of a wish in words, an example document, a draft, or several of them: a configuration to be saved.

    Needs a model that writes.
    """
    service = SchemaService(cloud, scope)
    schema = service.generate(prompt=body.prompt, file_id=body.file_id, draft=body.data_schema)
    parameters = {"product_type": PRODUCT, "data_schema": schema}
    return SchemaConfiguration(name=body.name or "Generated schema", parameters=parameters, data_schema=schema)


@router.get(f"{PATH}/{{job_id}}", operation_id="cloud_extract_get")
def get_extract_job(job_id: str, service: ServiceDep, expand: Expand = None) -> ExtractView:
    """How far a job is, and what it read once it has ended."""
    return service.get(job_id, expand or ())


@router.post(f"{PATH}/{{job_id}}/cancel", operation_id="cloud_extract_cancel")
def cancel_extract_job(job_id: str, service: ServiceDep) -> ExtractView:
    """End a job that waits or runs."""
    return service.cancel(job_id)


@router.delete(f"{PATH}/{{job_id}}", operation_id="cloud_extract_delete")
def delete_extract_job(job_id: str, service: ServiceDep) -> ExtractDeleted:
    """Delete a job with what it read; one that is under way stops."""
    service.delete(job_id)
    return ExtractDeleted(id=job_id)
