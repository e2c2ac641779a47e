"""Wire models of datasets and their files."""

from typing import Any, Literal

from pydantic import BaseModel, Field

UploadStatus = Literal["uploaded", "skipped", "processing", "failed"]


class FileMetadata(BaseModel):
    original_file_name: str
    resolved_file_name: str
    timestamp: float
    size: int
    mime_type: str
    hash: str
    chunk_count: int | None = Field(None, description="Chunks that queries can find; 0: not processed.")
    parser_overrides: dict[str, dict[str, Any]] | None = Field(
        None, description="Options of cutting that were uploaded with the file."
    )


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


class BulkFile(BaseModel):
    """One file of a bulk upload; `hash` unless it failed."""

    filename: str
    status: Literal["uploaded", "skipped", "failed"]
    hash: str | None = None
    error: str | None = None


class BulkAnswer(BaseModel):
    uploaded: int
    skipped: int = Field(description="Files whose bytes the dataset had already.")
    failed: int
    task_id: str | None = Field(None, description="Set when the upload started a processing.")
    status: UploadStatus
    files: list[BulkFile] = Field(description="In the order of the request.")


class ActionRequest(BaseModel):
    action_type: Literal["process", "ingest", "reprocess", "delete_file_chunks", "delete_dataset_chunks"] = Field(
        description="`ingest` is `process`. `reprocess` makes everything anew, also what is unchanged."
    )
    file_hash: str | None = Field(
        None, description="Needed by `delete_file_chunks`; `process` and `reprocess` work on this file alone."
    )
    failed_only: bool = Field(False, description="`process`, `reprocess`: only files whose last processing failed.")
    parser_overrides: dict[str, Any] | None = Field(
        None,
        description='`process`, `reprocess`: `{pattern: {"chunk_size", "chunk_overlap", "chunk_strategy"}}` for this '
        "processing, in place of those uploaded with the files.",
    )


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
