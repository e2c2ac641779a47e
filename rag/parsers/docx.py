"""Word files: paragraphs, headings, lists, tables and notes in the order of the page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from rag.errors import NoTextError
from rag.parsers import media
from rag.parsers.archive import check_archive
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import clean
from rag.parsers.docx_numbering import Numbering
from rag.parsers.docx_xml import (
    BODY,
    BODY_CONTAINERS,
    PARAGRAPH,
    TABLE,
    Inline,
    Styles,
    W,
    drop_invisible,
    read_inline,
    table_cells,
)
from rag.parsers.markup import children_of
from rag.parsers.opc import Package, opened_package
from rag.parsers.tables import one_line, pipe_table
from rag.registry import ComponentOptions
from rag.types import Document

_PROGRESS_EVERY_BLOCKS = 500


class DocxParser:
    """Footnotes, endnotes and text boxes follow the paragraph they belong to; tracked deletions, hidden text, macros
    and tables of contents are not read. Of merged cells, those below one another each repeat the text.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.DOCX, media.ENCRYPTED_OFFICE})

    class Options(ComponentOptions):
        extract_tables: bool = Field(True, description="Read tables, as Markdown tables.")
        extract_headers: bool = Field(True, description="Read page headers, once, before the body.")
        extract_footers: bool = Field(False, description="Read page footers, once, after the body.")
        include_header_footer: bool | None = Field(
            None, description="Read page headers and footers, or neither; overrules the two options above."
        )
        extract_comments: bool = Field(False, description="Read reviewers' comments, after the paragraph they are on.")
        extract_images: bool = Field(False, description="Read the descriptions (alternative texts) of pictures.")
        preserve_formatting: bool = Field(
            True, description="Keep marks of lists, bars of tables and addresses of links; if not, only the words."
        )
        extract_metadata: bool = Field(True, description="Keep title, author and subject as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_archive(probe, limits)
        builder = DocumentBuilder("DocxParser", limits)
        with opened_package(probe) as package:
            facts = package.facts() if self.options.extract_metadata else {}
            with_headers, with_footers = self._margins()
            _add_margins(builder, package, "header" if with_headers else "")
            self._add_body(builder, package, on_progress)
            _add_margins(builder, package, "footer" if with_footers else "")
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: the document holds no words (only pictures?)")
        return builder.build(metadata=facts)

    def _margins(self) -> tuple[bool, bool]:
        both = self.options.include_header_footer
        return (self.options.extract_headers, self.options.extract_footers) if both is None else (both, both)

    def _add_body(self, builder: DocumentBuilder, package: Package, on_progress: ProgressCallback) -> None:
        body, done = _Body(builder, self.options, package), 0
        with package.open(package.main) as stream:
            tags = {PARAGRAPH, TABLE, *BODY_CONTAINERS}
            for done, block in enumerate(children_of(stream, BODY, tags), start=1):
                drop_invisible(block)
                body.add(block)
                if done % _PROGRESS_EVERY_BLOCKS == 0:
                    on_progress(done, None)
        on_progress(done, done)


@dataclass(frozen=True, slots=True)
class _Note:
    text: str
    author: str


class _Body:
    """Appends the blocks of the main part, as they come."""

    def __init__(self, builder: DocumentBuilder, options: DocxParser.Options, package: Package) -> None:
        main = package.main
        self._builder = builder
        self._options = options
        self._styles = Styles(package.optional_root(main, "styles"))
        self._numbering = Numbering(package.optional_root(main, "numbering"))
        kinds = ("footnote", "endnote", *(("comment",) if options.extract_comments else ()))
        self._notes = {(kind, key): note for kind in kinds for key, note in _notes(package, kind)}
        self._addresses = _addresses(package, main) if options.preserve_formatting else None
        self._after_item = False

    def add(self, block: Any) -> None:
        for each in _blocks([block]):
            if each.tag == PARAGRAPH:
                self._add_paragraph(each)
            else:
                self._add_table(each)

    def _add_paragraph(self, paragraph: Any) -> None:
        inline = self._inline(paragraph)
        text = clean(inline.text).strip()
        if text and not self._styles.is_contents(paragraph):
            self._add_text(paragraph, text)
        self._add_hanging(inline)

    def _add_text(self, paragraph: Any, text: str) -> None:
        place, level = self._styles.list_place(paragraph), self._styles.heading_level(paragraph)
        label = self._numbering.label(*place) if place else ""
        if level:
            title = " ".join(text.split())
            self._builder.add_heading(f"{label} {title}" if label not in {"", "-"} else title, level)
            self._after_item = False
        elif place and self._options.preserve_formatting:
            item = f"{'  ' * place[1]}{label} {text}" if label else f"{'  ' * place[1]}{text}"
            self._builder.add(item, separator="\n" if self._after_item else "\n\n")
            self._after_item = True
        else:
            self._builder.add(text)
            self._after_item = False

    def _add_hanging(self, inline: Inline) -> None:
        """What stands elsewhere in the file and belongs to the words just added."""
        for kind, note_id in inline.notes:
            if (note := self._notes.get((kind, note_id))) is None:
                continue
            by = f"Comment by {note.author}" if note.author else "Comment"
            line = f"[{by}: {note.text}]" if kind == "comment" else f"[^{note_id}]: {note.text}"
            self._builder.add(line, separator="\n")
        for box in inline.boxes:
            self._after_item = False
            for block in _blocks(box):
                self.add(block)

    def _add_table(self, table: Any) -> None:
        rows = list(table_cells(table))
        if not self._options.extract_tables:
            return
        self._after_item = False
        if all(len(row) <= 1 for row in rows):  # a frame around text
            for row in rows:
                for cell, _width, _goes_on in row:
                    for block in _blocks(cell):
                        self.add(block)
            return
        hanging: list[Inline] = []
        cells = [[clean(text) for text in row] for row in self._texts(rows, hanging)]
        if self._options.preserve_formatting:
            text = pipe_table(cells)
        else:
            text = "\n".join(" ".join(filter(None, map(one_line, row))) for row in cells if any(row))
        if text:
            self._builder.add(text)
        for inline in hanging:
            self._add_hanging(inline)

    def _texts(self, rows: list[list[tuple[Any, int, bool]]], hanging: list[Inline]) -> Iterator[list[str]]:
        above: dict[int, str] = {}
        for row in rows:
            texts: list[str] = []
            for cell, width, goes_on in row:
                column = len(texts)
                if not goes_on:
                    inline = self._inline(cell)
                    hanging.append(inline)
                    above[column] = " ".join(inline.text.split())
                texts += [above.get(column, ""), *[""] * (width - 1)]
            yield texts

    def _inline(self, element: Any) -> Inline:
        return read_inline(element, self._addresses, with_pictures=self._options.extract_images)


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, those inside content controls included."""
    stack = [iter(parent)]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag in {PARAGRAPH, TABLE}:
            yield element
        elif element.tag in BODY_CONTAINERS:
            stack.append(iter(element))


def _addresses(package: Package, part: str) -> Mapping[str, str]:
    return {each.id: each.target for each in package.relations(part).values() if each.kind == "hyperlink"}


def _notes(package: Package, kind: str) -> Iterator[tuple[str, _Note]]:
    for part in package.related(package.main, f"{kind}s"):
        root, addresses = package.root(part), _addresses(package, part)
        drop_invisible(root)
        for note in root.iter(f"{W}{kind}"):
            if "eparator" in (note.get(f"{W}type") or ""):
                continue
            text = " ".join(clean(read_inline(note, addresses).text).split())
            if text:
                yield note.get(f"{W}id") or "", _Note(text, clean(note.get(f"{W}author") or "").strip())


def _add_margins(builder: DocumentBuilder, package: Package, kind: str) -> None:
    """The distinct headers (or footers) of the sections."""
    texts = []
    for part in package.related(package.main, kind):
        root = package.root(part)
        drop_invisible(root)
        lines = (clean(read_inline(each, {}).text).strip() for each in root.iter(PARAGRAPH))
        texts.append("\n".join(filter(None, lines)))
    for text in dict.fromkeys(filter(None, texts)):
        builder.add(text)
