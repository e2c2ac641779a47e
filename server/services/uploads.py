"""Reads a multipart upload straight into a dataset: parsed, hashed and written as it arrives, never whole in memory."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import CancelScope, to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from rag.errors import BadRequestError, InvalidInputError, LimitExceededError, StorageFullError
from state.file_names import StoredFile
from state.files import DatasetFiles
from state.incoming import IncomingFile

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_PART = "file"
FORM_OVERHEAD_BYTES = 1_000_000
"""What boundaries, headers and text fields may add to the bytes of the file."""
BATCH_BYTES = 1_000_000
MAX_PARTS = 64
MAX_FIELD_BYTES = 64 * 1024
MAX_HEADER_BYTES = 128 * 1024
NO_OVERRIDES = frozenset({"", "{}", "[]", "null"})


@dataclass(frozen=True, slots=True)
class Upload:
    """What arrived; `is_duplicate` when the dataset had the same bytes already."""

    file: StoredFile
    is_duplicate: bool


@dataclass(slots=True)
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    filename: str | None = None
    data: bytearray = field(default_factory=bytearray)


class _Form:
    """Follows the parser's callbacks: the bytes of the part `file` go to `sink`, text fields are kept."""

    def __init__(self, boundary: bytes, sink: IncomingFile) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.mime: str | None = None
        self.is_file_complete = False
        self._sink = sink
        self._part = _Part()
        self._part_count = 0
        self._header_name = b""
        self._header_value = b""
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
        }
        self._parser = MultipartParser(boundary, callbacks, max_header_size=MAX_HEADER_BYTES)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadRequestError(f"the multipart body is malformed: {error}") from error

    def finish(self) -> str:
        """The uploaded file's name; raises when the body ended early or held no file."""
        if self.filename is None:
            raise InvalidInputError(f"the upload needs a multipart part '{FILE_PART}' (curl -F {FILE_PART}=@paper.pdf)")
        if not self.is_file_complete:
            raise BadRequestError("the multipart body ended in the middle of the file; nothing was stored")
        refuse_overrides(self.fields.get("parser_overrides"))
        return self.filename

    def _on_part_begin(self) -> None:
        self._part = _Part()
        self._part_count += 1
        if self._part_count > MAX_PARTS:
            raise LimitExceededError(f"the form has more than {MAX_PARTS} parts")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._part.headers[self._header_name.decode("latin-1").lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._part.headers.get("content-disposition"))
        self._part.name = _text(options.get(b"name", b""))
        if self._part.name != FILE_PART:
            return
        if b"filename" not in options:
            raise InvalidInputError(f"part '{FILE_PART}' carries no file name; with curl: -F {FILE_PART}=@paper.pdf")
        if self.filename is not None:
            raise BadRequestError(f"the form has more than one part '{FILE_PART}'; upload one file per request")
        self.filename = self._part.filename = _text(options[b"filename"])
        self.mime = _text(self._part.headers.get("content-type", b""))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part.filename is not None:
            self._sink.write(data[start:end])
            return
        self._part.data += data[start:end]
        if len(self._part.data) > MAX_FIELD_BYTES:
            raise LimitExceededError(f"form field '{self._part.name[:100]}' is larger than {MAX_FIELD_BYTES} bytes")

    def _on_part_end(self) -> None:
        if self._part.filename is not None:
            self.is_file_complete = True
        else:
            self.fields[self._part.name] = _text(bytes(self._part.data))


def refuse_overrides(value: object) -> None:
    """Raises BadRequestError when parsers are to be changed for one request: silence would look like success."""
    if value and not (isinstance(value, str) and value.strip() in NO_OVERRIDES):
        raise BadRequestError(
            "parser_overrides is not supported: set the parsers in the data_processing_strategy of the project"
        )


async def receive_upload(
    files: DatasetFiles, body: AsyncIterator[bytes], *, content_type: str, max_bytes: int
) -> Upload:
    """Store the file that a multipart body carries.

    Raises:
        LimitExceededError: the file is larger than `max_bytes`; what was written is gone.
        BadRequestError: the body is no well-formed form, or it broke off, or it asks for what is not supported.
        InvalidInputError: there is no part `file`.
    """
    boundary = _boundary(content_type)
    incoming = await to_thread.run_sync(files.receive, max_bytes)
    try:
        form = _Form(boundary, incoming)
        await _pump(body, form, max_bytes + FORM_OVERHEAD_BYTES)
        name = form.finish()
        file, is_duplicate = await to_thread.run_sync(incoming.commit, name, form.mime)
        return Upload(file, is_duplicate)
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(incoming.__exit__)


def refuse_early(folder: Path, *, length: int, max_bytes: int) -> None:
    """Answer before a byte is read when the declared length cannot be stored."""
    if length > max_bytes + FORM_OVERHEAD_BYTES:
        raise LimitExceededError(f"the file is larger than {max_bytes} bytes (LF_MAX_UPLOAD_BYTES)")
    with contextlib.suppress(FileNotFoundError):
        if length > shutil.disk_usage(folder).free:
            raise StorageFullError(f"the disk has no room for {length} bytes; free space and try again")


async def _pump(body: AsyncIterator[bytes], form: _Form, max_total_bytes: int) -> None:
    """Parsing, hashing and writing happen in a thread, a batch at a time: one hop per network read would be slower."""
    batch = bytearray()
    total = 0
    async for chunk in body:
        total += len(chunk)
        if total > max_total_bytes:
            raise LimitExceededError(f"the request body is larger than {max_total_bytes} bytes (LF_MAX_UPLOAD_BYTES)")
        batch += chunk
        if len(batch) >= BATCH_BYTES:
            await to_thread.run_sync(form.feed, bytes(batch))
            batch.clear()
    await to_thread.run_sync(form.feed, bytes(batch))


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 256:
        raise InvalidInputError(
            f"an upload is multipart/form-data with a part '{FILE_PART}' (curl -F {FILE_PART}=@paper.pdf), "
            f"not '{content_type[:100]}'"
        )
    return boundary


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
