"""Follows a multipart body as it arrives: the bytes of files go to a sink, text fields are kept."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from rag.errors import BadRequestError, InvalidInputError, LimitExceededError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

BATCH_BYTES = 1_000_000
MAX_FIELDS = 63
MAX_FIELD_BYTES = 64 * 1024
MAX_HEADER_BYTES = 128 * 1024


class FileSink(Protocol):
    """Takes files one after the other; what it raises ends the reading of the body."""

    def begin(self, filename: str, mime: str) -> None: ...

    def write(self, data: bytes) -> None: ...

    def end(self) -> None: ...


@dataclass(slots=True)
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    is_file: bool = False
    data: bytearray = field(default_factory=bytearray)


class Form:
    """A form whose files come in parts called as one of `file_parts`; every other part is a text field."""

    def __init__(self, boundary: bytes, sink: FileSink, *, file_parts: Collection[str], max_files: int) -> None:
        self.fields: dict[str, str] = {}
        self.has_open_file = False
        self._sink = sink
        self._file_parts = file_parts
        self._max_parts = max_files + MAX_FIELDS
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

    def _on_part_begin(self) -> None:
        self._part = _Part()
        self._part_count += 1
        if self._part_count > self._max_parts:
            raise LimitExceededError(f"the form has more than {self._max_parts} parts")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._part.headers[self._header_name.decode("latin-1").lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        part = self._part
        _, options = parse_options_header(part.headers.get("content-disposition"))
        part.name = _text(options.get(b"name", b""))
        if part.name not in self._file_parts:
            return
        if b"filename" not in options:
            name = part.name
            raise InvalidInputError(f"part '{name}' carries no file name; with curl: -F {name}=@paper.pdf")
        part.is_file = self.has_open_file = True
        self._sink.begin(_text(options[b"filename"]), _text(part.headers.get("content-type", b"")))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._sink.write(data[start:end])
            return
        self._part.data += data[start:end]
        if len(self._part.data) > MAX_FIELD_BYTES:
            raise LimitExceededError(f"form field '{self._part.name[:100]}' is larger than {MAX_FIELD_BYTES} bytes")

    def _on_part_end(self) -> None:
        if self._part.is_file:
            self.has_open_file = False
            self._sink.end()
        else:
            self.fields[self._part.name] = _text(bytes(self._part.data))


async def pump(body: AsyncIterator[bytes], form: Form, max_total_bytes: int) -> None:
    """Feed a body to a form. Parsing, hashing and writing happen in a thread, a batch at a time: one hop per network
    read would be slower.

    Raises:
        LimitExceededError: the body is larger than `max_total_bytes`.
        BadRequestError: it is no well-formed form.
    """
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


def boundary_of(content_type: str, file_part: str) -> bytes:
    """Raises InvalidInputError for what is no multipart form."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 256:
        sent = f"not '{content_type[:100]}'" if content_type else "and this body came without a Content-Type"
        if kind == b"multipart/form-data":
            sent = "with a boundary in its Content-Type: have the client set that header, and not by hand"
        raise InvalidInputError(
            f"an upload is multipart/form-data with a part '{file_part}' (curl -F {file_part}=@paper.pdf), {sent}"
        )
    return boundary


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
