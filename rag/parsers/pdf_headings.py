"""Headings of a PDF: from its outline where it has one, else from the sizes and weights of its lines."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rag.parsers.pdf_composed import Candidate, ComposedPage

_MIN_RATIO, _MIN_BOLD_RATIO = 1.12, 0.93
_MAX_PER_PAGE = 20
_MAX_LEVELS = 6
_MAX_LINES = 3
_MIN_MATCHED_SHARE = 0.5
_MIN_MATCHED = 2
_SAME_SIZE = 0.3
_NUMBERING = "0123456789. "
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    title: str
    level: int
    """1 is the outermost."""
    page: int | None
    """0-based."""


class FoundHeading(NamedTuple):
    """A heading that stands on the lines from `line` to `last`, both included, of a page."""

    line: int
    last: int
    level: int


def find_headings(pages: Sequence[ComposedPage], outline: Sequence[OutlineEntry]) -> list[list[FoundHeading]]:
    """The headings of each page, in order."""
    if not outline:
        return _by_size(pages)
    by_outline = _by_outline(pages, outline)
    matched = sum(map(len, by_outline))
    if matched >= _MIN_MATCHED and matched >= _MIN_MATCHED_SHARE * len(outline):
        return by_outline
    return _by_size(pages)


def _by_outline(pages: Sequence[ComposedPage], outline: Sequence[OutlineEntry]) -> list[list[FoundHeading]]:
    found: list[dict[int, FoundHeading]] = [{} for _ in pages]
    lines_of: dict[int, dict[str, int]] = {}
    for entry in outline:
        if entry.page is None or not 0 <= entry.page < len(pages):
            continue
        if entry.page not in lines_of:
            lines_of[entry.page] = _lines(pages[entry.page].text)
        lines = lines_of[entry.page]
        if (line := lines.get(_plain(entry.title))) is not None:
            found[entry.page][line] = FoundHeading(line, line, min(entry.level, _MAX_LEVELS))
    return [[headings[line] for line in sorted(headings)] for headings in found]


def _lines(text: str) -> dict[str, int]:
    """The first line with each text; numbers before it ("2.1 Scope") may be missing in an outline."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n")):
        lines.setdefault(_plain(line), number)
        if line[:1] in _NUMBERING:
            lines.setdefault(_plain(line.lstrip(_NUMBERING)), number)
    lines.pop("", None)
    return lines


def _plain(text: str) -> str:
    return _NO_LETTERS.sub("", text.lower())


def _by_size(pages: Sequence[ComposedPage]) -> list[list[FoundHeading]]:
    sizes: dict[float, int] = {}
    for page in pages:
        for size, count in page.sizes.items():
            sizes[size] = sizes.get(size, 0) + count
    if not any(page.candidates for page in pages):
        return [[] for _ in pages]
    body = max(sizes, key=sizes.__getitem__)
    groups = [_groups(_accepted(page.candidates, body)) for page in pages]
    levels = _levels([group[0] for on_page in groups for group in on_page])
    return [
        [FoundHeading(group[0].line, group[-1].line, levels[_key(group[0])]) for group in on_page] for on_page in groups
    ]


def _accepted(candidates: Sequence[Candidate], body: float) -> list[Candidate]:
    if not candidates:
        return []
    found = [
        each
        for each in candidates
        if (each.size >= _MIN_RATIO * body or (each.is_bold and each.size >= _MIN_BOLD_RATIO * body))
        and any(char.isalpha() for char in each.text)
    ]
    return found if len(found) <= _MAX_PER_PAGE else []


def _groups(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Lines of one heading: they follow each other in the same size. More than a few are no heading."""
    groups: list[list[Candidate]] = [[candidates[0]]] if candidates else []
    for before, each in pairwise(candidates):
        if (
            each.line == before.line + 1
            and abs(each.size - before.size) <= _SAME_SIZE
            and each.is_bold is before.is_bold
        ):
            groups[-1].append(each)
        else:
            groups.append([each])
    return [group for group in groups if len(group) <= _MAX_LINES]


def _key(candidate: Candidate) -> tuple[bool, float]:
    return (candidate.is_bold, 0.0 if candidate.is_bold else round(2 * candidate.size) / 2)


def _levels(heads: Sequence[Candidate]) -> Mapping[tuple[bool, float], int]:
    """Larger is further out; bold lines in the size of the text come last."""
    keys = sorted({_key(each) for each in heads}, key=lambda key: (key[0], -key[1]))
    return {key: min(level, _MAX_LEVELS) for level, key in enumerate(keys, start=1)}
