"""Documents of a pipeline that come as text."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from server.llamacloud.schemas.text import Key, Plain

MAX_DOCUMENTS = 10_000
MAX_LIMIT = 1_000


def _worded(text: str) -> str:
    if not text.strip():
        raise ValueError("a document needs a text: this one is empty")
    return text


class DocumentInput(BaseModel):
    text: Annotated[Plain, AfterValidator(_worded)] = Field(description="Stored as a UTF-8 text file; not empty.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Comes back with each hit, and filters it.")
    id: Key | None = Field(None, description="Absent: a new one. A document of the same id is replaced.")
    excluded_embed_metadata_keys: list[str] | None = Field(None, description="Kept; no metadata is embedded.")
    excluded_llm_metadata_keys: list[str] | None = None
    page_positions: list[int] | None = None


class DocumentView(BaseModel):
    id: str
    text: str
    metadata: dict[str, Any]
    excluded_embed_metadata_keys: list[str] = Field(default_factory=list)
    excluded_llm_metadata_keys: list[str] = Field(default_factory=list)
    page_positions: list[int] | None = None
    status_metadata: dict[str, Any] | None = Field(None, description="`status` of its ingestion, and its error.")


class DocumentPage(BaseModel):
    documents: list[DocumentView]
    limit: int
    offset: int
    total_count: int


class DocumentCounts(BaseModel):
    counts: dict[str, int]
    pipeline_id: str
    total_count: int
    data_source_id: str | None = None
    file_id: str | None = None
    only_direct_upload: bool | None = None
