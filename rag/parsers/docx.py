"""Word files: paragraphs, headings, lists and tables in the order of the page."""

from collections.abc import Iterator
from typing import Any, ClassVar

import docx
from docx.oxml.parser import parse_xml
from pydantic import Field

from rag.errors import NoTextError
from rag.parsers import media
from rag.parsers.archive import check_archive, readable_package
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import clean
from rag.parsers.docx_xml import BODY_CONTAINERS, PARAGRAPH, TABLE, Styles, cell_rows, drop_invisible, paragraph_text
from rag.registry import ComponentOptions
from rag.types import Document

_PROGRESS_EVERY_BLOCKS = 500


class DocxParser:
    """Reads the markup itself, since `Paragraph.text` of the library leaves out tracked insertions, content
    controls and text boxes. Numbers of numbered paragraphs are not computed: such items begin with a hyphen.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.DOCX, media.ENCRYPTED_OFFICE})

    class Options(ComponentOptions):
        extract_tables: bool = Field(True, description="Read tables, as pipe rows.")
        extract_headers: bool = Field(True, description="Read page headers, once, before the body.")
        extract_footers: bool = Field(False, description="Read page footers, once, after the body.")
        extract_comments: bool = Field(False, description="Read reviewers' comments, after the body.")
        extract_metadata: bool = Field(True, description="Keep title, author and subject as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_archive(probe, limits)
        builder = DocumentBuilder("DocxParser", limits)
        with readable_package(probe), probe.path.open("rb") as stream:
            document = docx.Document(stream)
            drop_invisible(document.element)
            styles = Styles(document.styles.element)
            before, after = self._around_body(document)
            facts = _facts(document) if self.options.extract_metadata else {}
        _add_all(builder, before)
        self._add_body(builder, document.element.body, styles, on_progress)
        _add_all(builder, after)
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: the document holds no words (only pictures?)")
        return builder.build(metadata=facts)

    def _around_body(self, document: Any) -> tuple[list[str], list[str]]:
        """What stands before the body, and what stands after it."""
        before = list(_margins(document, "header")) if self.options.extract_headers else []
        after = list(_notes(document))
        if self.options.extract_footers:
            after.extend(_margins(document, "footer"))
        if self.options.extract_comments:
            after.extend(text for comment in document.comments if (text := clean(comment.text).strip()))
        return before, after

    def _add_body(self, builder: DocumentBuilder, body: Any, styles: Styles, on_progress: ProgressCallback) -> None:
        after_item, done = False, 0
        for done, block in enumerate(_blocks(body), start=1):
            if block.tag == PARAGRAPH:
                after_item = _add_paragraph(builder, block, styles, after_item)
            elif self.options.extract_tables:
                _add_table(builder, block)
                after_item = False
            if done % _PROGRESS_EVERY_BLOCKS == 0:
                on_progress(done, None)
        on_progress(done, done)


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, those inside content controls included."""
    stack = [iter(parent if parent is not None else ())]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag in {PARAGRAPH, TABLE}:
            yield element
        elif element.tag in BODY_CONTAINERS:
            stack.append(iter(element))


def _add_paragraph(builder: DocumentBuilder, paragraph: Any, styles: Styles, after_item: bool) -> bool:
    """Append a paragraph; says whether it was a list item."""
    text = clean(paragraph_text(paragraph)).strip()
    if not text:
        return after_item
    if level := styles.heading_level(paragraph):
        builder.add_heading(" ".join(text.split()), level)
        return False
    if (depth := styles.list_depth(paragraph)) is None:
        builder.add(text)
        return False
    builder.add(f"{'  ' * depth}- {text}", separator="\n" if after_item else "\n\n")
    return True


def _add_table(builder: DocumentBuilder, table: Any) -> None:
    is_first = True
    for cells in cell_rows(table):
        if any(cells):
            builder.add(clean("| " + " | ".join(cells) + " |"), separator="\n\n" if is_first else "\n")
            is_first = False


def _margins(document: Any, which: str) -> Iterator[str]:
    """The distinct headers (or footers) of the sections."""
    seen: set[str] = set()
    for section in document.sections:
        margin = getattr(section, which)
        if margin.is_linked_to_previous:
            continue
        text = "\n".join(line for part in margin.paragraphs if (line := clean(paragraph_text(part._p)).strip()))
        if text and text not in seen:
            seen.add(text)
            yield text


def _notes(document: Any) -> Iterator[str]:
    """Footnotes and endnotes, for which the library has no objects."""
    for part in document.part.package.iter_parts():
        if part.partname in {"/word/footnotes.xml", "/word/endnotes.xml"}:
            root = parse_xml(part.blob)
            drop_invisible(root)
            for note in root:
                text = "\n".join(paragraph_text(block) for block in _blocks(note) if block.tag == PARAGRAPH)
                if cleaned := clean(text).strip():
                    yield cleaned


def _add_all(builder: DocumentBuilder, texts: list[str]) -> None:
    for text in texts:
        builder.add(text)


def _facts(document: Any) -> dict[str, str]:
    properties = document.core_properties
    facts = {"title": properties.title, "author": properties.author, "subject": properties.subject}
    return {key: cleaned for key, value in facts.items() if (cleaned := clean(value or "").strip())}
