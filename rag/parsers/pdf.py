"""PDF files through pdfium: text with the exact place of every page."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Final

import pypdfium2
from pydantic import Field

from rag.errors import EncryptedFileError, LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import check_length, clean
from rag.parsers.pdf_text import HYPHEN_MARK, PDFIUM_HYPHEN, join_hyphenated, tidy
from rag.registry import ComponentOptions
from rag.types import Document

_PDFIUM: Final = threading.Lock()
"""pdfium must not run in two threads at once, not even on two files."""

_PROGRESS_EVERY_PAGES = 10
_WRONG_PASSWORD, _UNSUPPORTED_SECURITY = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
_TAIL_BYTES = 2048
_MAX_NUMBERS_SHOWN = 20
_PAGES_LOOKED_AT = 20


class PDFParser:
    """Pages are joined by a blank line. Text in pictures, form fields and annotations is not read."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.PDF})

    class Options(ComponentOptions):
        clean_text: bool = Field(True, description="Trim line ends, join hyphenated words, name symbol-font bullets.")
        extract_metadata: bool = Field(True, description="Keep title, author and subject as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        if probe.size_bytes == 0:
            raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
        with _opened(probe) as pdf:
            with _PDFIUM:
                page_count = len(pdf)
            _check_page_count(page_count, probe, limits)
            texts, damaged = _read_pages(pdf, page_count, limits, on_progress)
            facts = _facts(pdf) if self.options.extract_metadata else {}
            if not any(texts):
                raise _no_text(pdf, page_count, len(damaged), probe)
        if self.options.clean_text:
            texts = [tidy(text) for text in join_hyphenated(texts)]
        builder = DocumentBuilder("PDFParser", limits)
        for number, text in enumerate(texts, start=1):
            builder.add_page(number, text.replace(HYPHEN_MARK, "-"))
        empty = [number for number, text in enumerate(texts, start=1) if not text and number not in damaged]
        return builder.build(
            metadata=facts,
            empty_pages=empty,
            page_count=page_count,
            warnings=_warnings(empty, damaged, page_count, _is_cut_off(probe)),
        )


@contextmanager
def _opened(probe: FileProbe) -> Iterator[Any]:
    try:
        with _PDFIUM:
            pdf = pypdfium2.PdfDocument(probe.path)
    except pypdfium2.PdfiumError as error:
        raise _cannot_open(probe, getattr(error, "err_code", None)) from error
    try:
        yield pdf
    finally:
        with _PDFIUM:
            pdf.close()


def _cannot_open(probe: FileProbe, code: int | None) -> UnreadableFileError:
    name = f"'{probe.filename}'"
    if code == _WRONG_PASSWORD:
        return EncryptedFileError(f"{name}: password required; save it without a password and try again")
    if code == _UNSUPPORTED_SECURITY:
        return EncryptedFileError(f"{name} is protected by a method that cannot be read; save it without protection")
    if _is_cut_off(probe):
        return UnreadableFileError(f"{name} is damaged: it ends before its end mark (%%EOF), as a broken download does")
    return UnreadableFileError(f"{name} is damaged: its table of objects or pages cannot be read")


def _is_cut_off(probe: FileProbe) -> bool:
    with probe.path.open("rb") as stream:
        stream.seek(max(0, probe.size_bytes - _TAIL_BYTES))
        return b"%%EOF" not in stream.read()


def _check_page_count(page_count: int, probe: FileProbe, limits: ParseLimits) -> None:
    if page_count > limits.max_pages:
        raise LimitExceededError(
            f"'{probe.filename}' has {page_count:,} pages, more than {limits.max_pages:,} (LF_MAX_PAGES); "
            "split the file or raise the limit"
        )


def _read_pages(
    pdf: Any, page_count: int, limits: ParseLimits, on_progress: ProgressCallback
) -> tuple[list[str], list[int]]:
    """The text of each page ("" without a text layer) and the numbers of pages that cannot be loaded."""
    texts: list[str] = []
    damaged: list[int] = []
    length = 0
    for number in range(1, page_count + 1):
        try:
            with _PDFIUM:
                text = _page_text(pdf, number - 1)
        except pypdfium2.PdfiumError:
            text = ""
            damaged.append(number)
        length += len(text)
        check_length(length, limits)
        texts.append(text)
        if number % _PROGRESS_EVERY_PAGES == 0 or number == page_count:
            on_progress(number, page_count)
    return texts, damaged


def _page_text(pdf: Any, index: int) -> str:
    page = pdf[index]
    try:
        textpage = page.get_textpage()
        try:
            text: str = textpage.get_text_range()
        finally:
            textpage.close()
    finally:
        page.close()
    return clean(text.replace(PDFIUM_HYPHEN, HYPHEN_MARK)).strip()


def _facts(pdf: Any) -> dict[str, str]:
    with _PDFIUM:
        values = {key.lower(): pdf.get_metadata_value(key) for key in ("Title", "Author", "Subject")}
    return {key: cleaned for key, value in values.items() if (cleaned := clean(value).strip())}


def _no_text(pdf: Any, page_count: int, damaged_count: int, probe: FileProbe) -> UnreadableFileError:
    name, pages = f"'{probe.filename}'", "1 page" if page_count == 1 else f"{page_count} pages"
    if page_count == 0:
        return NoTextError(f"{name} has no pages")
    if damaged_count == page_count:
        return UnreadableFileError(f"{name} is damaged: none of its {pages} can be read")
    kinds = _object_kinds(pdf, page_count)
    if not kinds:
        return NoTextError(f"{name} has no text: its {pages} {'is' if page_count == 1 else 'are'} blank")
    what = "images" if pypdfium2.raw.FPDF_PAGEOBJ_IMAGE in kinds else "drawings"
    return NoTextError(
        f"{name} has no text: its {pages} {'is' if page_count == 1 else 'are'} {what} without a text layer (a scan?); "
        "run optical character recognition (OCR) on it first"
    )


def _object_kinds(pdf: Any, page_count: int) -> set[int]:
    """What the first pages are made of; damaged pages count as nothing."""
    kinds: set[int] = set()
    for index in range(min(page_count, _PAGES_LOOKED_AT)):
        with _PDFIUM, suppress(pypdfium2.PdfiumError):
            kinds.update(part.type for part in pdf[index].get_objects())
    return kinds


def _warnings(empty: Sequence[int], damaged: Sequence[int], page_count: int, is_cut_off: bool) -> list[str]:
    sentences = []
    if empty:
        sentences.append(
            f"{_named(empty)} of {page_count} without a text layer (scanned or blank): not searchable without OCR."
        )
    if damaged:
        sentences.append(f"{_named(damaged)} of {page_count} damaged and left out.")
    if is_cut_off:
        sentences.append("The file ends before its end mark (%%EOF); its last pages may be missing.")
    return sentences


def _named(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_MAX_NUMBERS_SHOWN])
    rest = f" and {len(numbers) - _MAX_NUMBERS_SHOWN} more" if len(numbers) > _MAX_NUMBERS_SHOWN else ""
    return f"Page {shown}" if len(numbers) == 1 else f"Pages {shown}{rest}"
