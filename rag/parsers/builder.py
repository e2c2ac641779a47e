"""Grows a Document block by block and keeps the positions and the length limit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rag.parsers.base import ParseLimits
from rag.parsers.decoding import check_length
from rag.types import Document, Heading, PageSpan, PageUnit, Part, PartKind, Scalar


class DocumentBuilder:
    """Collects text in order. Every `add` returns where its text starts in `Document.text`."""

    def __init__(self, parser: str, limits: ParseLimits) -> None:
        self._parser = parser
        self._limits = limits
        self._parts: list[str] = []
        self._length = 0
        self._pages: list[PageSpan] = []
        self._headings: list[Heading] = []
        self._rows: list[tuple[int, int]] = []
        self._parts_of_file: list[Part] = []
        self._row_values: list[Mapping[str, Scalar]] = []

    @property
    def has_text(self) -> bool:
        return self._length > 0

    @property
    def row_count(self) -> int:
        return len(self._rows)

    @property
    def page_count(self) -> int | None:
        """Of the pages so far; None without any."""
        return len(self._pages) or None

    def add(self, text: str, *, separator: str = "\n\n") -> int:
        """Append `text`, with `separator` before it unless it is the first; raises LimitExceededError."""
        if self._parts and text:
            self._push(separator)
        start = self._length
        self._push(text)
        return start

    def add_heading(self, title: str, level: int, *, prefix: str = "") -> None:
        start = self.add(prefix + title)
        self._headings.append(Heading(start=start, level=level, title=title))

    def add_row(self, text: str, *, separator: str = "\n", values: Mapping[str, Scalar] | None = None) -> None:
        """Append a row. Its chunks carry `values` as metadata; every row of a document has them, or none has."""
        start = self.add(text, separator=separator)
        self._rows.append((start, self._length))
        if values is not None:
            self._row_values.append(values)

    def add_page(self, number: int, text: str) -> None:
        start = self.add(text)
        self._pages.append(PageSpan(number, start, self._length))

    @contextmanager
    def page(self, number: int, unit: PageUnit = "page") -> Iterator[None]:
        """What is added inside stands on this page; one that stays empty is kept, too."""
        before = self._length
        yield
        self._pages.append(PageSpan(number, before, self._length, unit))

    @contextmanager
    def part(self, kind: PartKind, name: str) -> Iterator[None]:
        """What is added inside is a part of the file; one that stays empty is not kept."""
        place, before = len(self._parts_of_file), self._length
        yield
        if self._length > before:
            self._parts_of_file.insert(place, Part(kind, name, before, self._length))

    def add_document(self, document: Document, kind: PartKind, name: str, *, heading_shift: int = 0) -> None:
        """Append a parsed file that stands inside this one, as the part `name`; its own inner files get its path."""
        at = self.add(document.text)
        self._pages.extend(PageSpan(page.page, at + page.start, at + page.end, page.unit) for page in document.pages)
        self._headings.extend(
            Heading(at + heading.start, heading.level + heading_shift, heading.title) for heading in document.headings
        )
        self._rows.extend((at + start, at + end) for start, end in document.rows)
        for part in document.parts:
            inner = f"{name}/{part.name}" if part.kind == kind else part.name
            self._parts_of_file.append(Part(part.kind, inner, at + part.start, at + part.end))

    def build(
        self,
        *,
        metadata: Mapping[str, Scalar] | None = None,
        empty_pages: Sequence[int] = (),
        page_count: int | None = None,
        warnings: Sequence[str] = (),
    ) -> Document:
        return Document(
            text="".join(self._parts),
            parser=self._parser,
            pages=tuple(self._pages),
            headings=tuple(self._headings),
            rows=tuple(self._rows),
            row_values=tuple(self._row_values),
            parts=tuple(self._parts_of_file),
            empty_pages=tuple(empty_pages),
            page_count=page_count,
            metadata=dict(metadata or {}),
            warnings=tuple(warnings),
        )

    def _push(self, text: str) -> None:
        if not text:
            return
        self._length += len(text)
        check_length(self._length, self._limits)
        self._parts.append(text)
