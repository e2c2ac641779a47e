"""The page that most pages are: lines below each other. Composed without an object per line, since that costs most."""

from collections.abc import Iterator, Sequence

from rag.parsers.pdf_composed import (
    EDGE_LINES,
    LARGE,
    MAX_EDGE_CHARS,
    MAX_EDGE_POINTS,
    MAX_HEADING_CHARS,
    MIN_EDGE_GAP,
    PARAGRAPH_GAP,
    TITLE_GAP,
    Candidate,
    ComposedPage,
    Edge,
    could_be_title,
)
from rag.parsers.pdf_page import Lines, Page
from rag.parsers.pdf_text import HYPHEN_MARK, PDFIUM_HYPHEN

_SAME_HEIGHT = 0.05


def compose_plain(page: Page, lines: Lines) -> ComposedPage:
    """As `pdf_compose.compose`, for lines that follow each other down the page."""
    texts = lines.texts
    highest = max(lines.height)
    sizes, usual = _sizes(lines.height, highest, texts)
    leading = _leading(lines, usual)
    widest = max(lines.steps, default=0.0)
    numbers: Sequence[int]
    if PDFIUM_HYPHEN in page.text:
        text, numbers = _joined(texts, lines.steps, PARAGRAPH_GAP * leading, lines.broken)
    elif widest > PARAGRAPH_GAP * leading:
        text, numbers = _joined(texts, lines.steps, PARAGRAPH_GAP * leading, [False] * len(texts))
    else:
        text, numbers = "\n".join(texts), range(len(texts))
    large = LARGE * usual
    begins = [0]
    if widest > TITLE_GAP * leading or highest > large:
        apart = TITLE_GAP * leading
        below = zip(lines.steps, lines.height[1:], strict=True)
        begins += [index for index, (step, height) in enumerate(below, start=1) if step > apart or height > large]
    return ComposedPage(
        text,
        tuple(_edges(lines, numbers, max(leading, 1.0), page)),
        tuple(_candidates(page, lines, numbers, begins, large)),
        sizes,
    )


def _sizes(heights: Sequence[float], highest: float, texts: Sequence[str]) -> tuple[dict[float, int], float]:
    """Height → how many characters have it, and the height of most."""
    if highest - min(heights) < _SAME_HEIGHT:
        return {round(highest, 1): sum(map(len, texts))}, highest
    tenths: dict[float, int] = {}
    for height, text in zip(heights, texts, strict=True):
        tenth = (10 * height + 0.5) // 1  # round() takes ten times as long
        tenths[tenth] = tenths.get(tenth, 0) + len(text)
    sizes = {tenth / 10: count for tenth, count in tenths.items()}
    return sizes, max(sizes, key=sizes.__getitem__)


def _leading(lines: Lines, usual: float) -> float:
    """The usual distance between two lines of a paragraph."""
    near = sorted(lines.steps)
    if near and near[-1] >= 3 * min(lines.height):
        near = sorted([step for step, height in zip(lines.steps, lines.height, strict=False) if step < 3 * height])
    return near[(len(near) - 1) // 2] if len(near) > 1 else 1.2 * usual


def _joined(texts: Sequence[str], steps: Sequence[float], wide: float, broken: Sequence[bool]) -> tuple[str, list[int]]:
    """The text, and the number of the line in it that each line has come to stand on."""
    parts, numbers, number = [texts[0]], [0], 0
    for text, step, is_broken in zip(texts[1:], steps, broken, strict=False):
        if is_broken:
            parts.append(HYPHEN_MARK)
        elif step > wide:
            parts.append("\n\n")
            number += 2
        else:
            parts.append("\n")
            number += 1
        parts.append(text)
        numbers.append(number)
    return "".join(parts), numbers


def _edges(lines: Lines, numbers: Sequence[int], leading: float, page: Page) -> Iterator[Edge]:
    """The lines at the top and at the bottom, outermost first, as far as a gap parts them from the text."""
    steps, texts, bottom = lines.steps, lines.texts, lines.bottom
    least = MIN_EDGE_GAP * leading
    if count := _count_apart(steps[:EDGE_LINES], least):
        height = page.height
        for index in range(count):
            if (place := height - bottom[index]) > MAX_EDGE_POINTS:
                break
            yield Edge(numbers[index], texts[index][:MAX_EDGE_CHARS], True, place, steps[index] / leading)
    for index in range(-1, -1 - _count_apart(steps[: -EDGE_LINES - 1 : -1], least), -1):
        if (place := bottom[index]) > MAX_EDGE_POINTS:
            break
        yield Edge(numbers[index], texts[index][:MAX_EDGE_CHARS], False, place, steps[index] / leading)


def _count_apart(steps: Sequence[float], least: float) -> int:
    """How many of the outermost lines there are, to the last that stands apart."""
    return max((number for number, step in enumerate(steps, start=1) if step >= least), default=0)


def _candidates(
    page: Page, lines: Lines, numbers: Sequence[int], begins: Sequence[int], large: float
) -> Iterator[Candidate]:
    """Large lines, and short bold ones that stand apart or below another candidate."""
    texts, heights = lines.texts, lines.height
    last = -1
    for begin in begins:
        index = max(begin, last + 1)
        while index < len(texts) and _may_be_heading(page, lines, index, large):
            yield Candidate(numbers[index], texts[index], round(heights[index], 1), is_bold=heights[index] <= large)
            last = index
            index += 1


def _may_be_heading(page: Page, lines: Lines, index: int, large: float) -> bool:
    text = lines.texts[index]
    if lines.height[index] > large:
        return len(text) <= MAX_HEADING_CHARS
    return could_be_title(text, len(text)) and page.is_bold(lines.starts[index])
