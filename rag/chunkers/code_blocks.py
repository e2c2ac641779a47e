"""Where a program can be parted: between blocks of its own indentation, never inside a string or a comment."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from rag.chunkers.spans import Spans, as_spans, trimmed
from rag.types import Heading

_LEVELS = 8
"""Indentations that are tried, from the outside in; deeper nesting is parted between lines."""
_TAB_WIDTH = 4

# Every alternative matches once it has begun, closed or not: no text makes the scan start over.
_HIDDEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?' + r"|'''(?:[^'\\]|\\.|'(?!''))*+(?:''')?"
    r"|/\*(?:[^*]|\*(?!/))*+(?:\*/)?|`(?:[^`\\]|\\.)*+`?"
    r'|"(?:[^"\\\n]|\\.)*+"?' + r"|'(?:[^'\\\n]|\\.)*+'?|(?://|\#)[^\n]*+",
    re.DOTALL,
)
_CLOSES = re.compile(r"[}\])]|(?:end|else|elif|elsif|except|rescue|finally|ensure|catch|fi|done|esac)\b")
_DEFINITION = re.compile(
    r"^([ \t]*+)("
    r"(?:(?:export|default|pub|public|private|protected|internal|static|final|abstract|async|local)[ \t]+){0,4}"
    r"(?:def|class|func|function|fn|interface|struct|enum|impl|trait|module|procedure|sub)[ \t]+[\w$][^\n]{0,150})",
    re.MULTILINE,
)


class _Line(NamedTuple):
    start: int
    indent: int
    follows_blank: bool
    closes: bool


def code_blocks(text: str) -> Spans:
    """The outermost blocks that the text has at least two of: a class, its methods, what stands between blank lines.

    A block takes in what is indented below its first line, and the line that closes it.
    """
    lines = list(_lines(text))
    for level in sorted({line.indent for line in lines[1:] if not line.closes})[:_LEVELS]:
        starts = [line.start for line in _firsts(lines, level)]
        if len(starts) > 1:
            return _spans(text, starts)
    return trimmed(text, as_spans([(0, len(text))]))


def statement_lines(text: str) -> Spans:
    """Lines, and whole strings and comments of several lines."""
    return _spans(text, [line.start for line in _lines(text)])


def definitions(text: str) -> Iterator[Heading]:
    """Lines that declare a function or a type in any of the usual languages, as headings with their signatures."""
    indents: list[int] = []
    hidden = iter(sorted(_hidden_parts(text)))
    inside = next(hidden, (len(text), len(text)))
    for found in _DEFINITION.finditer(text):
        while inside[1] <= found.start():
            inside = next(hidden, (len(text), len(text)))
        if inside[0] < found.start():
            continue
        indent = len(found[1].expandtabs(_TAB_WIDTH))
        indents = [*(each for each in indents if each < indent), indent]
        yield Heading(found.start(2), len(indents), found[2].rstrip(" \t{:"))


def _firsts(lines: list[_Line], level: int) -> Iterator[_Line]:
    """Lines that begin a block at this indentation; the first line of all always does."""
    before: _Line | None = None
    for line in lines:
        is_first = before is None
        if before is not None and line.indent <= level and not line.closes:
            is_closed = before.closes and before.indent >= line.indent  # `} else {` opens what follows
            is_first = line.follows_blank or before.indent > level or is_closed
        if is_first:
            yield line
        before = line


def _lines(text: str) -> Iterator[_Line]:
    """Lines that hold something and do not begin inside a string or a comment."""
    hidden = iter(_hidden_parts(text))
    inside = next(hidden, (len(text), len(text)))
    start, follows_blank = 0, False
    for line in text.split("\n"):
        body = line.lstrip()
        while inside[1] <= start:
            inside = next(hidden, (len(text), len(text) + 1))
        if body and not inside[0] < start < inside[1]:
            indent = len(line[: len(line) - len(body)].expandtabs(_TAB_WIDTH))
            yield _Line(start, indent, follows_blank, _CLOSES.match(body) is not None)
        follows_blank = not body
        start += len(line) + 1


def _hidden_parts(text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for found in _HIDDEN.finditer(text) if "\n" in found[0])


def _spans(text: str, starts: list[int]) -> Spans:
    edges = sorted({0, *starts, len(text)})
    return trimmed(text, as_spans(list(pairwise(edges))))
