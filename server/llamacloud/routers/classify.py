"""Classify jobs: of which of given types files are. /v1/classifier is the first generation, /v2/classify the second."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.classify import (
    ClassifierCreate,
    ClassifierJobPage,
    ClassifierJobView,
    ClassifierResults,
    ClassifyCreate,
    ClassifyPage,
    ClassifyStatus,
    ClassifyView,
)
from server.llamacloud.services.classify import ClassifierService, ClassifyService
from server.routing import Router

router = Router(prefix="/api", tags=["classify"])
FIRST = "/v1/classifier/jobs"
SECOND = "/v2/classify"
PageSize = Annotated[int | None, Query(ge=1)]


async def get_classifier(cloud: CloudDep, scope: ScopeDep) -> ClassifierService:
    return ClassifierService(cloud, scope)


async def get_classify(cloud: CloudDep, scope: ScopeDep) -> ClassifyService:
    return ClassifyService(cloud, scope)


ClassifierDep = Annotated[ClassifierService, Depends(get_classifier)]
ClassifyDep = Annotated[ClassifyService, Depends(get_classify)]


@router.post(FIRST, operation_id="cloud_classifier_create")
def create_classifier_job(body: ClassifierCreate, service: ClassifierDep) -> ClassifierJobView:
    """Say of which type each of several files is, in the background."""
    return service.create(body)


@router.get(FIRST, operation_id="cloud_classifier_list")
def list_classifier_jobs(
    service: ClassifierDep, page_size: PageSize = None, page_token: str | None = None
) -> ClassifierJobPage:
    """The classify jobs of a project, oldest first, page by page."""
    return service.page(page_token, page_size)


@router.get(f"{FIRST}/{{classify_job_id}}", operation_id="cloud_classifier_get")
def get_classifier_job(classify_job_id: str, service: ClassifierDep) -> ClassifierJobView:
    """The state of a classify job, or of that of one file of a batch."""
    return service.get(classify_job_id)


@router.get(f"{FIRST}/{{classify_job_id}}/results", operation_id="cloud_classifier_results")
def get_classifier_results(classify_job_id: str, service: ClassifierDep) -> ClassifierResults:
    """The type of each file, how sure that is, and why."""
    return service.results(classify_job_id)


@router.post(SECOND, operation_id="cloud_classify_create")
def create_classify_job(body: ClassifyCreate, service: ClassifyDep) -> ClassifyView:
    """Say of which type a document is, in the background."""
    return service.create(body)


@router.get(SECOND, operation_id="cloud_classify_list")
def list_classify_jobs(
    service: ClassifyDep,
    page_size: PageSize = None,
    page_token: str | None = None,
    status: Annotated[ClassifyStatus | None, Query(description="Only jobs of this state.")] = None,
    job_ids: Annotated[list[str] | None, Query(max_length=1_000)] = None,
    configuration_id: str | None = None,
    created_at_on_or_after: datetime | None = None,
    created_at_on_or_before: datetime | None = None,
) -> ClassifyPage:
    """The classify jobs of a project, oldest first, page by page."""
    return service.page(
        page_token,
        page_size,
        status=status,
        job_ids=job_ids,
        configuration_id=configuration_id,
        created=(created_at_on_or_after, created_at_on_or_before),
    )


@router.get(f"{SECOND}/{{job_id}}", operation_id="cloud_classify_get")
def get_classify_job(job_id: str, service: ClassifyDep) -> ClassifyView:
    """A classify job, with its result once it is completed."""
    return service.get(job_id)
