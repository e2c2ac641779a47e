"""Wire models of parsing jobs. What is sent besides is accepted and ignored."""

from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from server.llamacloud.schemas.text import FirstStatus, Plain

ParseStatus: TypeAlias = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]


class FirstJob(BaseModel):
    """A parsing job of the first generation."""

    id: str
    status: FirstStatus
    error_code: str | None = None
    error_message: str | None = None


class FirstJobDetails(FirstJob):
    parameters: dict[str, Any]
    file_id: str
    file_name: str
    job_metadata: dict[str, Any] | None = None
    webhook_errors: list[str] = Field(description="Why webhooks could not be told of the end of the job.")
    created_at: datetime
    updated_at: datetime


class FirstText(BaseModel):
    text: str
    job_metadata: dict[str, Any]


class FirstMarkdown(BaseModel):
    markdown: str
    job_metadata: dict[str, Any]


class FirstJson(BaseModel):
    pages: list[dict[str, Any]]
    job_metadata: dict[str, Any]


class ParseCreate(BaseModel):
    """A file by its id; the configuration stands beside it, or is a saved one."""

    model_config = ConfigDict(extra="allow")

    file_id: Plain | None = None
    source_url: Plain | None = None
    configuration_id: Plain | None = None
    user_metadata: dict[str, Any] | None = None


class ParseJobView(BaseModel):
    id: str
    project_id: str
    status: ParseStatus
    name: str | None = None
    tier: str | None = None
    user_metadata: dict[str, Any] | None = None
    error_message: str | None = None
    created_at: datetime
    updated_at: datetime


class ParseResultView(BaseModel):
    """A job, and what of it was asked for with `expand`."""

    model_config = ConfigDict(extra="allow")

    job: ParseJobView


class ParsePage(BaseModel):
    items: list[ParseJobView]
    next_page_token: str | None = None
    total_size: int | None = None
