"""PDF files through pdfium: text in reading order with the exact place of every page."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal

import pypdfium2
from pydantic import Field

from rag.errors import EncryptedFileError, LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import media, pdf_extras
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import check_length, clean
from rag.parsers.ocr import HOW_TO_INSTALL, OcrLanguages, UseOcr
from rag.parsers.ocr import is_available as ocr_is_available
from rag.parsers.pdf_compose import Composing, compose
from rag.parsers.pdf_composed import ComposedPage
from rag.parsers.pdf_finish import finish
from rag.parsers.pdf_headings import OutlineEntry
from rag.parsers.pdf_page import opened_page
from rag.parsers.pdf_scan import read_scans
from rag.parsers.pdf_unwanted import Unwanted
from rag.registry import ComponentOptions, NoEffect
from rag.types import Document, Heading, Scalar

_PDFIUM: Final = threading.Lock()
"""pdfium must not run in two threads at once, not even on two files."""

_PROGRESS_EVERY_PAGES = 10
_WRONG_PASSWORD, _UNSUPPORTED_SECURITY = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
_TAIL_BYTES = 2048
_MAX_NUMBERS_SHOWN = 20
_PAGES_LOOKED_AT = 20
_PYPDF: Final = "pypdf2_fallback"

FallbackReader = Literal["llama_pdf_reader", "llama_pymupdf_reader", "direct_pymupdf", "pypdf2_fallback"]


class PDFParser:
    """Pages are joined by a blank line, and so are paragraphs. Columns are read one after the other, tables become
    Markdown tables, headings are found by size, weight and the file's outline."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.PDF})

    class Options(ComponentOptions):
        without_effect: ClassVar[Mapping[str, NoEffect]] = {
            "extract_images": NoEffect((False,), "pictures are not kept; use_ocr reads pages that are only pictures"),
            "extract_page_info": NoEffect((True,), "chunks always carry their pages: citations need them"),
            "include_page_numbers": NoEffect((True,), "chunks always carry their pages: citations need them"),
            "combine_pages": NoEffect((False,), "pages are always told apart: citations need them"),
            "page_separator": NoEffect((), "pages are joined by a blank line and told apart by the page map"),
        }

        clean_text: bool = Field(
            True, description="Trim line ends, join words broken at line ends, spell out ligatures and symbol bullets."
        )
        extract_metadata: bool = Field(True, description="Keep title, author and subject as metadata.")
        preserve_layout: bool = Field(
            True, description="Keep the line breaks of the page; otherwise the lines of a paragraph become one."
        )
        extract_tables: bool = Field(True, description="Write tables as Markdown tables; otherwise line by line.")
        extract_links: bool = Field(True, description="Write the address of a link behind its text.")
        extract_annotations: bool = Field(False, description="Add comments and text boxes at the end of their page.")
        extract_form_fields: bool = Field(
            False, description="Add `name: value` of filled in form fields at the end of their page."
        )
        extract_outlines: bool = Field(False, description="Keep the titles of the outline as metadata `outline`.")
        extract_xmp_metadata: bool = Field(False, description="Keep the facts of the XMP packet as metadata `xmp_…`.")
        remove_headers_footers: bool = Field(
            True, description="Leave out lines that return on most pages, where they stand a second time."
        )
        link_style: Literal["address", "markdown"] = Field(
            "address", description="How extract_links writes links: the address behind the text, or a Markdown link."
        )
        running_lines: list[Literal["headers", "footers"]] | None = Field(
            None,
            description="What remove_headers_footers leaves out, on every page; absent: both, where they stand a "
            "second time.",
        )
        pages: list[int] | None = Field(None, description="Numbers of the pages to read, from 1; all when absent.")
        remove_hidden_text: bool = Field(
            False, description="Leave out text that is drawn invisibly, such as the words below a scan."
        )
        skip_diagonal_text: bool = Field(
            False, description="Leave out text that is neither upright nor turned by a multiple of 90 degrees."
        )
        split_columns: bool = Field(True, description="Read columns one after the other; otherwise line by line.")
        crop: list[float] | None = Field(
            None,
            min_length=4,
            max_length=4,
            description="Shares of the page (0 to 1) to leave out at the left, the top, the right and the bottom.",
        )
        min_text_length: int = Field(
            0, ge=0, description="Pages with fewer characters count as pages without text, for OCR."
        )
        fallback_strategies: list[FallbackReader] = Field(
            ["pypdf2_fallback"],
            description="Readers for what pdfium cannot open: pypdf2_fallback is pypdf. In the place of the others, "
            "which are not part of Paddock, pdfium has read before.",
        )
        use_ocr: UseOcr = True
        ocr_languages: OcrLanguages = "eng"

        @classmethod
        def remarks(cls, values: Mapping[str, Any]) -> list[str]:
            named = values.get("fallback_strategies")
            others = [each for each in named if each != _PYPDF] if isinstance(named, list) else []
            return [
                f"fallback_strategies: '{each}' is not part of Paddock; pdfium reads in its place" for each in others
            ]

    def __init__(self, options: Options) -> None:
        self.options = options
        crop = tuple(options.crop) if options.crop else None
        unwanted = Unwanted(hidden=options.remove_hidden_text, diagonal=options.skip_diagonal_text, crop=crop)
        self._unwanted = unwanted if unwanted != Unwanted() else None

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        if probe.size_bytes == 0:
            raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
        try:
            return self._parse(probe, limits, on_progress)
        except EncryptedFileError:
            raise
        except _CannotOpenError as error:
            texts = self._second_reading(probe, limits)
            if not any(texts):
                raise error.told from error
        warning = "The file is damaged; a second reader (pypdf) has read it, without columns, tables and headings."
        return self._built([ComposedPage(text) for text in texts], [], {}, limits, [warning])

    def _second_reading(self, probe: FileProbe, limits: ParseLimits) -> list[str]:
        """By pypdf. Not of a file that is cut off: half of one must not pass for a whole."""
        if _PYPDF not in self.options.fallback_strategies or _is_cut_off(probe):
            return []
        from rag.parsers.pdf_fallback import read_all  # slow to import, and seldom needed

        return read_all(probe.path, limits)

    def _parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback) -> Document:
        with _opened(probe, with_forms=self.options.extract_form_fields) as pdf:
            with _PDFIUM:
                page_count = len(pdf)
            _check_page_count(page_count, probe, limits)
            numbers = self._wanted_pages(page_count)
            if page_count and not numbers:
                raise NoTextError(f"'{probe.filename}' has {page_count} pages, and none of those asked for")
            pages, damaged = self._read_pages(pdf, numbers, limits, on_progress)
            self._reread(probe, numbers, pages, damaged, page_count, limits)
            warnings = self._read_scans(pdf, numbers, pages, damaged, page_count, limits, on_progress)
            with _PDFIUM:
                entries = pdf_extras.outline(pdf)
                facts = self._facts(pdf, probe, entries)
            if not any(page.text for page in pages):
                raise _no_text(pdf, page_count, len(damaged), probe, warnings)
        empty = [n for n, page in zip(numbers, pages, strict=True) if not page.text and n not in damaged]
        warnings += _warnings(empty, damaged, page_count, _is_cut_off(probe))
        return self._built(pages, entries, facts, limits, warnings, empty=empty, numbers=numbers, page_count=page_count)

    def _wanted_pages(self, page_count: int) -> Sequence[int]:
        chosen = self.options.pages
        every = range(1, page_count + 1)
        return every if chosen is None else [number for number in every if number in set(chosen)]

    def _read_pages(
        self, pdf: Any, numbers: Sequence[int], limits: ParseLimits, on_progress: ProgressCallback
    ) -> tuple[list[ComposedPage], list[int]]:
        """Each page (without text where it has no text layer) and the numbers of those that cannot be loaded."""
        pages: list[ComposedPage] = []
        damaged: list[int] = []
        length = 0
        wanted = Composing(finds_columns=self.options.split_columns, finds_tables=self.options.extract_tables)
        on_progress(0, len(numbers))  # who gives time for each page has to know how many there are
        for done, number in enumerate(numbers, start=1):
            try:
                with _PDFIUM:
                    page = self._read_page(pdf, number - 1, wanted)
            except pypdfium2.PdfiumError:
                page = ComposedPage("")
                damaged.append(number)
            length += len(page.text)
            check_length(length, limits)
            pages.append(page)
            if done % _PROGRESS_EVERY_PAGES == 0 or done == len(numbers):
                on_progress(done, len(numbers))
        return pages, damaged

    def _read_page(self, pdf: Any, index: int, wanted: Composing) -> ComposedPage:
        options = self.options
        with opened_page(pdf, index, self._unwanted) as page:
            style = options.link_style
            links = pdf_extras.link_targets(pdf, page, style) if options.extract_links and page.text else {}
            composed = compose(page, wanted, links)
            added = pdf_extras.notes(page) if options.extract_annotations else []
            added += pdf_extras.form_fields(pdf, page) if options.extract_form_fields else []
        composed.text = clean(composed.text)
        if len(composed.text) < options.min_text_length:
            composed = ComposedPage("")
        if added:
            composed.text = "\n\n".join(filter(None, [composed.text, "\n".join(added)]))
        return composed

    def _reread(
        self,
        probe: FileProbe,
        numbers: Sequence[int],
        pages: list[ComposedPage],
        damaged: list[int],
        page_count: int,
        limits: ParseLimits,
    ) -> None:
        """Try damaged pages with pypdf; those that it reads are damaged no more."""
        if not damaged or _PYPDF not in self.options.fallback_strategies:
            return
        from rag.parsers.pdf_fallback import read_pages

        texts = read_pages(probe.path, [number - 1 for number in damaged], page_count, limits)
        for number, text in zip(list(damaged), texts, strict=True):
            if text:
                pages[numbers.index(number)] = ComposedPage(text)
                damaged.remove(number)

    def _read_scans(
        self,
        pdf: Any,
        numbers: Sequence[int],
        pages: list[ComposedPage],
        damaged: Sequence[int],
        page_count: int,
        limits: ParseLimits,
        on_progress: ProgressCallback,
    ) -> list[str]:
        """Recognise the text of pages that are pictures; returns what there is to say about it."""
        wanted = [n for n, page in zip(numbers, pages, strict=True) if not page.text and n not in damaged]
        if not wanted or not self.options.use_ocr or not ocr_is_available():
            return []
        told = 0

        def on_page() -> None:
            nonlocal told
            told += 1
            on_progress(page_count, page_count)

        scans = read_scans(pdf, wanted, _PDFIUM, languages=self.options.ocr_languages, on_page=on_page)
        for number, text in scans.texts.items():
            pages[numbers.index(number)] = ComposedPage(clean(text))
        check_length(sum(len(page.text) for page in pages), limits)
        warnings = list(scans.warnings)
        if scans.texts:
            read = _named(sorted(scans.texts))
            warnings.append(f"{read} of {page_count} read by OCR: check names and numbers against the scan.")
        return warnings

    def _facts(self, pdf: Any, probe: FileProbe, entries: list[OutlineEntry]) -> dict[str, Scalar]:
        facts: dict[str, Scalar] = {}
        if self.options.extract_metadata:
            values = {key.lower(): pdf.get_metadata_value(key) for key in ("Title", "Author", "Subject")}
            facts |= {key: cleaned for key, value in values.items() if (cleaned := clean(value).strip())}
        if self.options.extract_outlines and entries:
            facts["outline"] = pdf_extras.outline_text(entries)
        if self.options.extract_xmp_metadata:
            facts |= pdf_extras.xmp_facts(probe.path)
        return facts

    def _built(
        self,
        pages: Sequence[ComposedPage],
        entries: Sequence[OutlineEntry],
        facts: Mapping[str, Scalar],
        limits: ParseLimits,
        warnings: Sequence[str],
        *,
        empty: Sequence[int] = (),
        numbers: Sequence[int] | None = None,
        page_count: int | None = None,
    ) -> Document:
        numbers = range(1, len(pages) + 1) if numbers is None else numbers
        places = {number - 1: index for index, number in enumerate(numbers)}
        entries = [replace(each, page=None if each.page is None else places.get(each.page)) for each in entries]
        builder = DocumentBuilder("PDFParser", limits)
        finished = finish(
            pages,
            entries,
            is_tidied=self.options.clean_text,
            keeps_running_lines=not self.options.remove_headers_footers,
            running=self.options.running_lines,
            keeps_lines=self.options.preserve_layout,
        )
        for number, page in zip(numbers, finished, strict=True):
            builder.add_page(number, page.text)
        count = len(pages) if page_count is None else page_count
        document = builder.build(metadata=facts, empty_pages=empty, page_count=count, warnings=warnings)
        headings = [
            Heading(span.start + start, level, title)
            for span, page in zip(document.pages, finished, strict=True)
            for start, level, title in page.headings
        ]
        return replace(document, headings=tuple(headings))


