"""What a file is, judged by its bytes; the name only tells one text format from another."""

import mmap
import re
import zipfile
import zlib
from pathlib import Path
from typing import Final

import puremagic

from rag.parsers import media
from rag.parsers.archive import OFFICE_COMPRESSIONS, has_more_entries
from rag.parsers.base import FileProbe
from rag.parsers.decoding import looks_like_utf16
from rag.parsers.languages import language_of

_HEAD_BYTES = 8192
_SAMPLE_BYTES = 4096
_CONTROLS: Final = bytes(code for code in range(32) if code not in b"\t\n\r\f\b\x1b") + b"\x7f"
_MAX_CONTROL_SHARE = 0.02
_MIN_CONFIDENCE = 0.8

_OLE_HEAD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_MSG_STREAM = "__properties_version1.0".encode("utf-16-le")
_MAGIC = (
    (b"\x1f\x8b\x08", media.GZIP), (b"BZh", media.BZIP2), (b"\xfd7zXZ\x00", media.XZ),
    (b"\x89PNG\r\n\x1a\n", media.PNG), (b"\xff\xd8\xff", media.JPEG), (b"GIF87a", media.GIF), (b"GIF89a", media.GIF),
    (b"II*\x00", media.TIFF), (b"MM\x00*", media.TIFF),
)  # fmt: skip
_MAX_MIMETYPE_BYTES = 128
_MAX_ENTRIES = 100_000
_OFFICE_PARTS = {
    "xl/workbook.bin": media.XLSB,
    "word/": media.DOCX,
    "xl/": media.XLSX,
    "ppt/": media.PPTX,
    "META-INF/container.xml": media.EPUB,
}
_BY_ARCHIVE_SUFFIX = {
    ".docx": media.DOCX,
    ".docm": media.DOCX,
    ".dotx": media.DOCX,
    ".xlsx": media.XLSX,
    ".xlsm": media.XLSX,
    ".xltx": media.XLSX,
    ".xltm": media.XLSX,
    ".pptx": media.PPTX,
    ".pptm": media.PPTX,
    ".ppsx": media.PPTX,
    ".odt": media.ODT,
    ".ods": media.ODS,
    ".odp": media.ODP,
    ".epub": media.EPUB,
}
_WORKBOOK_STREAMS = tuple(name.encode("utf-16-le") + b"\0\0" for name in ("Workbook", "Book"))

_BY_SUFFIX = {
    ".md": media.MARKDOWN, ".markdown": media.MARKDOWN, ".mdown": media.MARKDOWN, ".mkd": media.MARKDOWN,
    ".mdx": media.MARKDOWN, ".csv": media.CSV, ".tsv": media.TSV, ".tab": media.TSV, ".json": media.JSON,
    ".jsonl": media.JSONL, ".ndjson": media.JSONL, ".html": media.HTML, ".htm": media.HTML, ".xhtml": media.HTML,
    ".xml": media.XML, ".rss": media.XML, ".atom": media.XML, ".svg": media.XML, ".xsd": media.XML, ".xsl": media.XML,
    ".dbk": media.XML, ".rst": media.RST, ".rest": media.RST, ".txt": media.PLAIN, ".text": media.PLAIN,
    ".log": media.PLAIN,
}  # fmt: skip
_OLD_OFFICE = {".doc": ".docx", ".dot": ".docx", ".ppt": ".pptx", ".pps": ".pptx", ".pot": ".pptx"}
_FIELD = re.compile(rb"^([A-Za-z][A-Za-z-]{1,40}):", re.MULTILINE)
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_MAIL_FIELDS = frozenset(
    {
        b"from", b"to", b"cc", b"subject", b"date", b"received", b"return-path", b"message-id", b"mime-version",
        b"delivered-to", b"content-type", b"x-mailer",
    }
)  # fmt: skip
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


def remedy(probe: FileProbe) -> str:
    """What to do with a file that no parser reads, where that is known: the end of a sentence, or ""."""
    suffix = Path(probe.filename).suffix.lower()
    if probe.media_type != media.OLE or suffix not in _OLD_OFFICE:
        return ""
    return f"; it is of Office 97-2003 ({suffix}): save it as {_OLD_OFFICE[suffix]} and upload that"


