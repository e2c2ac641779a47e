"""Markdown: the text stays as it is written; headings are found, code blocks respected."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.decoding import read_text
from rag.registry import ComponentOptions, NoEffect
from rag.types import Document, Heading, Scalar

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(\S.*))?$")
_CLOSING_HASHES = re.compile(r"(?:^|(?<=[ \t]))#+$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_NO_PARAGRAPH = re.compile(r" {0,3}(?:>|[-*+][ \t]|\d{1,9}[.)][ \t]|<|\||(?:[-*_][ \t]*){3,}$)| {4}|\t")
_FACT = re.compile(r"([A-Za-z_][\w .-]{0,63}):[ \t]*(\S.*)?$")
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")
_ENTRY = re.compile(r"[ \t]*(\"[^\"]*\"|'[^']*'|[^,]*)[ \t]*(?:,|$)")
_LISTED = re.compile(r"[ \t]*-[ \t]+(\S.*)$")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\((?:<[^<>\n]{0,1000}>|[^()\s]{1,1000})(?:[ \t]+\"[^\"\n]{0,300}\")?\)")
_MAX_FRONT_MATTER_CHARS = 20_000
_MAX_LINE_CHARS = 1000
"""A longer line is neither heading nor fence; not looking at it keeps the scan linear."""


class MarkdownParser:
    media_types: ClassVar[frozenset[str]] = frozenset({media.MARKDOWN})

    class Options(ComponentOptions):
        without_effect: ClassVar[Mapping[str, NoEffect]] = {
            "extract_code_blocks": NoEffect((True,), "code stays in the text, and nothing in it counts as a heading"),
            "extract_tables": NoEffect((True,), "tables stay in the text as they are written"),
            "preserve_structure": NoEffect((True,), "the text stays as it is written, and chunks carry their headings"),
        }

        encoding: str | None = Field(None, description="Tried first; detected when absent or when it does not fit.")
        extract_metadata: bool = Field(True, description="Read front matter (`key: value` lines) as metadata.")
        extract_links: bool = Field(True, description="Keep the addresses of links; otherwise only their text.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        text, _, warnings = read_text(probe, limits, encoding=self.options.encoding)
        if not self.options.extract_links:
            text = without_addresses(text)
        body_start = front_matter_end(text)
        headings = tuple(find_headings(text, body_start))
        metadata = front_matter(text[:body_start]) if self.options.extract_metadata else {}
        on_progress(1, 1)
        return Document(text=text, parser="MarkdownParser", headings=headings, metadata=metadata, warnings=warnings)


def front_matter_end(text: str) -> int:
    """Where the body starts: after a block between two lines of three hyphens at the very top, else 0."""
    if not text.startswith("---\n"):
        return 0
    end = text.find("\n---\n", 3, _MAX_FRONT_MATTER_CHARS)
    return end + len("\n---\n") if end >= 0 else 0


def front_matter(block: str) -> dict[str, Scalar]:
    """The facts of a front matter block, lists of plain values as joined text; what nests deeper is left out."""
    facts: dict[str, Scalar] = {}
    lists: dict[str, list[str]] = {}
    key = ""
    for line in block.split("\n"):
        if key in lists and (entry := _LISTED.match(line)):
            lists[key].append(entry.group(1))
        elif found := _FACT.match(line):
            key, value = found.group(1).strip(), (found.group(2) or "").strip()
            if not value or (value.startswith("[") and value.endswith("]")):
                lists[key] = _ENTRY.findall(value[1:-1])
            elif value[0] not in "[{|>&*":
                facts[key] = _typed(value)
    return facts | {key: joined for key, entries in lists.items() if (joined := _joined(entries))}


def _joined(entries: Iterable[str]) -> str:
    """Lists are kept as text, which `$contains` looks into; "" for one with anything but plain values."""
    plain = [entry.strip() for entry in entries]
    if any(entry.startswith(("[", "{")) or _FACT.match(entry) for entry in plain):
        return ""
    return ", ".join(entry.strip("\"'") for entry in plain if entry)


def _typed(value: str) -> Scalar:
    """Numbers and truth values as such, unless in quotes; a number with leading zeros is a name."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    if _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value.strip("\"'")


def without_addresses(text: str) -> str:
    """Links and pictures as their text alone, outside of fenced code."""
    parts, fence = [], ""
    for line in text.split("\n"):
        if fence:
            fence = "" if _closes(line[:_MAX_LINE_CHARS], fence) else fence
            parts.append(line)
        elif opened := _opening_fence(line[:_MAX_LINE_CHARS]):
            fence = opened
            parts.append(line)
        else:
            parts.append(_LINK.sub(r"\1", line) if "](" in line else line)
    return "\n".join(parts)


def find_headings(text: str, begin: int = 0) -> Iterator[Heading]:
    """Headings of both styles (`# …` and underlined) from `begin` on, outside of fenced code."""
    fence = ""
    paragraph: tuple[int, str] | None = None  # start and text of the line above, if it can be underlined
    for start, line in _lines(text, begin):
        if fence:
            fence = "" if _closes(line, fence) else fence
            continue
        if opened := _opening_fence(line):
            fence, paragraph = opened, None
        elif atx := _ATX.match(line):
            if title := _CLOSING_HASHES.sub("", (atx.group(2) or "").rstrip()).rstrip():
                yield Heading(start=start, level=len(atx.group(1)), title=title)
            paragraph = None
        elif paragraph and (underline := _SETEXT.match(line)):
            yield Heading(start=paragraph[0], level=1 if "=" in underline.group(1) else 2, title=paragraph[1])
            paragraph = None
        else:
            paragraph = None if not line.strip() or _NO_PARAGRAPH.match(line) else (start, line.strip())


def _lines(text: str, begin: int) -> Iterator[tuple[int, str]]:
    start = begin
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, text[start : min(end, start + _MAX_LINE_CHARS)]
        start = end + 1


def _opening_fence(line: str) -> str:
    found = _FENCE.match(line)
    if found is None or (found.group(1)[0] == "`" and "`" in found.group(2)):
        return ""
    return found.group(1)


def _closes(line: str, fence: str) -> bool:
    found = _FENCE.match(line)
    return found is not None and found.group(1).startswith(fence) and not found.group(2).strip()
