"""Directories and the files in them."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import orjson
from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictFloat, StrictInt, field_validator

from server.llamacloud.links import PresignedURL
from server.llamacloud.schemas.text import Key, Name, Plain

DirectoryType: TypeAlias = Literal["user", "index", "ephemeral"]
MAX_METADATA_BYTES = 64_000
MAX_BULK = 100


def _bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(metadata)) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata may hold at most {MAX_METADATA_BYTES} bytes of JSON")
    return metadata


MetadataValue = StrictBool | StrictInt | StrictFloat | Plain | list[Plain] | None
Metadata = Annotated[dict[Plain, MetadataValue], AfterValidator(_bounded)]


class DirectoryCreate(BaseModel):
    name: Name
    description: Plain | None = None
    type: Literal["user", "ephemeral"] | None = None
    system_metadata: dict[str, Any] | None = Field(None, description="Kept and shown with the directory.")
    data_source_id: str | None = Field(None, description="Refused: sources belong to pipelines.")
    connector_subscription_id: str | None = Field(None, description="Refused: there are no connectors.")

    @field_validator("data_source_id", "connector_subscription_id")
    @classmethod
    def _not_served(cls, value: str | None) -> None:
        if value is not None:
            raise ValueError("directories are filled by uploads here; a pipeline can have data sources")


class DirectoryUpdate(BaseModel):
    """What is left out stays as it is."""

    name: Name | None = None
    description: Plain | None = None


class DirectoryView(BaseModel):
    id: str
    name: str
    project_id: str
    description: str | None = None
    type: DirectoryType
    system_metadata: dict[str, Any] | None = None
    data_source_id: str | None = None
    connector_subscription_id: str | None = None
    expires_at: datetime | None = Field(None, description="Always null: ephemeral directories stay as well.")
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class DirectoryPage(BaseModel):
    items: list[DirectoryView]
    next_page_token: str | None
    total_size: int


class DirectoryFileAdd(BaseModel):
    file_id: str
    display_name: Name | None = None
    metadata: Metadata | None = None
    unique_id: Key | None = Field(None, description="Absent: the file's external_file_id, else its name.")


class DirectoryFileUpdate(BaseModel):
    """What is left out stays as it is; `metadata` replaces what was given before."""

    directory_id: str | None = Field(None, description="Moves the file; newer clients call it target_directory_id.")
    target_directory_id: str | None = None
    display_name: Name | None = None
    metadata: Metadata | None = None
    unique_id: Key | None = None


class DirectoryFileView(BaseModel):
    id: str
    directory_id: str
    display_name: str
    project_id: str
    unique_id: str
    file_id: str | None = None
    data_source_id: str | None = None
    metadata: dict[str, Any] = Field(description="Of all sources; what users gave goes before what the system knows.")
    download_url: PresignedURL | None = Field(None, description="With `expand=download_url`.")
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class DirectoryFilePage(BaseModel):
    items: list[DirectoryFileView]
    next_page_token: str | None
    total_size: int


class BulkDelete(BaseModel):
    directory_file_ids: list[str] = Field(max_length=MAX_BULK)
