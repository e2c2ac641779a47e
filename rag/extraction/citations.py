"""What is known of each value, as JSON: quotes with page and position, and how sure they are."""

from collections.abc import Mapping
from typing import Any

from rag.extraction.parts import page_at
from rag.extraction.trees import Citation, Found
from rag.types import Document

MAX_QUOTE_CHARS = 1_000


def field_metadata(about: Any, document: Document, *, cites: bool = True, scores: bool = True) -> Any:
    """In the shape of the data; each value has `citation`, `confidence`, `extraction_confidence` and `reasoning`.

    Args:
        cites, scores: whether citations and confidences are wanted.
    """
    if isinstance(about, Mapping):
        return {name: field_metadata(each, document, cites=cites, scores=scores) for name, each in about.items()}
    if isinstance(about, list):
        return [field_metadata(each, document, cites=cites, scores=scores) for each in about]
    return _entry(about, document, cites=cites, scores=scores)


def _entry(found: Found, document: Document, *, cites: bool, scores: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if cites:
        entry["citation"] = [] if found.citation is None else [_citation(found.citation, document)]
    if scores and found.confidence is not None:
        entry |= {"confidence": found.confidence, "extraction_confidence": found.confidence}
    if found.reasoning is not None:
        entry["reasoning"] = found.reasoning
    return entry


def _citation(citation: Citation, document: Document) -> dict[str, Any]:
    """`start_char` and `end_char` are positions in the text of the whole document."""
    return {
        "page": page_at(document, citation.start),
        "matching_text": citation.quote[:MAX_QUOTE_CHARS],
        "start_char": citation.start,
        "end_char": citation.end,
    }
