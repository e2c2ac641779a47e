"""OpenDocument texts (.odt): paragraphs, headings, lists, tables and notes in the order of the page."""

import zipfile
from collections.abc import Iterator
from typing import ClassVar

from lxml import etree
from pydantic import Field

from rag.errors import NoTextError
from rag.parsers import media
from rag.parsers.archive import check_archive
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.markup import parse_markup
from rag.parsers.odf import OFFICE, STYLE, facts_of, opened_odf, plain_text
from rag.parsers.odf_blocks import BLOCKS, Block, OdfBlocks, OdfStyles
from rag.registry import ComponentOptions
from rag.types import Document

_BODY = f"{OFFICE}text"
_PROGRESS_EVERY_BLOCKS = 500


class OpenDocumentParser:
    """Footnotes and text boxes follow the paragraph they belong to; deletions of tracked changes, macros and
    generated indexes are not read. Of merged cells, those below one another each repeat the text.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.ODT})

    class Options(ComponentOptions):
        extract_tables: bool = Field(True, description="Read tables, as Markdown tables.")
        extract_headers: bool = Field(True, description="Read page headers, once, before the body.")
        extract_footers: bool = Field(False, description="Read page footers, once, after the body.")
        extract_comments: bool = Field(False, description="Read comments, after the paragraph they are on.")
        extract_images: bool = Field(False, description="Read the descriptions (alternative texts) of pictures.")
        extract_metadata: bool = Field(True, description="Keep title, author and subject as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_archive(probe, limits)
        builder = DocumentBuilder("OpenDocumentParser", limits)
        with opened_odf(probe) as archive:
            facts = facts_of(archive) if self.options.extract_metadata else {}
            styles = OdfStyles()
            sheet = parse_markup(archive.read("styles.xml")) if "styles.xml" in archive.namelist() else None
            for style in sheet.iter(*styles.tags) if sheet is not None else ():
                styles.add(style)
            headers, footers = (_margins(sheet, which) for which in ("header", "footer"))
            for text in headers if self.options.extract_headers else ():
                builder.add(text)
            done = 0
            for done, block in enumerate(self._blocks(archive, styles), start=1):
                _add(builder, block)
                if done % _PROGRESS_EVERY_BLOCKS == 0:
                    on_progress(done, None)
            for text in footers if self.options.extract_footers else ():
                builder.add(text)
        on_progress(done, done)
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: the document holds no words (only pictures?)")
        return builder.build(metadata=facts)

    def _blocks(self, archive: zipfile.ZipFile, styles: OdfStyles) -> Iterator[Block]:
        """Piece by piece: a block is forgotten when the next one is asked for."""
        options = self.options
        reader = OdfBlocks(
            styles,
            with_tables=options.extract_tables,
            with_comments=options.extract_comments,
            with_pictures=options.extract_images,
        )
        with archive.open("content.xml") as stream:
            events = etree.iterparse(
                stream, events=("end",), tag=(*BLOCKS, *styles.tags), resolve_entities=False, no_network=True,
                remove_comments=True, remove_pis=True,
            )  # fmt: skip
            for _event, element in events:
                holder = element.getparent()
                if element.tag in styles.tags:
                    styles.add(element)
                elif holder is not None and holder.tag == _BODY:
                    yield from reader.read(element)
                    element.clear()
                    while element.getprevious() is not None:
                        del holder[0]


def _add(builder: DocumentBuilder, block: Block) -> None:
    if block.level:
        builder.add_heading(block.text, block.level)
    else:
        builder.add(block.text, separator="\n" if block.goes_on else "\n\n")


def _margins(sheet: etree._Element | None, which: str) -> list[str]:
    """The distinct headers (or footers) of the page styles."""
    found = [] if sheet is None else [plain_text(each) for each in sheet.iter(f"{STYLE}{which}")]
    return list(dict.fromkeys(filter(None, found)))
