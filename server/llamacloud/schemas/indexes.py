"""Indexes: a directory that can be searched."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator

from server.llamacloud.schemas.text import Key, Name, Plain

SyncFrequency = Literal["manual", "daily", "on_source_change"]


class IndexProduct(BaseModel):
    """A saved configuration that the build is to use."""

    product_config_id: Key
    product_type: Literal["parse", "extract"]


class IndexCreate(BaseModel):
    source_directory_id: Key
    name: Name | None = Field(None, description="Absent: the directory's name.")
    description: Plain | None = Field(None, max_length=10_000)
    products: list[IndexProduct] | None = Field(None, max_length=10, description="Absent: parsing with its defaults.")
    sync_frequency: SyncFrequency = Field("manual", description="When it is brought in step besides.")
    store_attachments: list[Plain] | None = Field(None, description="No effect; listed in metadata.ignored_parameters.")
    vector_target: Literal["DEFAULT", "DISABLED"] = Field(
        "DEFAULT", description="DISABLED has no effect; it is listed in metadata.ignored_parameters."
    )

    @field_validator("sync_frequency", "vector_target", mode="before")
    @classmethod
    def _absent(cls, value: Any, info: Any) -> Any:
        return cls.model_fields[info.field_name].default if value is None else value


class IndexView(BaseModel):
    """An index, and how far its build is."""

    id: str
    name: str
    description: str | None
    project_id: str
    source_directory_id: str
    output_directory_id: str = Field(description="Of a directory that stands for what was made of the source.")
    export_config_id: str
    sync_config_id: str
    created_at: datetime
    updated_at: datetime
    last_synced_at: datetime | None = Field(description="When the source was last parsed as a whole; null before.")
    last_exported_at: datetime | None = Field(description="When all its chunks were last found by searches.")
    metadata: dict[str, Any] = Field(description="status, file_count, files_completed, files_failed, chunk_count, …")
    sync_in_progress: bool | None = Field(None, description="With `expand=sync_in_progress`.")


class IndexPage(BaseModel):
    items: list[IndexView]
    next_page_token: str | None = Field(description="Null on the last page.")
    total_size: int


class SyncStarted(BaseModel):
    """Nothing is told: `last_exported_at` moves when it is done."""
