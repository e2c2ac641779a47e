"""Wire models of a preview: how a file would be cut into chunks, before anything is stored."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator


class CutOptions(BaseModel):
    """Options of cutting, each instead of the strategy's; one that the way of cutting does not know is a warning."""

    chunk_size: int | None = Field(
        None, ge=1, le=10_000, description="Instead of the strategy's; characters, tokens or rows, as it counts."
    )
    chunk_overlap: int | None = Field(None, ge=0, description="Instead of the strategy's; less than `chunk_size`.")
    chunk_strategy: str | None = Field(
        None, description="characters, sentences, semantic, code, parent_child … instead of the strategy's."
    )
    parent_size: int | None = Field(None, ge=50, le=100_000, description="Of `parent_child`.")
    semantic_buffer_size: int | None = Field(None, ge=1, le=10, description="Of `semantic`.")
    semantic_breakpoint_percentile_threshold: float | None = Field(None, ge=50, le=99, description="Of `semantic`.")
    min_chunk_size: int | None = Field(None, ge=1, le=10_000, description="Of `semantic`.")
    max_chunk_size: int | None = Field(None, ge=50, le=100_000, description="Of `semantic`.")

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if self.chunk_size is not None and self.chunk_overlap is not None and self.chunk_overlap >= self.chunk_size:
            raise ValueError("chunk_overlap must be less than chunk_size")
        return self


class PreviewRequest(CutOptions):
    """A file of a dataset by its `file_hash`, or any file as `file_content`. Options that are not given are those of
    the strategy.
    """

    dataset_id: str | None = Field(None, description="Name of the dataset that holds the file; default: any that does.")
    file_hash: str | None = Field(None, description="Hash of a stored file.")
    file_content: str | None = Field(None, description="The bytes of a file, as base64.")
    filename: Annotated[str, StringConstraints(max_length=255)] | None = Field(
        None, description="Name of `file_content`; its ending tells text formats apart."
    )
    data_processing_strategy: str | None = Field(None, description="Default: the dataset's, else `universal_rag`.")


class PreviewChunk(BaseModel):
    chunk_index: int
    content: str
    start_position: int = Field(description="First character in `original_text`.")
    end_position: int = Field(description="Behind the last character in `original_text`.")
    char_count: int
    word_count: int
    table_header: str | None = Field(
        None, description="First rows of the table that the chunk begins in the middle of; embedded with it."
    )
    parent_start: int | None = Field(None, description="First character of its parent, where it has one.")
    parent_end: int | None = Field(None, description="Behind the last character of its parent.")
    metadata: dict[str, Any]


class Preview(BaseModel):
    original_text: str
    chunks: list[PreviewChunk]
    filename: str
    size_bytes: int
    content_type: str
    parser_used: str
    chunk_strategy: str
    chunk_size: int
    chunk_overlap: int
    total_chunks: int = Field(description="Of the whole file, also where not all are shown.")
    avg_chunk_size: float = Field(description="Characters.")
    total_size_with_overlaps: int = Field(description="Characters of all chunks together.")
    avg_overlap_size: float = Field(description="Characters that a chunk shares with the one before.")
    warnings: list[str]
