"""The answers that hold a whole dataset: plain data, because ten thousand files are told in one answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.project import DatasetConfig
from server.schemas.datasets import BulkAnswer, BulkFile, UploadStatus
from server.services.uploads import FailedUpload, Received
from state.file_names import StoredFile
from state.generations import LiveFile


def dataset_view(
    entry: DatasetConfig, files: Sequence[StoredFile], live: Mapping[str, LiveFile] | None
) -> dict[str, Any]:
    """As `DetailedDataset`; as `DatasetView` when `live` is None."""
    view: dict[str, Any] = {
        "name": entry.name,
        "database": entry.database,
        "data_processing_strategy": entry.data_processing_strategy,
        "files": [file.hash for file in files],
        "auto_process": entry.auto_process,
    }
    if live is not None:
        view["details"] = _details(files, live)
    return view


def _details(files: Sequence[StoredFile], live: Mapping[str, LiveFile]) -> dict[str, Any]:
    return {
        "total_files": len(files),
        "total_size_bytes": sum(file.size for file in files),
        "file_details": [
            {
                "hash": file.hash,
                "original_filename": file.original_file_name,
                "size": file.size,
                "timestamp": file.timestamp,
            }
            for file in files
        ],
        "files_metadata": [
            {
                "original_file_name": file.original_file_name,
                "resolved_file_name": file.resolved_file_name,
                "timestamp": file.timestamp,
                "size": file.size,
                "mime_type": file.mime_type,
                "hash": file.hash,
                "chunk_count": live[file.hash].chunk_count if file.hash in live else 0,
                "parser_overrides": file.parser_overrides,
            }
            for file in files
        ],
    }


def bulk_answer(received: Received, status: UploadStatus, task_id: str | None) -> BulkAnswer:
    files = []
    for upload in received.uploads:
        if isinstance(upload, FailedUpload):
            files.append(BulkFile(filename=upload.filename, status="failed", error=upload.error))
            continue
        kind: UploadStatus = "skipped" if upload.is_duplicate else "uploaded"
        files.append(BulkFile(filename=upload.file.original_file_name, status=kind, hash=upload.file.hash))
    counts = {kind: sum(file.status == kind for file in files) for kind in ("uploaded", "skipped", "failed")}
    return BulkAnswer(**counts, status=status, task_id=task_id, files=files)
