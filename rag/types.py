"""The data that travels between roles: frozen, small, and free of any format, store or wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Scalar: TypeAlias = str | int | float | bool
"""What a metadata value may be once it is stored; lists and mappings are flattened before."""

OWN_KEYS = frozenset(
    {
        "filename", "source", "file_hash", "document_id", "dataset", "content_type", "size", "parser", "chunk_strategy",
        "total_chunks", "chunk_id", "chunk_index", "char_start", "char_end", "token_count", "page_number", "page_start",
        "page_end", "heading_path", "slide_number", "sheet", "member", "attachment", "chapter", "parent_start",
        "parent_end", "table_header", "section_titles", "gap_after",
    }
)  # fmt: skip
"""Metadata keys that `rag.pipelines.ingest` sets on every chunk, whatever a document says."""

Vector: TypeAlias = NDArray[np.float32]
"""Shape (dimension,)."""

Matrix: TypeAlias = NDArray[np.float32]
"""Shape (text count, dimension), rows in the order of the input."""

PageUnit: TypeAlias = Literal["page", "slide"]


@dataclass(frozen=True, slots=True)
class PageSpan:
    """Where one page stands in `Document.text`: characters `start` up to but excluding `end`."""

    page: int
    """1-based number of the page in the file."""
    start: int
    end: int
    unit: PageUnit = "page"
    """What it is called: chunks of slides carry `slide_number` besides."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading found by a parser; `start` is its first character in `Document.text`."""

    start: int
    level: int
    """1 is the outermost."""
    title: str


PartKind: TypeAlias = Literal["sheet", "member", "attachment", "chapter"]
"""Of a workbook, an archive, a mail, a book. Its name is the metadata key under which chunks carry a part's name."""


@dataclass(frozen=True, slots=True)
class Part:
    """A named piece of a file, characters `start` up to but excluding `end`; no chunk reaches over its end.

    Parts may stand inside each other (a sheet of an attached workbook), never across each other.
    """

    kind: PartKind
    name: str
    """As people know it: `Prices`, `reports/2024.pdf`."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. Every position below is a character offset into `text`.

    Args:
        text: what was read, exactly as it is stored, cited and searched.
        pages: in order and without overlap; empty for formats that have no pages.
        headings: in order of `start`.
        rows: spans of table rows (start, end) in order; a row carries its column names in its text.
        row_values: of each row, the cells that chunks carry as metadata; empty, or as long as `rows`.
        parts: sheets, members, attachments or chapters, in order of `start`, outer ones before inner ones.
        empty_pages: 1-based pages that have no text layer (scanned pages).
        metadata: facts of the whole file (title, author, sheet names …), each a scalar.
        warnings: sentences for the person who uploaded the file.
    """

    text: str
    parser: str
    pages: tuple[PageSpan, ...] = ()
    headings: tuple[Heading, ...] = ()
    rows: tuple[tuple[int, int], ...] = ()
    row_values: tuple[Mapping[str, Scalar], ...] = ()
    parts: tuple[Part, ...] = ()
    empty_pages: tuple[int, ...] = ()
    page_count: int | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document: `document.text[start:end] == text`, always.

    Args:
        heading_path: of the section that it is from; of one that gathers several, the headings above all of them.
        section_titles: of the sections that it gathers, where there are several.
        token_count: of `embedded_text`, in the embedder's own tokenizer; never above its window.
        table_header: the first rows of the table that the chunk begins in the middle of; embedded, searched and
            shown with it, but no part of its span.
        parent: characters of the section around it, which a query may return in its place.
    """

    index: int
    text: str
    start: int
    end: int
    token_count: int
    page_start: int | None = None
    page_end: int | None = None
    heading_path: tuple[str, ...] = ()
    table_header: str = ""
    parent: tuple[int, int] | None = None
    section_titles: tuple[str, ...] = ()

    @property
    def embedded_text(self) -> str:
        return with_table_header(self.text, self.table_header)


def with_table_header(text: str, header: Scalar | None) -> str:
    """The text of a chunk as embedders and models read it: under the column names that it was cut from."""
    return f"{header}\n{text}" if header else text


@dataclass(frozen=True, slots=True)
class Record:
    """A chunk as a store keeps it.

    Args:
        id: unique in the database and derived from content: dataset, file hash, generation, position.
        file_key: `dataset/file_hash`: what a file's chunks are found and deleted by.
        generation: which parse + chunk + embed run of the file it belongs to.
        metadata: scalars only; keys that begin with `_` are the store's own and never leave it.
    """

    id: str
    text: str
    vector: Vector = field(compare=False)
    file_key: str
    generation: str
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


def record_id(file_key: str, generation: str, index: int) -> str:
    """Derived from content: the same file with the same options gives the same ids, in the order of its chunks."""
    return f"{file_key}/{generation}/{index:06d}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk with a score in [0, 1]; higher is better in every mode and every store.

    `scores` holds the score of each stage that touched the hit (`vector`, `lexical`, `fused`, `rerank` …).
    """

    id: str
    text: str
    score: float
    file_key: str
    generation: str
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    vector: Vector | None = field(default=None, compare=False)

    @property
    def read_text(self) -> str:
        """What models read: the text, under the column names where it begins in the middle of a table."""
        return with_table_header(self.text, self.metadata.get("table_header"))
