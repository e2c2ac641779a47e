"""Guards around formats that are zip archives of XML (Word, Excel)."""

import copy
import errno
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rag.errors import EncryptedFileError, LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers.base import FileProbe, ParseLimits
from rag.parsers.budget import charge
from rag.parsers.media import ENCRYPTED_OFFICE

_RATIO_FLOOR_BYTES = 1_000_000
"""Below this size a high ratio is harmless, and common: a small file of repeated markup."""
OFFICE_COMPRESSIONS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The others have no place in an Office file, and `zipfile` unpacks them without any bound."""
_HARMLESS_PACKED_BYTES = 16_384
"""Deflate makes at most 1,032 bytes of one: a lie about so small a member costs 17 MB for a moment."""
_PIECE_BYTES = 65_536
_END_MARK, _END_MARK_64 = b"PK\x05\x06", b"PK\x06\x06"
_END_RECORD_BYTES, _END_RECORD_64_BYTES = 22, 56
_END_BYTES = 66_000
_ENTRY_BYTES = 46 + 255 + 100
_MISSING: Final = re.compile(r"There is no item named [\"'](.*)[\"'] in the archive", re.DOTALL)
_UNPACKABLE: Final = re.compile(
    "Bad magic number|Bad CRC|Bad offset|Corrupt|Truncated|Overlapped|File name in directory"
)


def check_archive(probe: FileProbe, limits: ParseLimits) -> None:
    """Refuse an archive that is protected, damaged or unpacks to more than the limits.

    The sizes are those of the archive's directory, and each is checked: the libraries read a member with one call,
    for which `zipfile` first unpacks all there is and only then cuts it to the size that the directory says.
    """
    if probe.size_bytes == 0:
        raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
    if probe.media_type == ENCRYPTED_OFFICE:
        raise EncryptedFileError(f"'{probe.filename}': password required; save it without a password and try again")
    check_directory(probe, limits)
    with readable_package(probe), zipfile.ZipFile(probe.path) as archive:
        members = archive.infolist()
    unpacked_bytes = sum(member.file_size for member in members)
    packed_bytes = max(1, sum(member.compress_size for member in members))
    ratio = unpacked_bytes / min(packed_bytes, probe.size_bytes)
    name = f"'{probe.filename}'"
    if len(members) > limits.max_archive_entries:
        raise LimitExceededError(
            f"{name} holds {len(members):,} parts, more than {limits.max_archive_entries:,} (LF_MAX_ARCHIVE_ENTRIES)"
        )
    if unpacked_bytes > limits.max_uncompressed_bytes:
        raise LimitExceededError(
            f"{name} unpacks to {unpacked_bytes:,} bytes, more than {limits.max_uncompressed_bytes:,} "
            "(LF_MAX_UNCOMPRESSED_BYTES)"
        )
    if unpacked_bytes > _RATIO_FLOOR_BYTES and ratio > limits.max_compression_ratio:
        raise LimitExceededError(
            f"{name} unpacks to {ratio:,.0f} times its size, more than {limits.max_compression_ratio:g} "
            "(LF_MAX_COMPRESSION_RATIO)"
        )
    charge(limits, unpacked_bytes)
    with readable_package(probe), zipfile.ZipFile(probe.path) as archive:
        for member in members:
            _check_size(archive, member)


def check_directory(probe: FileProbe, limits: ParseLimits) -> None:
    """Refuse too many entries before `zipfile` makes an object of each of them."""
    if has_more_entries(probe.path, limits.max_archive_entries):
        raise LimitExceededError(
            f"'{probe.filename}' holds more than {limits.max_archive_entries:,} parts (LF_MAX_ARCHIVE_ENTRIES)"
        )


def has_more_entries(path: Path, most: int) -> bool:
    """Whether the directory of a zip archive is larger than that of `most` entries with names of 255 bytes."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _END_BYTES))
        tail = stream.read()
    end = tail.rfind(_END_MARK)
    if end < 0 or len(tail) - end < _END_RECORD_BYTES:
        return False
    count, directory_bytes = struct.unpack_from("<HL", tail, end + 10)
    # At its largest value the field says that the true one stands elsewhere, where zipfile reads it too.
    wide = tail.rfind(_END_MARK_64, 0, end)
    if directory_bytes == 0xFFFFFFFF and wide >= 0 and len(tail) - wide >= _END_RECORD_64_BYTES:
        count, directory_bytes = struct.unpack_from("<QQ", tail, wide + 32)
    return int(directory_bytes) > most * _ENTRY_BYTES or (count > most and count != 0xFFFF)


def _check_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Unpack a member piece by piece, keeping nothing; raises BadZipFile when it is larger than it says."""
    if member.compress_type not in OFFICE_COMPRESSIONS:
        raise zipfile.BadZipFile(f"part '{member.filename[:100]}' is packed with a method that Office does not know")
    if member.compress_type == zipfile.ZIP_STORED or member.compress_size <= _HARMLESS_PACKED_BYTES:
        return
    # A copy that claims one byte more: `zipfile` would hide that byte from a reader of the member itself.
    larger = copy.copy(member)
    larger.file_size += 1
    size = 0
    with archive.open(larger) as stream:
        while piece := stream.read(_PIECE_BYTES):
            size += len(piece)
    if size > member.file_size:
        raise zipfile.BadZipFile(f"part '{member.filename[:100]}' is larger than the archive's directory says")


@contextmanager
def readable_package(probe: FileProbe) -> Iterator[None]:
    """Turn what zipfile, zlib, lxml, python-docx and openpyxl raise for a damaged file into UnreadableFileError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, SyntaxError, KeyError, ValueError) as error:
        # SyntaxError is the base of both XML parsers' errors; KeyError is a part that is named but not there.
        raise _damaged(probe, error) from error
    except NotImplementedError as error:
        raise _damaged(probe, error) from error
    except RuntimeError as error:
        if "encrypted" not in str(error):
            raise
        raise EncryptedFileError(f"'{probe.filename}': password required") from error
    except OSError as error:
        # Other numbers are the disk's own trouble: openpyxl's "no valid workbook part" has none,
        # and a directory that points to before the start of the file fails as an invalid seek.
        if error.errno not in {None, errno.EINVAL}:
            raise
        raise _damaged(probe, error) from error
    except AttributeError as error:
        # python-docx gives known tags a class; a part with a foreign root element lacks its attributes.
        if type(error.obj).__module__ != "lxml.etree":
            raise
        raise _damaged(probe, "a part holds unexpected markup") from error


def _damaged(probe: FileProbe, reason: object) -> UnreadableFileError:
    return UnreadableFileError(f"'{probe.filename}' is damaged: {_said(reason)}")


def _said(reason: object) -> str:
    """Without the words of libraries that mean nothing to whoever has the file."""
    text = str(reason).strip("'\"").replace(" (<string>, line", " (line")
    if not text or isinstance(reason, EOFError) or "not a zip file" in text:
        return "it ends too early, as a broken download does"
    if part := _MISSING.fullmatch(text):
        return f"its part '{part[1][:100]}' is missing"
    if isinstance(reason, zlib.error) or _UNPACKABLE.match(text):
        return "a part of it cannot be unpacked"
    return text
