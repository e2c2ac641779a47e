"""Headers and footers: lines that return at the same place on page after page."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from rag.parsers.pdf_composed import MIN_EDGE_GAP, ComposedPage, Edge

_MIN_PAGES = 3
_MIN_SHARE = 0.4
"""Of the pages with text: odd and even pages often have headers of their own."""
_SAME_PLACE_POINTS = 4.0
_MIN_REGULAR_SHARE = 0.6
_NUMBER = re.compile(r"\d+")
_PAGE_WORDS = re.compile(r"\b(?:page|pages|of|seite|von|p|pg|pagina|página|side|sida)\b", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")

Occurrence = tuple[int, Edge]


def running_lines(pages: Sequence[ComposedPage], only: Sequence[str] | None = None) -> list[frozenset[int]]:
    """The lines of each page to leave out.

    A line is a header or footer if it stands at the same place, apart from the text, on most pages, with the same
    words, and if its numbers stay or count the pages. The words are kept where they stand first, so that they can
    still be found; of a bare page number nothing is kept. Of those that `only` names ("headers", "footers") none is
    kept at all, and the others stay.
    """
    found: list[dict[int, bool]] = [{} for _ in pages]  # line → whether it is the one to keep
    needed = max(_MIN_PAGES, round(_MIN_SHARE * sum(bool(page.text) for page in pages)))
    groups: dict[tuple[bool, str], list[Occurrence]] = {}
    for index, page in enumerate(pages):
        for edge in page.edges:
            groups.setdefault((edge.is_top, _pattern(edge.text)), []).append((index, edge))
    for (is_top, _), group in groups.items():
        if only is not None and ("headers" if is_top else "footers") not in only:
            continue
        if len(group) >= needed and len(returning := _at_one_place(group)) >= needed and _is_regular(returning):
            told: set[str] = set()
            for index, edge in returning:
                words = _words(edge.text)
                found[index][edge.line] = only is None and bool(words) and words not in told
                told.add(words)
    return [_left_out(page, lines) for page, lines in zip(pages, found, strict=True)]


def _pattern(text: str) -> str:
    return _NUMBER.sub("#", " ".join(text.lower().split()))


@lru_cache(maxsize=1024)
def _words(text: str) -> str:
    """What a line says besides the number of the page; "" if nothing."""
    rest = " ".join(_PAGE_WORDS.sub(" ", text).split())
    return rest.lower() if len(_LETTER.findall(rest)) > 2 else ""


def _at_one_place(group: Sequence[Occurrence]) -> list[Occurrence]:
    places = sorted(edge.place for _, edge in group)
    middle = places[len(places) // 2]
    near = [(index, edge) for index, edge in group if abs(edge.place - middle) <= _SAME_PLACE_POINTS]
    return list({index: (index, edge) for index, edge in reversed(near)}.values())[::-1]


def _is_regular(group: Sequence[Occurrence]) -> bool:
    """Whether every number of the line mostly stays, or mostly grows by one with each page."""
    rows = [(index, [int(number[:15]) for number in _NUMBER.findall(edge.text)]) for index, edge in group]
    steps = list(pairwise(rows))
    for column in range(len(rows[0][1])):
        staying = sum(before[1][column] == after[1][column] for before, after in steps)
        counting = sum(after[1][column] - before[1][column] == after[0] - before[0] for before, after in steps)
        if max(staying, counting) < _MIN_REGULAR_SHARE * len(steps):
            return False
    return True


def _left_out(page: ComposedPage, lines: dict[int, bool]) -> frozenset[int]:
    """Those of `lines` that stand apart from the text, or beyond one that does; never all that a page has."""
    if not lines:
        return frozenset()
    apart: set[int] = set()
    for is_top in (True, False):
        beyond = False
        for edge in reversed([edge for edge in page.edges if edge.is_top is is_top]):  # from the text outwards
            beyond = edge.line in lines and (beyond or edge.gap >= MIN_EDGE_GAP)
            if beyond:
                apart.add(edge.line)
    if sum(len(edge.text) for edge in page.edges) > len(page.text) / 2 and _is_all(page, apart):
        return frozenset()
    return frozenset(number for number in apart if not lines[number])


def _is_all(page: ComposedPage, numbers: set[int]) -> bool:
    return all(not text.strip() for number, text in enumerate(page.text.split("\n")) if number not in numbers)