class _CannotOpenError(Exception):
    """pdfium cannot open the file; another reader may."""

    def __init__(self, told: UnreadableFileError) -> None:
        super().__init__(told.message)
        self.told = told


@contextmanager
def _opened(probe: FileProbe, *, with_forms: bool) -> Iterator[Any]:
    try:
        with _PDFIUM:
            pdf = pypdfium2.PdfDocument(probe.path)
            if with_forms:
                pdf.init_forms()
    except pypdfium2.PdfiumError as error:
        raise _cannot_open(probe, getattr(error, "err_code", None)) from error
    try:
        yield pdf
    finally:
        with _PDFIUM:
            pdf.close()


def _cannot_open(probe: FileProbe, code: int | None) -> Exception:
    name = f"'{probe.filename}'"
    if code == _WRONG_PASSWORD:
        return EncryptedFileError(f"{name}: password required; save it without a password and try again")
    if code == _UNSUPPORTED_SECURITY:
        return EncryptedFileError(f"{name} is protected by a method that cannot be read; save it without protection")
    if _is_cut_off(probe):
        return UnreadableFileError(f"{name} is damaged: it ends before its end mark (%%EOF), as a broken download does")
    told = UnreadableFileError(f"{name} is damaged: its table of objects or pages cannot be read")
    return _CannotOpenError(told)


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


def _no_text(
    pdf: Any, page_count: int, damaged_count: int, probe: FileProbe, warnings: Sequence[str]
) -> UnreadableFileError:
    name, pages = f"'{probe.filename}'", "1 page" if page_count == 1 else f"{page_count} pages"
    if page_count == 0:
        return NoTextError(f"{name} has no pages")
    if damaged_count == page_count:
        return UnreadableFileError(f"{name} is damaged: none of its {pages} can be read")
    kinds = _object_kinds(pdf, page_count)
    if not kinds:
        return NoTextError(f"{name} has no text: its {pages} {'is' if page_count == 1 else 'are'} blank")
    what = "images" if pypdfium2.raw.FPDF_PAGEOBJ_IMAGE in kinds else "drawings"
    remedy = " ".join(warnings) or (
        "OCR has found none either"
        if ocr_is_available()
        else f"run optical character recognition (OCR) on it first, or {HOW_TO_INSTALL}"
    )
    return NoTextError(
        f"{name} has no text: its {pages} {'is' if page_count == 1 else 'are'} {what} without a text layer (a scan?); "
        f"{remedy}"
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
