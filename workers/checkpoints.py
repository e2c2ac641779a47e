"""What one stage leaves for the next, beside the raw file: the parsed text, kept, and the spans of its chunks."""

import os
import tempfile
import time
from pathlib import Path

from config.layout import DatasetPaths
from rag.document_format import dump_chunks, dump_document, load_chunks, load_document
from rag.types import Chunk, Document

ABANDONED_AFTER_S = 3600.0
_PART = ".part-"


class Checkpoints:
    """Files appear whole or not at all. The text is kept for citations; the spans go when the task has ended."""

    def __init__(self, dataset: DatasetPaths) -> None:
        self._folder = dataset.text_dir

    def save_document(self, file_hash: str, parse_fingerprint: str, document: Document) -> None:
        self._write(self.text_path(file_hash, parse_fingerprint), dump_document(document))

    def load_document(self, file_hash: str, parse_fingerprint: str) -> Document | None:
        data = self._read(self.text_path(file_hash, parse_fingerprint))
        return None if data is None else load_document(data)

    def save_chunks(self, file_hash: str, generation: str, chunks: list[Chunk]) -> None:
        self._write(self._chunk_path(file_hash, generation), dump_chunks(chunks))

    def load_chunks(self, file_hash: str, generation: str, document: Document) -> list[Chunk] | None:
        data = self._read(self._chunk_path(file_hash, generation))
        return None if data is None else load_chunks(data, document)

    def drop_chunks(self, file_hash: str, generation: str) -> None:
        self._chunk_path(file_hash, generation).unlink(missing_ok=True)

    def drop_file(self, file_hash: str) -> None:
        """Remove everything that was derived from a file."""
        for path in self._folder.glob(f"{file_hash}.*"):
            path.unlink(missing_ok=True)

    def drop_abandoned(self) -> None:
        """Remove what a process that was killed while it wrote has left."""
        for path in self._folder.glob(f"{_PART}*"):
            if path.stat().st_mtime < time.time() - ABANDONED_AFTER_S:
                path.unlink(missing_ok=True)

    def text_path(self, file_hash: str, parse_fingerprint: str) -> Path:
        """Where the parsed text of a file lies, if it was parsed."""
        return self._folder / f"{file_hash}.{parse_fingerprint[:12]}.text.json"

    def _chunk_path(self, file_hash: str, generation: str) -> Path:
        return self._folder / f"{file_hash}.{generation}.chunks.json"

    def _read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, path: Path, data: bytes) -> None:
        # Without `parents`: a dataset that was deleted meanwhile does not come back.
        path.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PART)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
