"""A page → the lines that a reader would read, in order: with tables as Markdown and blank lines between paragraphs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

from rag.parsers.pdf_composed import (
    EDGE_LINES,
    LARGE,
    MAX_EDGE_CHARS,
    MAX_EDGE_POINTS,
    MAX_HEADING_CHARS,
    PARAGRAPH_GAP,
    TITLE_GAP,
    Candidate,
    ComposedPage,
    Edge,
    could_be_title,
)
from rag.parsers.pdf_layout import GAP_HEIGHTS, Block, Table, arrange, joined
from rag.parsers.pdf_page import Line, Lines, Page
from rag.parsers.pdf_plain import compose_plain
from rag.parsers.pdf_text import HYPHEN_MARK

_HYPHEN_END = "-\r\n"
_OBJECTS_PER_LINE = 1.2
_MIN_GAPS = 2
_MAX_LINES_LAID_OUT = 2_000
_SAME_ROW_HEIGHTS = 0.25
_MAX_RUNS = 12
_JUMP_HEIGHTS, _MIN_STEP_HEIGHTS = 0.5, 0.7


@dataclass(frozen=True, slots=True)
class Composing:
    """What is wanted of a page."""

    finds_columns: bool = True
    finds_tables: bool = True


def compose(page: Page, wanted: Composing, inserted: Mapping[int, str]) -> ComposedPage:
    """Lay out one page.

    Args:
        inserted: position in the page's text → what is to stand behind the character there (the target of a link).
    """
    if not page.text.strip():
        return ComposedPage("")
    lines = page.lines()
    if not lines.texts:  # hyphens alone
        return ComposedPage("")
    has_gaps = wanted.finds_columns and len(lines) <= _MAX_LINES_LAID_OUT and _has_gaps(page, len(lines))
    if not (inserted or has_gaps or lines.rotated() or ("-" in page.text and _HYPHEN_END in page.text)):
        if lines.follow_each_other():
            return compose_plain(page, lines)
        if (from_top := _from_top(lines)).follow_each_other(_MIN_STEP_HEIGHTS):
            return compose_plain(page, from_top)
    return _laid_out(page, page.whole_lines(lines), wanted, inserted, has_gaps=has_gaps)


def _from_top(lines: Lines) -> Lines:
    """Headers and footers are often drawn before the text."""
    return lines.in_order(sorted(range(len(lines)), key=lines.bottom.__getitem__, reverse=True))


def _laid_out(
    page: Page, lines: list[Line], wanted: Composing, inserted: Mapping[int, str], *, has_gaps: bool
) -> ComposedPage:
    rotated = [line for line in lines if line.is_rotated]
    lies_on_its_side = 2 * len(rotated) > len(lines)
    upright = [line for line in lines if not line.is_rotated]
    runs = _runs(upright)
    if not lies_on_its_side and (has_gaps or (wanted.finds_columns and len(runs) > 1 and not _sort(runs))):
        pieces = page.pieces(upright, GAP_HEIGHTS)
        _insert(pieces, inserted)
        blocks = arrange(pieces, page.rules() if wanted.finds_tables else (), finds_tables=wanted.finds_tables)
        return _composed(page, blocks, rotated)
    _insert(lines, inserted)
    if lies_on_its_side:  # as the file has it
        return ComposedPage("\n".join(line.text for line in lines))
    return _composed(page, [_merged([line for run in runs for line in run])], rotated)


def _insert(lines: list[Line], inserted: Mapping[int, str]) -> None:
    # A negative key is the character before which its text is to stand.
    places = [(position + 1 if position >= 0 else -1 - position, position, text) for position, text in inserted.items()]
    for at, position, text in sorted(places, reverse=True):
        character = position if position >= 0 else -1 - position
        for line in lines:
            if line.start <= character < line.end:
                cut = at - line.start
                line.text = line.text[:cut] + text + line.text[cut:]
                break


def _has_gaps(page: Page, line_count: int) -> bool:
    """Whether pieces of text stand beside each other: at once "no" where a page has hardly more objects than lines."""
    return page.object_count > _OBJECTS_PER_LINE * line_count + 1 and page.gap_count(GAP_HEIGHTS) >= _MIN_GAPS


def _merged(lines: Sequence[Line]) -> list[Line]:
    """Lines that pdfium has cut on one baseline, as behind a raised number, made one again."""
    if not any(
        abs(after.bottom - before.bottom) < _SAME_ROW_HEIGHTS * after.height and after.left > before.left
        for before, after in pairwise(lines)
    ):
        return list(lines)
    merged: list[Line] = []
    for line in lines:
        last = merged[-1] if merged else None
        if (
            last is not None
            and not last.is_broken
            and abs(line.bottom - last.bottom) < _SAME_ROW_HEIGHTS * line.height
            and line.left > last.left
        ):
            merged[-1] = joined([last, line])
        else:
            merged.append(line)
    return merged


def _runs(lines: list[Line]) -> list[list[Line]]:
    """Cut where the text jumps up the page."""
    cuts = [
        index
        for index, (above, below) in enumerate(pairwise(lines), start=1)
        if below.bottom > above.bottom + _JUMP_HEIGHTS * below.height
    ]
    if not cuts:
        return [lines] if lines else []
    return [lines[start:end] for start, end in pairwise([0, *cuts, len(lines)])]


def _sort(runs: list[list[Line]]) -> bool:
    """Bring runs that stand one above the other into that order; False if some stand in each other's rows.

    Columns that follow each other from left to right are in order already.
    """
    if len(runs) > _MAX_RUNS:
        return False
    spans = [(run[0].top, run[-1].bottom) for run in runs]
    for index, (top, bottom) in enumerate(spans):
        for later in range(index + 1, len(runs)):
            is_beside = spans[later][0] > bottom + 1 and spans[later][1] < top - 1
            if is_beside and min(line.left for line in runs[later]) <= min(line.left for line in runs[index]):
                return False
    if not any(one[0] > other[1] + 1 and one[1] < other[0] - 1 for one, other in _pairs(spans)):
        runs.sort(key=lambda run: -run[0].top)
    return True


def _pairs(spans: Sequence[tuple[float, float]]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return [(one, other) for index, one in enumerate(spans) for other in spans[index + 1 :]]


class _Writer:
    """Writes blocks below each other and keeps count of the lines."""

    def __init__(self, page: Page, lines: Sequence[Line]) -> None:
        self._page = page
        self._parts: list[str] = []
        self._number = 0
        self.sizes: dict[float, int] = {}
        for line in lines:
            size = (10 * (line.top - line.bottom) + 0.5) // 1 / 10  # round() takes ten times as long
            self.sizes[size] = self.sizes.get(size, 0) + len(line.text)
        self._usual = max(self.sizes, key=self.sizes.__getitem__) if self.sizes else 0.0
        self.leading = _leading(lines, self._usual)
        self.candidates: list[Candidate] = []
        self.placed: list[tuple[Line, int]] = []

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add_lines(self, lines: Sequence[Line]) -> None:
        above: Line | None = None
        for line in lines:
            self._separate("\n\n" if above is None else self._between(above, line))
            self._look(line, above)
            self._parts.append(line.text)
            self.placed.append((line, self._number))
            above = line

    def add_text(self, text: str) -> None:
        self._separate("\n\n")
        self._parts.append(text)
        self._number += text.count("\n")

    def _separate(self, separator: str) -> None:
        if self._parts:
            self._parts.append(separator)
            self._number += separator.count("\n")

    def _between(self, above: Line, line: Line) -> str:
        if above.is_broken and above.end <= line.start:
            return HYPHEN_MARK
        if above.text.endswith("-") and line.text[0].islower() and above.text[-2:-1].isalpha():
            self._parts[-1] = self._parts[-1][:-1]
            return HYPHEN_MARK
        step = above.bottom - line.bottom
        return "\n\n" if step > PARAGRAPH_GAP * self.leading else "\n"

    def _look(self, line: Line, above: Line | None) -> None:
        """Keep a line that may be a heading: a large one, or a short bold one that stands apart."""
        size = line.top - line.bottom
        length = len(line.text)
        if size > LARGE * self._usual and length <= MAX_HEADING_CHARS:
            self.candidates.append(Candidate(self._number, line.text, round(size, 1), is_bold=False))
        elif could_be_title(line.text, length) and self._is_apart(line, above) and self._page.is_bold(line.start):
            self.candidates.append(Candidate(self._number, line.text, round(size, 1), is_bold=True))

    def _is_apart(self, line: Line, above: Line | None) -> bool:
        """Above the text, behind some space, or below a line that may be a heading too."""
        if above is None or (self.candidates and self.candidates[-1].line == self._number - 1):
            return True
        return abs(above.bottom - line.bottom) > TITLE_GAP * self.leading or line.bottom > above.bottom


def _composed(page: Page, blocks: Sequence[Block], rotated: Sequence[Line]) -> ComposedPage:
    flat = [line for block in blocks if not isinstance(block, Table) for line in block]
    writer = _Writer(page, flat)
    for block in blocks:
        if isinstance(block, Table):
            writer.add_text(block.text)
        else:
            writer.add_lines(block)
    for line in rotated:
        writer.add_text(line.text)
    return ComposedPage(
        writer.text, _edges(writer.placed, page.height, writer.leading), tuple(writer.candidates), writer.sizes
    )


def _leading(lines: Sequence[Line], usual: float) -> float:
    """The usual distance between two lines of a paragraph."""
    steps = [step for above, below in pairwise(lines) if 0 < (step := above.bottom - below.bottom) < 3 * above.height]
    return median_low(steps) if len(steps) > 1 else 1.2 * usual


def _edges(placed: Sequence[tuple[Line, int]], height: float, leading: float) -> tuple[Edge, ...]:
    """The lines nearest to the top and to the bottom of the page, the outermost first."""
    if len(placed) < 2:
        return ()
    by_height = sorted(placed, key=lambda each: -each[0].bottom)
    return (*_outermost(by_height, height, leading), *_outermost(by_height[::-1], 0.0, leading))


def _outermost(placed: Sequence[tuple[Line, int]], border: float, leading: float) -> Iterator[Edge]:
    """The lines near a border of the page that lies at height `border`: 0 is the lower one."""
    for (line, number), (inner, _) in pairwise(placed[: EDGE_LINES + 1]):
        place = abs(line.bottom - border)
        if place > MAX_EDGE_POINTS:
            return
        gap = abs(line.bottom - inner.bottom) / max(leading, 1.0)
        yield Edge(number, line.text[:MAX_EDGE_CHARS], border > 0, place, gap)
