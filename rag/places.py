"""Where in a file a chunk stands, in words: `page 3`, `sheet 'Prices'`, `attachment 'offer.pdf', page 2`.

Works on the metadata of any hit, also of one that another program stored.
"""

from collections.abc import Mapping
from typing import Any, Final

_PARTS: Final = ("attachment", "member", "chapter", "sheet")
"""From the outside in: a mail or an archive holds workbooks and books, never the other way round."""
_PAGE_KEYS: Final = ("page_start", "page", "page_number", "page_label")
_NAME_KEYS: Final = ("filename", "file_name", "source", "title")
_MAX_NAME_CHARS: Final = 200


def file_name(metadata: Mapping[str, Any]) -> str | None:
    """The file's name as people know it."""
    return next((str(metadata[key]) for key in _NAME_KEYS if metadata.get(key)), None)


def places(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(kind, name) pairs from the outside in; the heading only where nothing else says where the chunk stands."""
    found = [(kind, _short(metadata[kind])) for kind in _PARTS if metadata.get(kind)]
    if metadata.get("slide_number"):
        found.append(("slide", _short(metadata["slide_number"])))
    elif (pages := _pages(metadata)) is not None:
        found.append(("page", pages))
    if not found and metadata.get("heading_path"):
        found.append(("section", _short(metadata["heading_path"])))
    return found


def place_of(metadata: Mapping[str, Any]) -> str:
    """One phrase, "" where nothing is known."""
    return ", ".join(_phrase(kind, name) for kind, name in places(metadata))


def cited(metadata: Mapping[str, Any], name: str | None = None) -> str:
    """File and place, `report.pdf, page 3`; `name` is for hits whose metadata names no file."""
    known = file_name(metadata) or name or "unknown file"
    place = place_of(metadata)
    return f"{known}, {place}" if place else known


def _pages(metadata: Mapping[str, Any]) -> str | None:
    if metadata.get("expanded") and metadata.get("page_number"):
        return _short(metadata["page_number"])  # of the match, not of all the text around it
    first = next((metadata[key] for key in _PAGE_KEYS if metadata.get(key)), None)
    if first is None:
        return None
    last = metadata.get("page_end")
    return _short(first) if not last or last == first else f"{_short(first)}-{_short(last)}"


def _phrase(kind: str, name: str) -> str:
    if kind == "page" and "-" in name:
        return f"pages {name.replace('-', '–')}"
    return f"{kind} {name}" if kind in {"page", "slide"} else f"{kind} '{name}'"


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MAX_NAME_CHARS else text[: _MAX_NAME_CHARS - 1] + "…"