def _media_type(path: Path, filename: str, head: bytes, size_bytes: int) -> str:
    if not head:
        return media.EMPTY
    if b"%PDF-" in head[:1024]:
        return media.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_type(path, filename)
    if found := _magic_type(head):
        return found
    if head.startswith(_OLE_HEAD):
        found = _ole_type(path)
        return media.XLS if found == media.OLE and filename.lower().endswith(".xls") else found
    if head.startswith(b"{\\rtf"):
        return media.RTF
    if Path(filename).suffix.lower() in {".eml", ".mbox"} and (kind := mail_kind(head)):
        return kind  # whatever the bytes of its parts
    if _is_text(path, head, size_bytes):
        return _text_type(filename, head)
    found = _binary_type(head)
    if found == media.BINARY and (b"PK\x03\x04" in head or zipfile.is_zipfile(path)):
        return _named(filename, found)  # its first bytes are lost
    return found


def _zip_type(path: Path, filename: str) -> str:
    if has_more_entries(path, _MAX_ENTRIES):  # whoever parses it says so
        return _named(filename, media.ZIP)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            kind = _declared_kind(archive) if "mimetype" in names else ""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError, EOFError, OSError, zlib.error):
        return _named(filename, media.ZIP)
    if kind.startswith("application/"):
        return kind.strip().removesuffix("-template")
    for prefix, media_type in _OFFICE_PARTS.items():
        if any(name.startswith(prefix) for name in names):
            return media_type
    is_office = "[Content_Types].xml" in names
    return _named(filename, "application/vnd.openxmlformats-officedocument") if is_office else media.ZIP


def _named(filename: str, otherwise: str) -> str:
    """What the name says of a damaged file: the parser of that kind says what is wrong with it."""
    return _BY_ARCHIVE_SUFFIX.get(Path(filename).suffix.lower(), otherwise)


def _declared_kind(archive: zipfile.ZipFile) -> str:
    """What the member `mimetype` says; a member too large to be one is not unpacked."""
    member = archive.getinfo("mimetype")
    if member.file_size > _MAX_MIMETYPE_BYTES or member.compress_type not in OFFICE_COMPRESSIONS:
        return ""
    with archive.open(member) as stream:
        return stream.read(_MAX_MIMETYPE_BYTES).decode("ascii")


def _magic_type(head: bytes) -> str | None:
    if head[257:262] == b"ustar":
        return media.TAR
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return media.WEBP
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return media.BMP
    return next((kind for mark, kind in _MAGIC if head.startswith(mark)), None)


def mail_kind(head: bytes) -> str | None:
    """Mail, or a mailbox of them: what begins with at least two header fields that mail has."""
    is_box = head.startswith(b"From ")
    top = head.partition(b"\n")[2] if is_box else head
    fields = {found[1].lower() for found in _FIELD.finditer(_HEADER_END.split(top, maxsplit=1)[0])}
    if len(fields & _MAIL_FIELDS) < 2 or not _FIELD.match(top):
        return None
    return media.MBOX if is_box else media.MAIL


def _ole_type(path: Path) -> str:
    """By the names of the streams, which its directory holds in UTF-16."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_MSG_STREAM) >= 0:  # first: the mail may carry a protected workbook
            return media.MSG
        if content.find(_ENCRYPTED_STREAM) >= 0:
            return media.ENCRYPTED_OFFICE
        return media.XLS if any(content.find(name) >= 0 for name in _WORKBOOK_STREAMS) else media.OLE


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
    if language_of(filename, b""):
        return media.CODE
    if _HTML_START.match(head):
        return media.HTML
    if kind := mail_kind(head):
        return kind
    if head.lstrip().startswith(b"<?xml"):
        return media.XML
    return media.CODE if language_of(filename, head) else media.PLAIN


def _binary_type(head: bytes) -> str:
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return media.BINARY
    best = max(matches, key=lambda match: match.confidence, default=None)
    if best is None or best.confidence < _MIN_CONFIDENCE or best.mime_type.startswith("text/"):
        return media.BINARY
    return str(best.mime_type) or media.BINARY
