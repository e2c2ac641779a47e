"""The shape of a row in the tables of parser vectors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Vector:
    """A file and what its Document must show.

    Args:
        parser: the canonical name that reads it.
        filename: as the uploader would call it.
        write: makes the file.
        contains: phrases of the text, in this order.
        lacks: phrases that must not be in the text.
        pages: phrase → 1-based page it stands on.
        headings: (level, title) of every heading, in order.
        rows: the text of every row, in order.
        empty_pages: pages without a text layer.
        metadata: facts that must be among the metadata.
        parts: (kind, name, a phrase that stands in it) of sheets, members, attachments and chapters.
        page_unit: what a page of this format is called.
        warnings: phrases, each of which one warning must hold; without any there must be no warning.
        options: what the parser is built with, where its defaults are not what is meant.
        needs: a program without which the row is skipped (`tesseract`).
    """

    id: str
    parser: str
    filename: str
    write: Callable[[Path], Path]
    contains: tuple[str, ...]
    lacks: tuple[str, ...] = ("\x00", "\r", "\ufeff", "\ufffe")
    pages: tuple[tuple[str, int], ...] = ()
    headings: tuple[tuple[int, str], ...] = ()
    rows: tuple[str, ...] = ()
    empty_pages: tuple[int, ...] = ()
    metadata: tuple[tuple[str, str | int], ...] = ()
    parts: tuple[tuple[str, str, str], ...] = ()
    page_unit: str = "page"
    warnings: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    needs: str | None = None
