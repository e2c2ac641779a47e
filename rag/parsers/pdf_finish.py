"""What only the whole document can tell: headers and footers, broken words, headings."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from rag.parsers.pdf_composed import ComposedPage
from rag.parsers.pdf_headings import FoundHeading, OutlineEntry, find_headings
from rag.parsers.pdf_running import running_lines
from rag.parsers.pdf_text import HYPHEN_MARK, is_list_item, join_hyphenated, tidy


@dataclass(frozen=True, slots=True)
class FinishedPage:
    text: str
    headings: tuple[tuple[int, int, str], ...] = ()
    """(start in `text`, level, title), in order."""


def finish(
    pages: Sequence[ComposedPage],
    outline: Sequence[OutlineEntry],
    *,
    is_tidied: bool,
    keeps_running_lines: bool,
    keeps_lines: bool,
    running: Sequence[str] | None = None,
) -> list[FinishedPage]:
    """The text of each page as it is stored.

    Args:
        is_tidied: trim, join broken words, spell out ligatures.
        keeps_lines: otherwise the lines of a paragraph are joined.
        running: "headers", "footers": left out on every page; None: both, but for the first time.
    """
    headings = find_headings(pages, outline)
    if not keeps_running_lines:
        for page, gone, found in zip(pages, running_lines(pages, running), headings, strict=True):
            if gone:
                _leave_out(page, gone, found)
    texts = [page.text for page in pages]
    if is_tidied:
        texts = [tidy(text) for text in join_hyphenated(texts)]
    texts = [text.replace(HYPHEN_MARK, "-") for text in texts]
    return [_finished(text, found, keeps_lines=keeps_lines) for text, found in zip(texts, headings, strict=True)]


def _leave_out(page: ComposedPage, running: frozenset[int], headings: list[FoundHeading]) -> None:
    """Drop lines of a page, in place; a blank line where only the one beside it was dropped goes too."""
    lines = page.text.split("\n")
    gone = set(running)
    for number in sorted(running):
        before = next((each for each in range(number - 1, -1, -1) if each not in gone), None)
        if before is None or not lines[before].strip():
            _drop_blank(lines, number + 1, gone)
    while lines and (len(lines) - 1 in gone or not lines[-1].strip()):
        gone.discard(len(lines) - 1)
        lines.pop()
    places = sorted(gone)
    for number in reversed(places):
        del lines[number]
    page.text = "\n".join(lines)
    headings[:] = [
        FoundHeading(each.line - bisect(places, each.line), each.last - bisect(places, each.last), each.level)
        for each in headings
        if not {each.line, each.last} & (gone | running)
    ]


def _drop_blank(lines: Sequence[str], start: int, gone: set[int]) -> None:
    for number in range(start, len(lines)):
        if number not in gone:
            if lines[number].strip():
                return
            gone.add(number)


def _finished(text: str, headings: Sequence[FoundHeading], *, keeps_lines: bool) -> FinishedPage:
    if keeps_lines and not headings:
        return FinishedPage(text)
    lines = text.split("\n")
    at = [each for each in headings if each.last < len(lines) and lines[each.line].strip()]
    if not keeps_lines:
        text = _joined(lines, {number for each in at for number in range(each.line, each.last + 1)})
    ends = list(accumulate(map(len, lines), initial=0))  # without the breaks between the lines
    return FinishedPage(
        text,
        tuple(
            (ends[each.line] + each.line, each.level, " ".join(" ".join(lines[each.line : each.last + 1]).split()))
            for each in at
        ),
    )


def _joined(lines: Sequence[str], headings: set[int]) -> str:
    """The lines of a paragraph in one; those of `headings` stay alone."""
    parts = [lines[0]]
    for number, (above, line) in enumerate(pairwise(lines), start=1):
        joins = _goes_on(above, line) and not headings & {number, number - 1}
        parts += (" " if joins else "\n", line)
    return "".join(parts)


def _goes_on(above: str, line: str) -> bool:
    """Whether two lines are of one paragraph."""
    return bool(above.strip() and line.strip()) and not any(
        each.startswith("|") or (each is line and is_list_item(each)) for each in (above, line)
    )
