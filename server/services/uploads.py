"""Takes uploads straight into a dataset: hashed and written as they arrive, never whole in memory."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anyio import CancelScope, to_thread

from config.overrides import ParserOverrides, read_overrides
from rag.errors import BadRequestError, InvalidInputError, LimitExceededError, StorageFullError
from server.services.forms import Form, boundary_of, pump
from state.file_names import StoredFile
from state.files import DatasetFiles
from state.incoming import IncomingFile

FILE_PART = "file"
BULK_PART = "files"
MAX_BULK_FILES = 100
FORM_OVERHEAD_BYTES = 1_000_000
"""What boundaries, headers and text fields may add to the bytes of a file."""
OVERRIDES_FIELD = "parser_overrides"

CheckOverrides = Callable[[ParserOverrides | None], None]
"""Raises BadRequestError when they do not go with the dataset's strategy."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What arrived; `is_duplicate` when the dataset had the same bytes already."""

    file: StoredFile
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class FailedUpload:
    """A file of a bulk upload that was not stored; `filename` as the client gave it."""

    filename: str
    error: str


@dataclass(frozen=True, slots=True)
class Received:
    """The files of one request, in its order."""

    uploads: tuple[Upload | FailedUpload, ...]
    overrides: ParserOverrides | None

    @property
    def stored(self) -> tuple[Upload, ...]:
        return tuple(upload for upload in self.uploads if isinstance(upload, Upload))


class _OneFile:
    """Writes to `incoming`, which is committed only when the whole form has turned out well."""

    def __init__(self, incoming: IncomingFile) -> None:
        self.filename: str | None = None
        self.mime = ""
        self._incoming = incoming

    def begin(self, filename: str, mime: str) -> None:
        if self.filename is not None:
            raise BadRequestError(
                f"the form has more than one part '{FILE_PART}'; upload one file per request, or use /data/bulk"
            )
        self.filename, self.mime = filename, mime

    def write(self, data: bytes) -> None:
        self._incoming.write(data)

    def end(self) -> None:
        return None


class _ManyFiles:
    """Stores each file as soon as it is whole: what follows in the form cannot spoil it."""

    def __init__(self, files: DatasetFiles, max_bytes: int) -> None:
        self.results: list[Upload | FailedUpload] = []
        self._files = files
        self._max_bytes = max_bytes
        self._incoming: IncomingFile | None = None
        self._name = ("", "")
        self._error: str | None = None

    def begin(self, filename: str, mime: str) -> None:
        if len(self.results) >= MAX_BULK_FILES:
            raise LimitExceededError(
                f"a bulk upload takes at most {MAX_BULK_FILES} files; those are stored, send the others again"
            )
        self._name, self._error = (filename, mime), None
        with self._failing():
            self._incoming = self._files.receive(self._max_bytes)

    def write(self, data: bytes) -> None:
        if self._incoming is not None:
            with self._failing():
                self._incoming.write(data)

    def end(self) -> None:
        name, mime = self._name
        if self._incoming is not None:
            with self._failing():
                file, is_duplicate = self._incoming.commit(name, mime)
                self.results.append(Upload(file, is_duplicate))
        self.close()
        if self._error is not None:
            self.results.append(FailedUpload(name, self._error))

    def close(self) -> None:
        if self._incoming is not None:
            self._incoming.__exit__()
            self._incoming = None

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """What concerns this file alone is noted; the rest of its bytes is read past."""
        try:
            yield
        except (LimitExceededError, StorageFullError) as error:
            self._error = error.message
            self.close()


async def receive_upload(
    files: DatasetFiles, body: AsyncIterator[bytes], *, content_type: str, max_bytes: int, check: CheckOverrides
) -> Received:
    """Store the file that a multipart body carries.

    Raises:
        LimitExceededError: the file is larger than `max_bytes`; what was written is gone.
        BadRequestError: the body is no well-formed form, or it broke off, or its overrides cannot be used.
        InvalidInputError: there is no part `file`.
    """
    boundary = boundary_of(content_type, FILE_PART)
    incoming = await to_thread.run_sync(files.receive, max_bytes)
    try:
        sink = _OneFile(incoming)
        form = Form(boundary, sink, file_parts=(FILE_PART,), max_files=1)
        await pump(body, form, max_bytes + FORM_OVERHEAD_BYTES)
        if sink.filename is None:
            raise _no_part(FILE_PART)
        if form.has_open_file:
            raise BadRequestError("the multipart body ended in the middle of the file; nothing was stored")
        overrides = _overrides(form, check)
        return Received((await to_thread.run_sync(_commit, incoming, sink.filename, sink.mime),), overrides)
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(incoming.__exit__)


async def receive_bulk(
    files: DatasetFiles, body: AsyncIterator[bytes], *, content_type: str, max_bytes: int, check: CheckOverrides
) -> Received:
    """Store every file that a multipart body carries. Files that were whole stay stored whatever follows them.

    Raises:
        LimitExceededError: more than a hundred files. One that is too large fails alone.
        BadRequestError, InvalidInputError: as `receive_upload`.
    """
    boundary = boundary_of(content_type, BULK_PART)
    sink = _ManyFiles(files, max_bytes)
    try:
        form = Form(boundary, sink, file_parts=(BULK_PART, FILE_PART), max_files=MAX_BULK_FILES)
        await pump(body, form, MAX_BULK_FILES * max_bytes + FORM_OVERHEAD_BYTES)
        if form.has_open_file:
            raise BadRequestError("the multipart body ended in the middle of a file; the files before it are stored")
        if not sink.results:
            raise _no_part(BULK_PART)
        return Received(tuple(sink.results), _overrides(form, check))
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(sink.close)


def refuse_early(folder: Path, *, length: int, max_bytes: int) -> None:
    """Answer before a byte is read when the declared length cannot be stored."""
    if length > max_bytes + FORM_OVERHEAD_BYTES:
        raise LimitExceededError(f"the file is larger than {max_bytes} bytes (LF_MAX_UPLOAD_BYTES)")
    with contextlib.suppress(FileNotFoundError):
        if length > shutil.disk_usage(folder).free:
            raise StorageFullError(f"the disk has no room for {length} bytes; free space and try again")


def _commit(incoming: IncomingFile, name: str, mime: str) -> Upload:
    return Upload(*incoming.commit(name, mime))


def _overrides(form: Form, check: CheckOverrides) -> ParserOverrides | None:
    overrides = read_overrides(form.fields.get(OVERRIDES_FIELD))
    check(overrides)
    return overrides


def _no_part(name: str) -> InvalidInputError:
    return InvalidInputError(f"the upload needs a multipart part '{name}' (curl -F {name}=@paper.pdf)")
