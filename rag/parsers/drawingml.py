"""DrawingML as far as text needs it: the paragraphs, tables, charts and diagrams of PowerPoint."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rag.parsers.decoding import clean
from rag.parsers.markup import linked
from rag.parsers.opc import RELATION_ID
from rag.parsers.tables import one_line, pipe_table

A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C: Final = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DIAGRAM: Final = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_MAX_CATEGORIES: Final = 500
_FIELDS_NOT_READ: Final = ("slidenum", "datetime")


def body_lines(body: Any, addresses: Mapping[str, str], *, is_list: bool) -> str:
    """The paragraphs of a text body; list items with their marks.

    Args:
        is_list: whether paragraphs are items unless they say otherwise (the outline of a slide).
    """
    paragraphs = [(each, text) for each in body.iter(f"{A}p") if (text := _words(each, addresses))]
    is_list = is_list and len(paragraphs) > 1
    counts: dict[int, int] = {}
    return "\n".join(_mark(paragraph, counts, is_list) + text for paragraph, text in paragraphs)


def plain_words(element: Any) -> str:
    """All words inside on one line."""
    return one_line(clean(" ".join(_words(paragraph, {}) for paragraph in element.iter(f"{A}p"))))


def _words(paragraph: Any, addresses: Mapping[str, str]) -> str:
    parts = []
    for run in paragraph:
        if run.tag == f"{A}br":
            parts.append("\n")
        elif run.tag == f"{A}r" or (run.tag == f"{A}fld" and not str(run.get("type", "")).startswith(_FIELDS_NOT_READ)):
            link = run.find(f"{A}rPr/{A}hlinkClick")
            text = run.findtext(f"{A}t") or ""
            parts.append(linked(text, None if link is None else addresses.get(link.get(RELATION_ID))))
    return clean("".join(parts)).replace("\v", "\n").strip()


def _mark(paragraph: Any, counts: dict[int, int], is_list: bool) -> str:
    properties = paragraph.find(f"{A}pPr")
    level = _level(properties)
    counted = None if properties is None else properties.find(f"{A}buAutoNum")
    for deeper in [each for each in counts if each > level or (each == level and counted is None)]:
        del counts[deeper]
    if counted is not None:
        counts[level] = counts.get(level, int(counted.get("startAt") or 1) - 1) + 1
        return f"{'  ' * level}{counts[level]}. "
    if properties is not None and properties.find(f"{A}buNone") is not None:
        return ""
    is_item = is_list or (properties is not None and properties.find(f"{A}buChar") is not None)
    return f"{'  ' * level}- " if is_item else ""


def _level(properties: Any | None) -> int:
    level = "0" if properties is None else properties.get("lvl") or "0"
    return min(int(level), 8) if level.isdecimal() else 0


def table_lines(table: Any) -> str:
    """A Markdown table; of cells merged downwards each repeats the text."""
    rows: list[list[str]] = []
    for row in table.iter(f"{A}tr"):
        texts: list[str] = []
        for cell in row.iter(f"{A}tc"):
            column = len(texts)
            is_below = cell.get("vMerge") in {"1", "true"} and rows and column < len(rows[-1])
            texts.append(rows[-1][column] if is_below else plain_words(cell))
        rows.append(texts)
    return pipe_table(rows)


def chart_lines(chart: Any) -> str:
    """The title, and a table of the values that the chart shows."""
    title = chart.find(f"{C}chart/{C}title")
    series = list(chart.iter(f"{C}ser"))
    names = [_first(each, "tx") or f"series {number}" for number, each in enumerate(series, start=1)]
    values = [dict(_points(each, "val") or _points(each, "yVal")) for each in series]
    categories: dict[int, str] = {}
    for each in series:
        categories |= dict(_points(each, "cat") or _points(each, "xVal"))
    indexes = sorted({*categories, *(index for points in values for index in points)})[:_MAX_CATEGORIES]
    rows = [[categories.get(index, ""), *(points.get(index, "") for points in values)] for index in indexes]
    heading = f"Chart: {plain_words(title)}" if title is not None and plain_words(title) else "Chart"
    return f"{heading}\n\n{pipe_table([['', *names], *rows])}" if rows else heading


def _first(series: Any, part: str) -> str:
    return next((text for _index, text in _points(series, part)), "")


def _points(series: Any, part: str) -> list[tuple[int, str]]:
    found = series.find(f"{C}{part}")
    if found is None:
        return []
    points = ((each.get("idx") or "0", each.findtext(f"{C}v")) for each in found.iter(f"{C}pt"))
    known = [(int(index), one_line(clean(text))) for index, text in points if index.isdecimal() and text]
    plain = found.findtext(f"{C}v")
    return known or ([(0, one_line(clean(plain)))] if plain else [])


def diagram_lines(data: Any) -> Iterator[str]:
    """The texts of a SmartArt drawing."""
    for point in data.iter(f"{DIAGRAM}pt"):
        if point.get("type") not in {"pres", "parTrans", "sibTrans"} and (text := plain_words(point)):
            yield f"- {text}"
