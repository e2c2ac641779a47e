"""Wire models of batches of both kinds. What is sent besides is accepted and ignored."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from server.llamacloud.schemas.text import Plain

JobType: TypeAlias = Literal["parse", "extract", "classify"]
BatchStatus: TypeAlias = Literal["pending", "running", "dispatched", "completed", "failed", "cancelled"]
ItemStatus: TypeAlias = Literal["pending", "processing", "completed", "failed", "skipped", "cancelled"]
RunStatus: TypeAlias = Literal["PENDING", "THROTTLED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
ProductJob: TypeAlias = Literal["parse_v2", "extract_v2"]
MAX_ITEMS = 10_000


class BatchCreate(BaseModel):
    """One of `directory_id` and `item_ids`."""

    job_config: dict[str, Any] = Field(
        description="With `rules`: files are classified; else they are parsed with `parameters`."
    )
    directory_id: Plain | None = None
    item_ids: Annotated[list[Plain], Field(max_length=MAX_ITEMS)] | None = Field(
        None, description="Ids of directory files or of files."
    )
    page_size: int | None = Field(None, ge=1, le=1_000, description="Without effect: all items are taken at once.")
    continue_as_new_threshold: int | None = Field(None, description="Without effect.")


class BatchJob(BaseModel):
    id: str
    job_type: JobType
    project_id: str
    status: BatchStatus
    total_items: int
    processed_items: int
    failed_items: int
    skipped_items: int
    cancelled_items: int
    directory_id: str | None = None
    error_message: str | None = None
    job_record_id: str
    workflow_id: str
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    updated_at: datetime
    effective_at: datetime


class BatchPage(BaseModel):
    items: list[BatchJob]
    next_page_token: str | None = None
    total_size: int


class BatchProgress(BaseModel):
    job: BatchJob
    progress_percentage: float


class BatchCancel(BaseModel):
    reason: Plain | None = None


class BatchCancelled(BaseModel):
    job_id: str
    message: str
    processed_items: int
    status: BatchStatus


class BatchItem(BaseModel):
    item_id: str
    item_name: str
    status: ItemStatus
    job_id: str
    job_record_id: str
    error_message: str | None = None
    skip_reason: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    effective_at: datetime


class BatchItemPage(BaseModel):
    items: list[BatchItem]
    next_page_token: str | None = None
    total_size: int


class ItemResult(BaseModel):
    item_id: str
    job_config: dict[str, Any]
    job_type: JobType
    output_s3_path: str = Field(description="Where the output lies in this server's own storage; links stand beside.")
    parameters_hash: str
    processed_at: datetime
    result_id: str
    output_metadata: dict[str, Any]


class ItemResults(BaseModel):
    item_id: str
    item_name: str
    processing_results: list[ItemResult]


class RunJob(BaseModel):
    type: ProductJob
    configuration_id: Plain


class RunConfig(BaseModel):
    job: RunJob


class RunCreate(BaseModel):
    source_directory_id: Plain
    config: RunConfig


class JobReference(BaseModel):
    id: str
    type: ProductJob


class RunResult(BaseModel):
    source_directory_file_id: str
    error_message: str | None = None
    job_reference: JobReference | None = None


class RunView(BaseModel):
    id: str
    config: RunConfig
    project_id: str
    source_directory_id: str
    status: RunStatus
    created_at: datetime
    updated_at: datetime
    results: list[RunResult] | None = None


class RunPage(BaseModel):
    items: list[RunView]
    next_page_token: str | None = None
    total_size: int | None = None
