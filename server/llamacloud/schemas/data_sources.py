"""Where pipelines take files from, in the words of the published reference and of the vendor's clients."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, field_validator

from server.llamacloud.schemas.directories import Metadata
from server.llamacloud.schemas.text import Name, Plain, brought_up

MAX_SOURCES = 100
MAX_INTERVAL_S = 366 * 86_400
Config = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]
SourceWord = Literal["NOT_STARTED", "IN_PROGRESS", "SUCCESS", "ERROR", "CANCELLED"]


class DataSourceCreate(BaseModel):
    name: Name
    source_type: Plain = Field(max_length=100, description="local_directory or web_urls.")
    config: Config = Field(
        default_factory=dict,
        validation_alias=AliasChoices("config", "component"),
        description="local_directory: path, recursive, patterns. web_urls: urls, headers. Clients call it `component`.",
    )
    custom_metadata: Metadata | None = Field(None, description="Given to every file of the source.")


class DataSourceUpdate(BaseModel):
    """What is left out stays as it is."""

    name: Name | None = None
    source_type: Plain | None = Field(None, max_length=100)
    config: dict[str, Any] | None = Field(None, validation_alias=AliasChoices("config", "component"))
    custom_metadata: Metadata | None = None


class DataSourceView(BaseModel):
    id: str
    name: str
    project_id: str
    source_type: str
    config: dict[str, Any] = Field(description="Secrets are not in it: headers hold names of variables.")
    component: dict[str, Any] = Field(description="The same, as clients call it.")
    custom_metadata: dict[str, Any] | None = None
    version_metadata: dict[str, Any] | None = None
    created_at: datetime
    updated_at: datetime


class PipelineSourceInput(BaseModel):
    """A source that exists (`data_source_id`), or one to be made (`name`, `source_type`, `config`)."""

    data_source_id: str | None = None
    sync_interval: float | None = Field(
        None, ge=0, le=MAX_INTERVAL_S, allow_inf_nan=False, description="Seconds, at least 60; the shortest one counts."
    )
    name: Name | None = None
    source_type: Plain | None = Field(None, max_length=100)
    config: Config = Field(default_factory=dict, validation_alias=AliasChoices("config", "component"))
    custom_metadata: Metadata | None = None

    _interval = field_validator("sync_interval")(brought_up)


class PipelineSourceUpdate(BaseModel):
    sync_interval: float | None = Field(
        None, ge=0, le=MAX_INTERVAL_S, allow_inf_nan=False, description="Less than 60 are made 60."
    )

    _interval = field_validator("sync_interval")(brought_up)


class PipelineSourceView(DataSourceView):
    data_source_id: str
    pipeline_id: str
    last_synced_at: datetime = Field(description="Before the first sync: when the source was added.")
    sync_interval: float | None = None
    sync_schedule_set_by: str | None = None
    status: SourceWord
    status_updated_at: datetime | None = None
    errors: dict[str, str] = Field(description="Address or path → why it could not be had; of the source itself: ''.")


class SourceStatus(BaseModel):
    status: SourceWord
    deployment_date: datetime | None = None
    effective_at: datetime | None = None
    error: list[dict[str, Any]] = Field(default_factory=list)
    job_id: str | None = None
