"""Archives (zip, tar, and files packed with gzip, bzip2 or xz): every file inside by the parser for its own bytes."""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePosixPath
from typing import IO, ClassVar, Final

from rag.errors import EncryptedFileError, LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.archive import OFFICE_COMPRESSIONS, check_directory, readable_package
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.budget import Budget
from rag.parsers.builder import DocumentBuilder
from rag.parsers.nesting import MAX_DEPTH, PIECE_BYTES, Inner, Nest
from rag.parsers.ocr import OcrLanguages, UseOcr
from rag.registry import ComponentOptions
from rag.types import Document

_PACKED = frozenset({media.GZIP, media.BZIP2, media.XZ})
_XZ_MEMORY_BYTES = 256_000_000
_MAX_HEADER_BYTES = 1_000_000
_ZIP_ENCRYPTED, _ZIP_UTF8 = 0x1, 0x800
_CLUTTER: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_SUFFIXES: Final = {".tgz": ".tar", ".tbz2": ".tar", ".tbz": ".tar", ".txz": ".tar"}


class ArchiveParser:
    """Each file inside is a part, under a heading with its path; archives inside of archives are opened too.

    What cannot be read is named in a warning and never stops the rest. Nothing is written under the names that an
    archive gives: links and devices are left out.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.ZIP, media.TAR}) | _PACKED

    class Options(ComponentOptions):
        use_ocr: UseOcr = True
        ocr_languages: OcrLanguages = "eng"

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        if probe.size_bytes == 0:
            raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
        builder = DocumentBuilder("ArchiveParser", limits)
        nest = Nest(probe, limits, builder, "member", heading_level=1, options=self.options.model_dump())
        if nest.is_too_deep:
            raise UnreadableFileError(
                f"'{probe.filename}' is an archive inside of {MAX_DEPTH} other files; unpack it first"
            )
        with _opened(probe, limits, nest) as members:
            for done, member in enumerate(members):
                nest.add(member, on_progress, done, len(members))
        if not builder.has_text:
            raise nest.nothing_read(probe)
        return builder.build(
            metadata={"member_count": len(members)}, page_count=builder.page_count, warnings=nest.warnings
        )


def _opened(probe: FileProbe, limits: ParseLimits, nest: Nest) -> AbstractContextManager[list[Inner]]:
    if probe.media_type == media.ZIP:
        return _zip_members(probe, limits, nest.budget)
    if probe.media_type in _PACKED:
        return _packed_members(probe, nest)
    return _tar_members(probe, nest)


@contextmanager
def _zip_members(probe: FileProbe, limits: ParseLimits, budget: Budget) -> Iterator[list[Inner]]:
    check_directory(probe, limits)
    with readable_package(probe):
        archive = zipfile.ZipFile(probe.path)
    with archive:
        # Not `is_dir`, which fails for an entry without a name.
        files = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
        entries = [entry for entry in files if not _is_clutter(entry.filename)]
        budget.take_entries(len(entries))
        yield [_zip_member(archive, entry) for entry in entries]


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Inner:
    name = _zip_name(entry)
    complaint: UnreadableFileError | None = None
    if entry.flag_bits & _ZIP_ENCRYPTED:
        complaint = EncryptedFileError(f"'{name}': password required")
    elif stat.S_ISLNK(entry.external_attr >> 16):
        complaint = UnreadableFileError(f"'{name}' is a link")
    elif entry.compress_type not in OFFICE_COMPRESSIONS:
        # `zipfile` unpacks what the other methods give without any bound.
        complaint = UnreadableFileError(f"'{name}' is packed with method {entry.compress_type}, which is not read")
    return Inner(name, lambda: archive.open(entry), complaint)


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """Many programs write UTF-8 without saying so."""
    if entry.flag_bits & _ZIP_UTF8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


@contextmanager
def _packed_members(probe: FileProbe, nest: Nest) -> Iterator[list[Inner]]:
    with tempfile.TemporaryFile(prefix="paddock-") as unpacked:
        damage = _unpack(probe, unpacked, nest.budget)
        unpacked.seek(0)
        head = unpacked.read(tarfile.BLOCKSIZE)
        unpacked.seek(0)
        if _is_tar(head):
            yield from _listed(unpacked, probe, nest, is_counted=True)
        elif head:
            nest.budget.take_entries(1)
            yield [Inner(_unpacked_name(probe.filename), lambda: unpacked, is_counted=True)]
        else:
            yield []
    if damage is not None:
        nest.warn(damage)


def _unpack(probe: FileProbe, target: IO[bytes], budget: Budget) -> UnreadableFileError | None:
    """Unpack as far as the bytes make sense; returns what was wrong with the rest."""
    try:
        for piece in _pieces(probe):
            budget.take_bytes(len(piece))
            target.write(piece)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as error:
        return UnreadableFileError(f"'{probe.filename}' is damaged: {str(error) or 'it ends too early'}")
    except OSError as error:
        if error.errno is not None:  # the disk's own trouble; bz2 raises without a number
            raise
        return UnreadableFileError(f"'{probe.filename}' is damaged: {error}")
    return None


def _pieces(probe: FileProbe) -> Iterator[bytes]:
    if probe.media_type == media.GZIP:
        with gzip.open(probe.path) as packed:
            yield from iter(lambda: packed.read(PIECE_BYTES), b"")
    else:
        with probe.path.open("rb") as stream:
            yield from _streams(stream, _new_bzip2 if probe.media_type == media.BZIP2 else _new_xz)


def _new_bzip2() -> bz2.BZ2Decompressor:
    return bz2.BZ2Decompressor()


def _new_xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)


def _streams(stream: IO[bytes], new: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]) -> Iterator[bytes]:
    """Unpack one compressed stream after the other. Not the library's files: those put no bound on xz's memory."""
    data = stream.read(PIECE_BYTES)
    while data:
        unpacker = new()
        while not unpacker.eof:
            piece = unpacker.decompress(data, PIECE_BYTES)
            data = b""
            if piece:
                yield piece
            if _wants_more(unpacker) and not (data := stream.read(PIECE_BYTES)):
                raise EOFError("it ends too early")
        data = unpacker.unused_data.lstrip(b"\0") or stream.read(PIECE_BYTES).lstrip(b"\0")


def _wants_more(unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> bool:
    return unpacker.needs_input and not unpacker.eof


@contextmanager
def _tar_members(probe: FileProbe, nest: Nest) -> Iterator[list[Inner]]:
    with probe.path.open("rb") as stream:
        yield from _listed(stream, probe, nest, is_counted=False)


def _listed(stream: IO[bytes], probe: FileProbe, nest: Nest, *, is_counted: bool) -> Iterator[list[Inner]]:
    """Yields once: the files of a tar archive, while it is open."""
    members: list[Inner] = []
    with _tar_readable(probe):
        archive = tarfile.TarFile(fileobj=_ShortReads(stream), mode="r")
    try:
        with _tar_readable(probe):
            for entry in archive:
                nest.budget.take_entries(1)
                if not entry.isdir() and not _is_clutter(entry.name):
                    members.append(_tar_member(archive, entry, is_counted))
    except LimitExceededError:
        raise
    except UnreadableFileError as error:  # what stands before the damage is read
        nest.warn(error)
    yield members


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo, is_counted: bool) -> Inner:
    complaint = None
    if not entry.isreg() or entry.issparse():
        kind = "a sparse file" if entry.issparse() else "a link" if entry.islnk() or entry.issym() else "a device"
        complaint = UnreadableFileError(f"'{entry.name}' is {kind}")

    def opened() -> IO[bytes]:
        found = archive.extractfile(entry)
        assert found is not None, "only regular files are opened"
        return found

    return Inner(entry.name, opened, complaint, is_counted)


class _ShortReads(io.RawIOBase):
    """`tarfile` reads a header's text with one call, of whatever size the header claims."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def _tar_readable(probe: FileProbe) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise UnreadableFileError(f"'{probe.filename}' is damaged: {error}") from error


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "replace")
    except tarfile.TarError:
        return False
    return True


def _is_clutter(name: str) -> bool:
    """What desktops leave in folders."""
    path = PurePosixPath(name)
    return path.name.lower() in _CLUTTER or path.name.startswith("._") or "__MACOSX" in path.parts


def _unpacked_name(filename: str) -> str:
    path = PurePosixPath(filename)
    return path.stem + _SUFFIXES.get(path.suffix.lower(), "") or "unnamed"
