"""A parsed document → the pages of a result: as text, as Markdown, and as a list of what stands on them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rag.types import Document, Heading

SEPARATOR = "\n---\n"
_MAX_LEVEL = 6
_RULE = re.compile(r"\|(\s*:?-{3,}:?\s*\|)+")
_CELL = re.compile(r"(?<!\\)\|")
_HEADING = re.compile(r"(#{1,6}) (.*)")


@dataclass(frozen=True, slots=True)
class ResultPage:
    """`error` says why a page that is damaged has no text."""

    page: int
    text: str
    md: str
    error: str | None = None
    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def plain(self) -> dict[str, Any]:
        return asdict(self)


def result_pages(document: Document, parameters: Mapping[str, Any], chosen: Sequence[int]) -> list[ResultPage]:
    """
    Args:
        chosen: numbers of the pages that are wanted.
    """
    wanted, found = set(chosen), []
    for number, start, end in spans(document):
        if number not in wanted:
            continue
        text = document.text[start:end].strip("\n")
        failed = not text and bool(document.pages) and number not in document.empty_pages
        if failed:
            text = _in_place(number, parameters)
        md = text if failed else _markdown(document, start, end)
        error = f"page {number} is damaged and could not be read" if failed else None
        found.append(ResultPage(number, text, md, error, list(items_of(md))))
    return found


def spans(document: Document) -> list[tuple[int, int, int]]:
    """(number from 1, start, end) of each page; without pages each sheet is one, else the whole file is. What stands
    between two pages belongs to the later one."""
    if document.pages:
        places = [(page.page, page.end) for page in document.pages]
    else:
        ends = [part.end for part in document.parts if part.kind == "sheet"]
        rising = ends == sorted(set(ends)) and bool(ends)
        places = list(enumerate(ends, start=1)) if rising else [(1, len(document.text))]
    found, start = [], 0
    for index, (number, end) in enumerate(places):
        last = len(document.text) if index == len(places) - 1 else max(start, end)
        found.append((number, start, last))
        start = last
    return found


def page_count(document: Document) -> int:
    places = spans(document)
    return max(document.page_count or 0, places[-1][0] if places else 0)


def joined(pages: Sequence[Mapping[str, Any]], key: str, parameters: Mapping[str, Any]) -> str:
    """All pages as one text, with what is to stand between and around them."""
    separator = parameters.get("page_separator")
    separator = SEPARATOR if separator is None else separator
    prefix, suffix = parameters.get("page_prefix") or "", parameters.get("page_suffix") or ""
    parts: list[str] = []
    for page in pages:
        number = str(page["page"])
        if parts:
            parts.append(separator.replace("{page_number}", number))
        parts += [prefix.replace("{page_number}", number), page[key], suffix.replace("{page_number}", number)]
    return "".join(parts)


def items_of(md: str) -> Iterator[dict[str, Any]]:
    """Headings, tables and paragraphs of a page."""
    for block in re.split(r"\n\s*\n", md):
        lines = block.split("\n")
        while lines:
            heading = _HEADING.fullmatch(lines[0])
            if heading:
                yield {"type": "heading", "lvl": len(heading[1]), "value": heading[2], "md": lines.pop(0)}
                continue
            end = next((at for at, line in enumerate(lines) if at and _HEADING.fullmatch(line)), len(lines))
            yield _item(lines[:end])
            lines = lines[end:]


def _item(lines: list[str]) -> dict[str, Any]:
    md = "\n".join(lines)
    if len(lines) > 1 and _RULE.fullmatch(lines[1]):
        rows = [
            [cell.strip().replace("\\|", "|") for cell in _CELL.split(line)[1:-1]] for line in (lines[0], *lines[2:])
        ]
        return {"type": "table", "rows": rows, "md": md, "value": md}
    if lines[0] == "<table>":
        return {"type": "table", "html": md, "md": md, "value": md}
    return {"type": "text", "value": md, "md": md}


def _markdown(document: Document, start: int, end: int) -> str:
    """The text with `#` before its headings, where they have none yet."""
    parts: list[str] = []
    at = start
    for heading in _within(document.headings, start, end):
        if document.text.startswith("#", heading.start):
            continue
        parts += [document.text[at : heading.start], "#" * min(heading.level, _MAX_LEVEL), " "]
        at = heading.start
    parts.append(document.text[at:end])
    return "".join(parts).strip("\n")


def _within(headings: Sequence[Heading], start: int, end: int) -> Iterator[Heading]:
    return (each for each in headings if start <= each.start < end)


def _in_place(number: int, parameters: Mapping[str, Any]) -> str:
    if parameters.get("replace_failed_page_mode") != "error_message":
        return ""
    prefix = parameters.get("replace_failed_page_with_error_message_prefix") or ""
    suffix = parameters.get("replace_failed_page_with_error_message_suffix") or ""
    return f"{prefix}Page {number} is damaged and could not be read.{suffix}"
