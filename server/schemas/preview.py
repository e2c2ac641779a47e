"""Wire models of a preview: how a file would be cut into chunks, before anything is stored."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator


class PreviewRequest(BaseModel):
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
    chunk_size: int | None = Field(None, ge=50, le=10_000, description="Instead of the strategy's.")
    chunk_overlap: int | None = Field(None, ge=0, description="Instead of the strategy's; less than `chunk_size`.")
    chunk_strategy: str | None = Field(
        None, description="characters, sentences, paragraphs or another way of cutting, instead of the strategy's."
    )

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if self.chunk_size is not None and self.chunk_overlap is not None and self.chunk_overlap >= self.chunk_size:
            raise ValueError("chunk_overlap must be less than chunk_size")
        return self


class PreviewChunk(BaseModel):
    chunk_index: int
    content: str
    start_position: int = Field(description="First character in `original_text`.")
    end_position: int = Field(description="Behind the last character in `original_text`.")
    char_count: int
    word_count: int
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
