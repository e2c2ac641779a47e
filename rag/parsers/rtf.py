"""Rich Text Format: paragraphs, headings, lists, tables and notes, in whatever code page they were written."""

from typing import ClassVar

from pydantic import Field

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import check_size
from rag.parsers.rtf_reader import Paragraph, RtfReader, TableRow
from rag.parsers.tables import pipe_table
from rag.registry import ComponentOptions
from rag.types import Document

_PROGRESS_EVERY_BLOCKS = 500
_BULLETS = frozenset({"o", "v", "q", "n", "l", "§"})
"""Letters that are bullets in the symbol fonts of Word."""


class RTFParser:
    """Headings are known by their style or outline level. Footnotes and text boxes follow the paragraph they belong
    to; hidden and deleted text, pictures and embedded objects are not read.
    """

    media_types: ClassVar[frozenset[str]] = frozenset({media.RTF})

    class Options(ComponentOptions):
        extract_headers: bool = Field(True, description="Read page headers, before the body.")
        extract_footers: bool = Field(False, description="Read page footers, after the body.")
        extract_comments: bool = Field(False, description="Read comments, after the paragraph they are on.")
        extract_metadata: bool = Field(True, description="Keep title, author and subject as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_size(probe, limits)
        if not probe.head.startswith(b"{\\rtf"):
            raise UnreadableFileError(f"'{probe.filename}' is damaged: it does not begin as Rich Text Format")
        reader = RtfReader(probe.path.read_bytes(), probe.filename, with_comments=self.options.extract_comments)
        body = _Body(DocumentBuilder("RTFParser", limits), reader if self.options.extract_headers else None)
        done = 0
        for done, block in enumerate(reader.blocks(), start=1):
            body.add(block)
            if done % _PROGRESS_EVERY_BLOCKS == 0:
                on_progress(done, None)
        body.end(reader.found.footers if self.options.extract_footers else [])
        on_progress(done, done)
        if not body.builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: the document holds no words (only pictures?)")
        return body.builder.build(
            metadata=reader.found.facts if self.options.extract_metadata else {},
            warnings=[] if reader.found.is_complete else ["The file ends too early; what was there is read."],
        )


class _Body:
    def __init__(self, builder: DocumentBuilder, with_headers: RtfReader | None) -> None:
        self.builder = builder
        self._with_headers = with_headers
        self._rows: list[TableRow] = []
        self._after_item = False

    def add(self, block: Paragraph | TableRow) -> None:
        self._add_headers()
        if isinstance(block, TableRow):
            self._rows.append(block)
            return
        self._end_table()
        self._add_paragraph(block)
        for text in block.hanging:
            self.builder.add(text, separator="\n" if text.startswith("[") else "\n\n")

    def end(self, footers: list[str]) -> None:
        self._end_table()
        for text in dict.fromkeys(footers):
            self.builder.add(text)

    def _add_headers(self) -> None:
        """They stand before the first paragraph in the file, too."""
        if self._with_headers is not None:
            for text in dict.fromkeys(self._with_headers.found.headers):
                self.builder.add(text)
            self._with_headers = None

    def _add_paragraph(self, block: Paragraph) -> None:
        if block.level and block.text:
            title = " ".join(block.text.split())
            self.builder.add_heading(f"{block.label} {title}".strip(), block.level)
        elif block.label and block.text:
            mark = block.label if any(map(str.isalnum, block.label)) and block.label not in _BULLETS else "-"
            item = f"{'  ' * block.depth}{mark} {block.text}"
            self.builder.add(item, separator="\n" if self._after_item else "\n\n")
        else:
            self.builder.add(block.text)
        self._after_item = bool(block.label and not block.level)

    def _end_table(self) -> None:
        if not self._rows:
            return
        self.builder.add(pipe_table([row.cells for row in self._rows]))
        for text in (text for row in self._rows for text in row.hanging):
            self.builder.add(text, separator="\n")
        self._rows.clear()
        self._after_item = False
