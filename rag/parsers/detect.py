"""What a file is, judged by its bytes; the name only tells one text format from another."""

import mmap
import re
import zipfile
import zlib
from pathlib import Path
from typing import Final

import puremagic

from rag.parsers import media
from rag.parsers.archive import OFFICE_COMPRESSIONS
from rag.parsers.base import FileProbe
from rag.parsers.decoding import looks_like_utf16

_HEAD_BYTES = 8192
_SAMPLE_BYTES = 4096
_CONTROLS: Final = bytes(code for code in range(32) if code not in b"\t\n\r\f\b\x1b") + b"\x7f"
_MAX_CONTROL_SHARE = 0.02
_MIN_CONFIDENCE = 0.8

_OLE_HEAD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_MAX_MIMETYPE_BYTES = 128
_OFFICE_PARTS = {"word/": media.DOCX, "xl/": media.XLSX}

_BY_SUFFIX = {
    ".md": media.MARKDOWN, ".markdown": media.MARKDOWN, ".mdown": media.MARKDOWN, ".mkd": media.MARKDOWN,
    ".mdx": media.MARKDOWN, ".csv": media.CSV, ".tsv": media.TSV, ".tab": media.TSV, ".json": media.JSON,
    ".jsonl": media.JSONL, ".ndjson": media.JSONL, ".html": media.HTML, ".htm": media.HTML, ".xhtml": media.HTML,
    ".xml": media.XML,
}  # fmt: skip
_HTML_START = re.compile(
    rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL
)


def probe_file(path: Path, filename: str) -> FileProbe:
    """Look at a file's size and some kilobytes of it.

    Args:
        path: where the bytes are; its name is not looked at.
        filename: the name the uploader gave.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    media_type = _media_type(path, filename, head, size_bytes)
    return FileProbe(path=path, filename=filename, media_type=media_type, size_bytes=size_bytes, head=head)


def _media_type(path: Path, filename: str, head: bytes, size_bytes: int) -> str:
    if not head:
        return media.EMPTY
    if b"%PDF-" in head[:1024]:
        return media.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_type(path, filename)
    if head.startswith(_OLE_HEAD):
        return media.ENCRYPTED_OFFICE if _contains(path, _ENCRYPTED_STREAM) else media.OLE
    if head.startswith(b"{\\rtf"):
        return media.RTF
    if _is_text(path, head, size_bytes):
        return _text_type(filename, head)
    return _binary_type(head)


def _zip_type(path: Path, filename: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            kind = _declared_kind(archive) if "mimetype" in names else ""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError, EOFError, OSError, zlib.error):
        # A damaged archive: the parser its name asks for says what is wrong with it.
        suffix = Path(filename).suffix.lower()
        return {".docx": media.DOCX, ".docm": media.DOCX, ".xlsx": media.XLSX, ".xlsm": media.XLSX}.get(
            suffix, media.ZIP
        )
    if kind.startswith("application/"):
        return kind.strip()
    for prefix, media_type in _OFFICE_PARTS.items():
        if any(name.startswith(prefix) for name in names):
            return media_type
    return "application/vnd.openxmlformats-officedocument" if "[Content_Types].xml" in names else media.ZIP


def _declared_kind(archive: zipfile.ZipFile) -> str:
    """What the member `mimetype` says; a member too large to be one is not unpacked."""
    member = archive.getinfo("mimetype")
    if member.file_size > _MAX_MIMETYPE_BYTES or member.compress_type not in OFFICE_COMPRESSIONS:
        return ""
    with archive.open(member) as stream:
        return stream.read(_MAX_MIMETYPE_BYTES).decode("ascii")


def _contains(path: Path, needle: bytes) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(needle) >= 0


def _is_text(path: Path, head: bytes, size_bytes: int) -> bool:
    if looks_like_utf16(head):
        return True
    # A text head on a binary body (self-extracting scripts and the like) shows in the middle and at the end.
    sample = head + b"".join(_read_at(path, size_bytes, place) for place in (0.5, 1.0))
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls <= _MAX_CONTROL_SHARE * len(sample)


def _read_at(path: Path, size_bytes: int, place: float) -> bytes:
    if size_bytes <= _HEAD_BYTES:
        return b""
    with path.open("rb") as stream:
        stream.seek(int((size_bytes - _SAMPLE_BYTES) * place))
        return stream.read(_SAMPLE_BYTES)


def _text_type(filename: str, head: bytes) -> str:
    suffix = Path(filename).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if _HTML_START.match(head) and suffix not in {".txt", ".text", ".log"}:
        return media.HTML
    return media.PLAIN


def _binary_type(head: bytes) -> str:
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return media.BINARY
    best = max(matches, key=lambda match: match.confidence, default=None)
    if best is None or best.confidence < _MIN_CONFIDENCE or best.mime_type.startswith("text/"):
        return media.BINARY
    return str(best.mime_type) or media.BINARY
