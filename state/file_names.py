"""What is known about an uploaded file; names and types are made safe to store, to show and to send back."""

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_NAME_BYTES = 255
MAX_SUFFIX_BYTES = 32
FALLBACK_NAME = "file"
FALLBACK_MIME = "application/octet-stream"
_MIME = re.compile(r"[A-Za-z0-9][\w.+-]{0,126}/[A-Za-z0-9][\w.+-]{0,126}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a dataset; the field names are those of the metadata file.

    Args:
        original_file_name: basename that the client gave, any script, at most 255 bytes.
        resolved_file_name: unique in the dataset; the name of the link under `index/by_name`.
        timestamp: upload time, seconds since the epoch.
        hash: SHA-256 of the bytes, lowercase hex.
        parser_overrides: options of cutting that came with the file, see `config.overrides`.
    """

    original_file_name: str
    resolved_file_name: str
    timestamp: float
    size: int
    mime_type: str
    hash: str
    parser_overrides: Mapping[str, Mapping[str, Any]] | None = None


def safe_name(name: str) -> str:
    """The last part of a client's file name: no folders, no control characters, at most 255 bytes with its suffix."""
    base = _UNPRINTABLE.sub("", name.replace("\\", "/").rpartition("/")[2]).strip()
    if base in ("", ".", ".."):
        return FALLBACK_NAME
    stem, suffix = _split(base)
    return _cut(stem, MAX_NAME_BYTES - len(suffix.encode())) + suffix


def stamped_name(name: str, stamp: str) -> str:
    """`stem_stamp.suffix`, cut to the length that file systems take."""
    stem, suffix = _split(name)
    ending = f"_{stamp}{suffix}"
    return _cut(stem, MAX_NAME_BYTES - len(ending.encode())) + ending


def mime_type(name: str, given: str | None) -> str:
    """What the client says, unless that says nothing; then what the name suggests."""
    given = (given or "").partition(";")[0].strip().lower()
    if _MIME.fullmatch(given) and given != FALLBACK_MIME:
        return given
    return mimetypes.guess_type(name)[0] or FALLBACK_MIME


def _split(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) >= MAX_SUFFIX_BYTES:
        return name, ""
    return stem, dot + ending


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore")
