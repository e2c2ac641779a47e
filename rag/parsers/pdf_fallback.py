"""A second reader for PDF files that pdfium cannot open, or of which it cannot read a page."""

import logging
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from rag.parsers.base import ParseLimits
from rag.parsers.decoding import check_length, clean

PYPDF_ERRORS = (
    PyPdfError, DependencyError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError,
    OSError, AssertionError, struct.error, zlib.error,
)  # fmt: skip
"""What pypdf raises on broken files: its own errors, and those of Python where it meets what it did not foresee."""

_MAX_FILE_BYTES = 50_000_000
"""It searches a file without a table of objects as a whole, several times."""


def read_all(path: Path, limits: ParseLimits) -> list[str]:
    """The text of every page, "" for those that pypdf cannot read either; [] if it cannot open the file."""
    reader = _opened(path)
    if reader is None:
        return []
    return _texts(reader, range(min(_count(reader) or 0, limits.max_pages)), limits)


def read_pages(path: Path, indices: Sequence[int], page_count: int, limits: ParseLimits) -> list[str]:
    """The text of some pages, "" for each that cannot be read.

    Args:
        page_count: as pdfium counts them. pypdf leaves out what is no page to it: where it counts others, a page of the
            same number is another page.
    """
    reader = _opened(path)
    if reader is None or _count(reader) != page_count:
        return [""] * len(indices)
    return _texts(reader, indices, limits)


def _count(reader: PdfReader) -> int | None:
    try:
        return len(reader.pages)
    except PYPDF_ERRORS:
        return None


def _opened(path: Path) -> PdfReader | None:
    if path.stat().st_size > _MAX_FILE_BYTES:
        return None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # one line per broken object otherwise
    try:
        reader = PdfReader(path)
    except PYPDF_ERRORS:
        return None
    return None if reader.is_encrypted else reader


def _texts(reader: PdfReader, indices: Sequence[int], limits: ParseLimits) -> list[str]:
    texts, length = [], 0
    for index in indices:
        try:
            text = clean(reader.pages[index].extract_text()).strip()
        except PYPDF_ERRORS:
            text = ""
        length += len(text)
        check_length(length, limits)
        texts.append(text)
    return texts
