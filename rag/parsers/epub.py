"""E-books (.epub): the pages in reading order, chapter by chapter."""

import zipfile
from typing import ClassVar

from pydantic import Field

from rag.errors import NoTextError
from rag.parsers import media
from rag.parsers.archive import check_archive, readable_package
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.epub_package import Book, Page
from rag.parsers.html import add_page
from rag.registry import ComponentOptions
from rag.types import Document


class EPUBParser:
    """Chunks cite the chapter, under its name in the table of contents. Cover, table of contents and notes on
    landmarks are not read; pages are read as the HTML parser reads them.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.EPUB})

    class Options(ComponentOptions):
        extract_metadata: bool = Field(True, description="Keep title, author and language as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_archive(probe, limits)
        builder = DocumentBuilder("EPUBParser", limits)
        chapter: str | None = None
        missing = 0
        with readable_package(probe), zipfile.ZipFile(probe.path) as archive:
            book = Book(archive, probe.filename)
            pages = book.pages()
            for number, page in enumerate(pages, start=1):
                text = book.text(page.part)
                missing += text is None
                chapter = _add(builder, page, chapter, text or "", probe.filename, limits) or chapter
                on_progress(number, len(pages))
            facts = book.facts if self.options.extract_metadata else {}
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: its pages hold no words (only pictures?)")
        said = [f"{missing} of its {len(pages)} pages are listed and not in the file."] if missing else []
        return builder.build(metadata=facts, warnings=said)


def _add(
    builder: DocumentBuilder, page: Page, before: str | None, text: str, filename: str, limits: ParseLimits
) -> str | None:
    """Append a page; gives the name of the chapter that it begins or goes on with."""
    own = DocumentBuilder("EPUBParser", limits)
    add_page(own, text, filename)
    document = own.build()
    if not document.text.strip():
        return page.chapter
    heading = document.headings[0] if document.headings else None
    name = page.chapter or before or (None if heading is None else heading.title)
    if name is None:
        builder.add_document(document, "chapter", "")
        return None
    with builder.part("chapter", name):
        if page.chapter and (heading is None or heading.start > 0):
            builder.add_heading(page.chapter, 1)
        builder.add_document(document, "chapter", name)
    return name
