"""What an upload is, by its first bytes and then by its name. Nothing of it is opened here: that is the workers'."""

import mimetypes
from pathlib import Path

from rag.parsers import media
from state.file_names import FALLBACK_MIME

HEAD_BYTES = 4096
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", media.PNG),
    (b"\xff\xd8\xff", media.JPEG),
    (b"GIF8", media.GIF),
    (b"II*\x00", media.TIFF),
    (b"MM\x00*", media.TIFF),
    (b"{\\rtf", media.RTF),
    (b"\x1f\x8b\x08", media.GZIP),
    (b"BZh", media.BZIP2),
    (b"\xfd7zXZ\x00", media.XZ),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", media.OLE),
    (b"PAR1", "application/vnd.apache.parquet"),
)
_ZIP = b"PK\x03\x04"
_IN_ZIP = ((b"word/", media.DOCX), (b"xl/", media.XLSX), (b"ppt/", media.PPTX), (b"META-INF/container", media.EPUB))
_EXTENSIONS = {
    media.PDF: "pdf",
    media.DOCX: "docx",
    media.XLSX: "xlsx",
    media.XLSB: "xlsb",
    media.PPTX: "pptx",
    media.ODT: "odt",
    media.ODS: "ods",
    media.ODP: "odp",
    media.EPUB: "epub",
    media.PNG: "png",
    media.JPEG: "jpg",
    media.GIF: "gif",
    media.TIFF: "tiff",
    media.BMP: "bmp",
    media.WEBP: "webp",
    media.RTF: "rtf",
    media.GZIP: "gz",
    media.BZIP2: "bz2",
    media.XZ: "xz",
    media.ZIP: "zip",
    media.TAR: "tar",
    media.HTML: "html",
    "application/vnd.apache.parquet": "parquet",
}
_BY_NAME = {
    "md": media.MARKDOWN,
    "markdown": media.MARKDOWN,
    "jsonl": media.JSONL,
    "ndjson": media.JSONL,
    "xlsx": media.XLSX,
    "docx": media.DOCX,
    "pptx": media.PPTX,
    "xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    "xlsb": media.XLSB,
    "odt": media.ODT,
    "ods": media.ODS,
    "odp": media.ODP,
    "epub": media.EPUB,
    "rst": media.RST,
    "csv": media.CSV,
    "xls": media.XLS,
    "msg": media.MSG,
}
_PACKAGES = frozenset({"xlsx", "xlsm", "xlsb", "docx", "docm", "pptx", "pptm", "odt", "ods", "odp", "epub"})
_OLE_SUFFIXES = frozenset({"xls", "doc", "ppt", "msg"})
MAX_SUFFIX_CHARS = 20


def read_kind(path: Path, name: str) -> tuple[str, str]:
    """(media type, extension) of a stored file that is called `name`."""
    with path.open("rb") as stream:
        return kind_of(stream.read(HEAD_BYTES), name)


def kind_of(head: bytes, name: str) -> tuple[str, str]:
    """
    >>> kind_of(b"%PDF-1.7", "scan.txt")
    ('application/pdf', 'pdf')
    >>> kind_of(b"# Plan", "plan.md")
    ('text/markdown', 'md')
    """
    suffix = Path(name).suffix.lower()[1:][:MAX_SUFFIX_CHARS]
    found = _by_bytes(head, suffix)
    if found is None:
        plain = (media.PLAIN, "txt") if b"\0" not in head else (FALLBACK_MIME, "bin")
        said = _by_name(name, suffix)
        if (said in _EXTENSIONS and said != media.HTML) or suffix in _OLE_SUFFIXES:
            return plain  # such a file would begin otherwise
        return said or plain[0], suffix or plain[1]
    named = _by_name(name, suffix)
    return (found, suffix) if named == found and suffix else (found, _EXTENSIONS.get(found, suffix or "bin"))


def _by_bytes(head: bytes, suffix: str) -> str | None:
    """None for text and for what is not known."""
    if b"%PDF-" in head[:1024]:
        return media.PDF
    if head.startswith(_ZIP):
        return _zip_kind(head, suffix)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return media.WEBP
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return media.BMP
    if head[257:262] == b"ustar":
        return media.TAR
    found = next((kind for mark, kind in _MAGIC if head.startswith(mark)), None)
    if found == media.OLE:  # one container for all of old Office: only its directory says which
        return _by_name(f"file.{suffix}", suffix) if suffix in _OLE_SUFFIXES else found
    if found is None and head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return media.HTML
    return found


def _zip_kind(head: bytes, suffix: str) -> str:
    if suffix in _PACKAGES:
        return _by_name(f"file.{suffix}", suffix) or media.ZIP
    if head[30:38] == b"mimetype":
        declared = head[38:].split(b"PK", 1)[0].decode("ascii", "ignore")
        return declared if declared.startswith("application/") and len(declared) < 100 else media.ZIP
    return next((kind for mark, kind in _IN_ZIP if mark in head), media.ZIP)


def _by_name(name: str, suffix: str) -> str | None:
    return _BY_NAME.get(suffix) or mimetypes.guess_type(f"file.{suffix}")[0]
