"""Extraction, second generation: a job is a file and a configuration."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from server.llamacloud.schemas.extraction import Config, DataSchema, Id, Json, Prompt
from server.llamacloud.schemas.noticing import Noticing
from server.llamacloud.schemas.text import Name

ExtractStatus = Literal["PENDING", "THROTTLED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]
"""THROTTLED never occurs; it may be asked for."""


class ExtractCreate(Noticing):
    """Either `configuration` or `configuration_id`; what stands in both is taken from `configuration`."""

    file_input: Id | None = Field(None, description="The id of a file, or of a parse job whose file it is.")
    document_input_value: Id | None = Field(None, description="The former name of file_input.")
    configuration: Config | None = Field(None, description="data_schema and options.")
    configuration_id: Id | None = Field(None, description="A saved configuration of the product extract_v2.")
    webhook_configurations: list[Json] | None = Field(None, description="No effect.")


class ExtractFields(BaseModel):
    """Of the whole document, of each page, or of each table row."""

    document_metadata: Json | None = None
    page_metadata: list[Json] | None = None
    row_metadata: list[Json] | None = None


class ExtractMetadata(BaseModel):
    field_metadata: ExtractFields
    parse_job_id: str | None = None
    parse_tier: str | None = None
    model: str | None = Field(None, description="The name of the model that read the file.")
    warnings: list[str] = Field(default_factory=list, description="What was left out, and why.")
    ignored_options: list[str] = Field(default_factory=list, description="Options that are set and have no effect.")


class ExtractUsage(BaseModel):
    num_pages_extracted: int | None = None
    num_pages_billed: int | None = Field(None, description="Always null: nothing is billed.")


class ExtractJobMetadata(BaseModel):
    usage: ExtractUsage


class ExtractView(BaseModel):
    """A job of the second generation, with what it read once it has ended."""

    id: str
    project_id: str
    status: ExtractStatus
    file_input: str
    document_input_type: Literal["file_id", "parse_job_id"]
    document_input_value: str
    configuration: Json | None = Field(description="As it was when the job was made.")
    configuration_id: str | None
    extract_result: Any = Field(description="An object; a list of them by page or by table row. Null until COMPLETED.")
    extract_metadata: ExtractMetadata | None = Field(
        description="With expand=extract_metadata, or where the configuration asks for citations or confidences."
    )
    error_message: str | None
    metadata: ExtractJobMetadata
    created_at: datetime
    updated_at: datetime


class ExtractPage(BaseModel):
    items: list[ExtractView]
    next_page_token: str | None
    total_size: int


class SchemaConfigurationWish(BaseModel):
    """At least one of prompt, file_id and data_schema."""

    prompt: Prompt | None = None
    file_id: Id | None = Field(None, description="An example document.")
    data_schema: DataSchema | None = Field(None, description="A draft whose fields are kept.")
    name: Name | None = Field(None, description="Of the configuration that comes back.")


class SchemaConfiguration(BaseModel):
    """What POST /api/v1/beta/configurations takes, to be saved as it is."""

    name: str
    parameters: Json
    data_schema: Json


class ExtractDeleted(BaseModel):
    id: str
    deleted: bool = True
