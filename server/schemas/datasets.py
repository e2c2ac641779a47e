"""Wire models of datasets and their files."""

from typing import Any, Literal

from pydantic import BaseModel, Field

UploadStatus = Literal["uploaded", "skipped", "processing"]


class FileMetadata(BaseModel):
    original_file_name: str
    resolved_file_name: str
    timestamp: float
    size: int
    mime_type: str
    hash: str
    chunk_count: int | None = Field(None, description="Chunks that queries can find; 0: not processed.")


class FileDetail(BaseModel):
    hash: str
    original_filename: str
    size: int
    timestamp: float


class DatasetDetails(BaseModel):
    total_files: int
    total_size_bytes: int
    file_details: list[FileDetail]
    files_metadata: list[FileMetadata]


class DatasetView(BaseModel):
    name: str
    database: str
    data_processing_strategy: str
    files: list[str] = Field(default_factory=list, description="SHA-256 of every file, in order of upload.")
    auto_process: bool = False


class DetailedDataset(DatasetView):
    details: DatasetDetails


class DatasetList(BaseModel):
    total: int
    datasets: list[DetailedDataset | DatasetView]


class DatasetStrategies(BaseModel):
    data_processing_strategies: list[str]
    databases: list[str]


class DatasetCreate(BaseModel):
    name: str = Field(description="Letters, digits, `_` and `-`; at most 100.")
    data_processing_strategy: str
    database: str


class DatasetAnswer(BaseModel):
    dataset: DatasetView


class UploadAnswer(BaseModel):
    filename: str
    hash: str
    processed: bool = False
    skipped: bool = Field(description="The dataset had these bytes already; they were kept as they are.")
    status: UploadStatus = "uploaded"
    task_id: str | None = Field(None, description="Set when the upload started a processing.")


class ActionRequest(BaseModel):
    action_type: Literal["process", "ingest", "delete_file_chunks", "delete_dataset_chunks"]
    file_hash: str | None = Field(None, description="Needed by `delete_file_chunks`.")
    parser_overrides: dict[str, Any] | None = Field(None, description="Not supported; must be empty.")


class ActionStarted(BaseModel):
    message: str = "Accepted"
    task_uri: str
    task_id: str


class FileChunksDeleted(BaseModel):
    message: str
    file_hash: str
    deleted_chunks: int


class DatasetChunksDeleted(BaseModel):
    message: str
    total_deleted_chunks: int
    total_files_cleared: int
    total_files_failed: int = 0


class FileRemoved(BaseModel):
    file_hash: str
    deleted_chunks: int
