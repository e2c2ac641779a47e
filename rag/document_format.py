"""How a parsed document is kept on disk: JSON with a version; what citations and `read` index into."""

from collections.abc import Sequence
from typing import Any

import orjson

from rag.errors import ConflictError
from rag.types import Chunk, Document, Heading, PageSpan, Part

FORMAT_VERSION = 1


def dump_document(document: Document) -> bytes:
    return orjson.dumps(
        {
            "format": FORMAT_VERSION,
            "parser": document.parser,
            "text": document.text,
            "pages": [[page.page, page.start, page.end, page.unit] for page in document.pages],
            "headings": [[heading.start, heading.level, heading.title] for heading in document.headings],
            "rows": [list(row) for row in document.rows],
            "row_values": [dict(values) for values in document.row_values],
            "parts": [[part.kind, part.name, part.start, part.end] for part in document.parts],
            "empty_pages": list(document.empty_pages),
            "page_count": document.page_count,
            "metadata": dict(document.metadata),
            "warnings": list(document.warnings),
        }
    )


def load_document(data: bytes) -> Document:
    """Raises ConflictError for a version that this code does not know."""
    raw = _checked(orjson.loads(data))
    unit = raw.get("page_unit", "page")  # of all pages, in texts of older versions
    return Document(
        text=raw["text"],
        parser=raw["parser"],
        pages=tuple(PageSpan(*page[:3], *(page[3:] or (unit,))) for page in raw["pages"]),
        headings=tuple(Heading(*heading) for heading in raw["headings"]),
        rows=tuple((start, end) for start, end in raw["rows"]),
        row_values=tuple(raw.get("row_values") or ()),  # not in texts of older versions
        parts=tuple(Part(*part) for part in raw.get("parts") or ()),
        empty_pages=tuple(raw["empty_pages"]),
        page_count=raw["page_count"],
        metadata=raw["metadata"],
        warnings=tuple(raw["warnings"]),
    )


def dump_chunks(chunks: list[Chunk]) -> bytes:
    """Positions only: the text of a chunk is a span of its document."""
    return orjson.dumps(
        {
            "format": FORMAT_VERSION,
            "chunks": [
                [
                    each.start,
                    each.end,
                    each.token_count,
                    each.page_start,
                    each.page_end,
                    list(each.heading_path),
                    each.table_header,
                    each.parent,
                    list(each.section_titles),
                ]
                for each in chunks
            ],
        }
    )


def load_chunks(data: bytes, document: Document) -> list[Chunk]:
    raw = _checked(orjson.loads(data))
    return [
        Chunk(index, document.text[start:end], start, end, tokens, first, last, tuple(path), *_added_later(*more))
        for index, (start, end, tokens, first, last, path, *more) in enumerate(raw["chunks"])
    ]


def _added_later(
    table_header: str = "", parent: list[int] | None = None, section_titles: Sequence[str] = ()
) -> tuple[str, tuple[int, int] | None, tuple[str, ...]]:
    """What older versions did not write."""
    return table_header, None if parent is None else (parent[0], parent[1]), tuple(section_titles)


def _checked(raw: dict[str, Any]) -> dict[str, Any]:
    version = raw.get("format")
    if version != FORMAT_VERSION:
        raise ConflictError(
            f"stored text has format {version!r}, this version of Paddock knows {FORMAT_VERSION}: "
            "process the file again, or upgrade Paddock"
        )
    return raw
