"""reStructuredText: titles and tables are found, comments and the markup of places and directives dropped."""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from pydantic import Field

from rag.errors import NoTextError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import read_text
from rag.parsers.rst_blocks import plain_blocks
from rag.registry import ComponentOptions
from rag.types import Document, Scalar

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*\s*$")
_EXPLICIT = re.compile(r"\s*\.\.(?:\s|$)")
_DIRECTIVE = re.compile(r"\s*\.\.\s+(?:\|[^|\n]{1,100}\|\s*)?[A-Za-z][\w:.+-]{0,60}::")
_NOTE = re.compile(r"\s*\.\.\s+\[[^\]\n]{1,60}\]")
_TARGET = re.compile(r"\s*(?:\.\.\s+_[^\n]{1,300}:\s|__\s)")
_FIELD = re.compile(r":([A-Za-z][\w -]{0,40}):\s+(\S.*)$")
_ROLE = re.compile(r":[A-Za-z][\w:.+-]{0,40}:`([^`<\n]{1,200})(?:\s<[^`\n]{1,200}>)?`")
_MAX_LINE_CHARS = 1000
_MIN_ADORNMENT = 2
_DROPPED_DIRECTIVES: Final = ("toctree", "contents", "index", "highlight", "raw", "image", "include", "meta")


class RSTParser:
    """Nothing is included from other files, and nothing raw is read. Roles such as :ref:`…` leave their text."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.RST})

    class Options(ComponentOptions):
        encoding: str | None = Field(None, description="Tried first; detected when absent or when it does not fit.")
        extract_metadata: bool = Field(True, description="Keep the field list at the top (author, date …) as metadata.")

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        text, _, warnings = read_text(probe, limits, encoding=self.options.encoding)
        builder = DocumentBuilder("RSTParser", limits)
        lines = list(plain_blocks(list(_without_comments(text.split("\n")))))
        _write(builder, lines)
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: it holds comments and references only")
        on_progress(1, 1)
        return builder.build(metadata=_facts(lines) if self.options.extract_metadata else {}, warnings=warnings)


def _write(builder: DocumentBuilder, lines: list[str]) -> None:
    styles: list[tuple[str, bool]] = []
    paragraph: list[str] = []
    index = 0
    while index < len(lines):
        found = _title_at(lines, index)
        if found is None:
            paragraph.append(_ROLE.sub(r"\1", lines[index]) if len(lines[index]) < _MAX_LINE_CHARS else lines[index])
            index += 1
            continue
        title, style, used = found
        _add(builder, paragraph)
        if style not in styles:
            styles.append(style)
        builder.add_heading(title, styles.index(style) + 1)
        index += used
    _add(builder, paragraph)


def _add(builder: DocumentBuilder, paragraph: list[str]) -> None:
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in paragraph)).strip("\n")
    if text.strip():
        builder.add(text)
    paragraph.clear()


def _title_at(lines: list[str], index: int) -> tuple[str, tuple[str, bool], int] | None:
    """(title, (its mark, whether there is a line above it too), how many lines it takes)."""
    line, below = lines[index], lines[index + 1] if index + 1 < len(lines) else ""
    mark = _mark(line)
    if mark and index + 2 < len(lines) and _mark(lines[index + 2]) == mark and below.strip() and not _mark(below):
        return " ".join(below.split()), (mark, True), 3
    is_free = index == 0 or not lines[index - 1].strip()
    if mark or not line.strip() or line[0].isspace() or not is_free or len(line) > _MAX_LINE_CHARS:
        return None
    under = _mark(below)
    if under and len(below.rstrip()) >= len(line.rstrip()) - 1:
        return " ".join(line.split()), (under, False), 2
    return None


def _mark(line: str) -> str:
    """The punctuation that a line is made of; "" for any other line."""
    if len(line) < _MIN_ADORNMENT or len(line) > _MAX_LINE_CHARS or line[0].isspace():
        return ""
    return line[0] if _ADORNMENT.match(line) and len(line.rstrip()) >= _MIN_ADORNMENT else ""


def _without_comments(lines: list[str]) -> Iterator[str]:
    """Leaves out comments, link targets and directives without words, with the lines that belong to them."""
    dropped_above: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if dropped_above is not None and (not line.strip() or indent > dropped_above):
            continue
        dropped_above = None
        if _is_dropped(line):
            dropped_above = indent
        elif not _TARGET.match(line[:_MAX_LINE_CHARS]):
            yield line


def _is_dropped(line: str) -> bool:
    head = line[:_MAX_LINE_CHARS]
    if not _EXPLICIT.match(head) or _NOTE.match(head) or _TARGET.match(head):
        return False
    if not _DIRECTIVE.match(head):
        return True
    return head.split("::", 1)[0].split()[-1] in _DROPPED_DIRECTIVES


def _facts(lines: list[str]) -> dict[str, Scalar]:
    """Fields at the top, before or after the title."""
    facts: dict[str, Scalar] = {}
    for line in lines[:40]:
        if found := _FIELD.match(line[:_MAX_LINE_CHARS]):
            facts[found[1].strip().lower()] = found[2].strip()
        elif facts and line.strip():
            break
    return facts
