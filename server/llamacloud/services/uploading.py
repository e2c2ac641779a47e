"""Takes the file of a multipart form straight to the disk, with the text fields around it."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from anyio import CancelScope, to_thread

from rag.errors import BadRequestError, InvalidInputError
from server.services.forms import BATCH_BYTES, Form, boundary_of, pump
from server.services.uploads import FORM_OVERHEAD_BYTES, refuse_early
from state.cloud.blobs import CloudFiles
from state.incoming import IncomingFile

FILE_PARTS = ("file", "upload_file")
"""The published reference and the vendor's older clients call it differently."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request on its way in."""

    chunks: AsyncIterator[bytes]
    content_type: str
    length: int

    @classmethod
    def of(cls, headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> "Body":
        length = headers.get("content-length", "")
        return cls(
            chunks=chunks,
            content_type=headers.get("content-type", ""),
            length=int(length[:20]) if length.isdecimal() else 0,
        )


@dataclass(frozen=True, slots=True)
class Arrived:
    """A whole form; `incoming` is gone unless it is committed. `name` is None where the form has no file."""

    incoming: IncomingFile
    name: str | None
    mime: str
    fields: Mapping[str, str]


Keep = Callable[[Arrived], Result]


class _OneFile:
    def __init__(self, incoming: IncomingFile) -> None:
        self.name: str | None = None
        self.mime = ""
        self._incoming = incoming

    def begin(self, filename: str, mime: str) -> None:
        if self.name is not None:
            raise BadRequestError("the form has more than one file; upload one file per request")
        self.name, self.mime = filename, mime

    def write(self, data: bytes) -> None:
        self._incoming.write(data)

    def end(self) -> None:
        return None


async def receive_form(
    files: CloudFiles,
    body: Body,
    *,
    max_bytes: int,
    keep: Keep[Result],
    parts: Collection[str] = FILE_PARTS,
    needs_file: bool = True,
) -> Result:
    """Store the file of a form; what `keep` makes of it, in a thread, once the whole form has turned out well.

    Raises:
        LimitExceededError: the file is larger than `max_bytes`; what was written is gone.
        BadRequestError: the form is malformed, broke off, or its file is empty.
        InvalidInputError: it has no file.
    """
    boundary = boundary_of(body.content_type, "file")
    incoming = await to_thread.run_sync(_begin, files, body.length, max_bytes)
    try:
        sink = _OneFile(incoming)
        form = Form(boundary, sink, file_parts=parts, max_files=1)
        await pump(body.chunks, form, max_bytes + FORM_OVERHEAD_BYTES)
        if form.has_open_file:
            raise BadRequestError("the multipart body ended in the middle of the file; nothing was stored")
        if sink.name is None and needs_file:
            sent = [repr(each[:60]) for each in form.fields][:5]
            others = f"; the form has {', '.join(sent)}" if sent else ""
            raise InvalidInputError(f"the upload needs a multipart part 'file' (curl -F file=@paper.pdf){others}")
        if sink.name is not None and incoming.size == 0:
            raise _empty(sink.name)
        return await to_thread.run_sync(keep, Arrived(incoming, sink.name, sink.mime, form.fields))
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(incoming.__exit__)


async def receive_raw(files: CloudFiles, body: Body, *, max_bytes: int, keep: Keep[Result]) -> Result:
    """The same for a body that is the file itself."""
    incoming = await to_thread.run_sync(_begin, files, body.length, max_bytes)
    try:
        batch = bytearray()
        async for chunk in body.chunks:
            batch += chunk
            if len(batch) >= BATCH_BYTES:  # one hop into a thread for each network read would be slower
                await to_thread.run_sync(incoming.write, bytes(batch))
                batch.clear()
        await to_thread.run_sync(incoming.write, bytes(batch))
        if incoming.size == 0:
            raise _empty("of this link")
        return await to_thread.run_sync(keep, Arrived(incoming, None, body.content_type, {}))
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(incoming.__exit__)


def _begin(files: CloudFiles, length: int, max_bytes: int) -> IncomingFile:
    refuse_early(files.folder(), length=length, max_bytes=max_bytes)
    return files.receive(max_bytes)


def _empty(name: str) -> BadRequestError:
    return BadRequestError(f"the file {name[:100]!r} is empty; nothing was stored")
