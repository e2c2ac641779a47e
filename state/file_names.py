"""Names and types that clients give to files, made safe to store, to show and to send back."""

import mimetypes
import re
from pathlib import PurePath

MAX_NAME_BYTES = 255
MAX_SUFFIX_BYTES = 32
FALLBACK_NAME = "file"
FALLBACK_MIME = "application/octet-stream"
_MIME = re.compile(r"[A-Za-z0-9][\w.+-]{0,126}/[A-Za-z0-9][\w.+-]{0,126}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


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
    suffix = PurePath(name).suffix
    if len(suffix.encode()) > MAX_SUFFIX_BYTES:
        return name, ""
    return name.removesuffix(suffix), suffix


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore")
