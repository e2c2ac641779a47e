"""The body of OpenDocument texts and slides, block by block: paragraphs, headings, list items, tables, notes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rag.parsers.decoding import clean
from rag.parsers.numerals import numeral
from rag.parsers.odf import (
    DRAW,
    HEADING,
    OFFICE,
    PARAGRAPH,
    SHAPES,
    STYLE,
    SVG,
    TABLE,
    TEXT,
    Inline,
    note_mark,
    plain_text,
)
from rag.parsers.tables import pipe_table

_LIST, _TABLE = f"{TEXT}list", f"{TABLE}table"
_ITEMS: Final = frozenset({f"{TEXT}list-item", f"{TEXT}list-header"})
_ROWS: Final = frozenset({f"{TABLE}table-rows", f"{TABLE}table-header-rows", f"{TABLE}table-row-group"})
_CELLS: Final = frozenset({f"{TABLE}table-cell", f"{TABLE}covered-table-cell"})
_CONTAINERS: Final = frozenset({f"{TEXT}section", f"{DRAW}frame", f"{DRAW}g", f"{DRAW}a", *SHAPES})
BLOCKS: Final = frozenset({PARAGRAPH, HEADING, _LIST, _TABLE, *_CONTAINERS})
_FORMS: Final = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_MAX_SPAN: Final = 100


@dataclass(frozen=True, slots=True)
class Block:
    """`level` is above 0 for headings; `goes_on` is set for what stands on the line after the block before."""

    text: str
    level: int = 0
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class _ListLevel:
    form: str | None
    """None for bullets."""
    prefix: str
    suffix: str
    start: int


class OdfStyles:
    """Grows while style sheets pass by."""

    tags: Final = frozenset({f"{STYLE}style", f"{TEXT}list-style"})

    def __init__(self) -> None:
        self._parents: dict[str, str | None] = {}
        self._lists: dict[str, dict[int, _ListLevel]] = {}

    def add(self, style: Any) -> None:
        name = style.get(f"{STYLE}name") or ""
        if style.tag == f"{TEXT}list-style":
            self._lists[name] = {int(each.get(f"{TEXT}level") or 1): _list_level(each) for each in style}
        elif style.get(f"{STYLE}family") == "paragraph":
            self._parents[name] = style.get(f"{STYLE}parent-style-name")

    def is_title(self, name: str | None) -> bool:
        seen = set()
        while name and name not in seen:
            if name == "Title":
                return True
            seen.add(name)
            name = self._parents.get(name)
        return False

    def list_level(self, name: str | None, depth: int) -> _ListLevel | None:
        return self._lists.get(name or "", {}).get(depth + 1)


def _list_level(element: Any) -> _ListLevel:
    is_number = element.tag == f"{TEXT}list-level-style-number"
    start = element.get(f"{TEXT}start-value") or "1"
    return _ListLevel(
        form=element.get(f"{STYLE}num-format") or "" if is_number else None,
        prefix=element.get(f"{STYLE}num-prefix") or "",
        suffix=element.get(f"{STYLE}num-suffix") or "",
        start=int(start) if start.isdecimal() and len(start) < 10 else 1,
    )


class OdfBlocks:
    def __init__(self, styles: OdfStyles, *, with_tables: bool, with_comments: bool, with_pictures: bool) -> None:
        self._styles = styles
        self._with_tables = with_tables
        self._with_comments = with_comments
        self._with_pictures = with_pictures

    def read(self, element: Any) -> Iterator[Block]:
        """The blocks of an element; those of its children where it is none itself."""
        if element.tag in {PARAGRAPH, HEADING}:
            yield from self._paragraph(element)
        elif element.tag == _LIST:
            yield from self._list(element, 0, None)
        elif element.tag == _TABLE:
            yield from self._table(element) if self._with_tables else ()
        else:
            for child in element:
                if child.tag in BLOCKS:
                    yield from self.read(child)
            if element.tag == f"{DRAW}frame":
                yield from self._described(element)

    def _described(self, frame: Any) -> Iterator[Block]:
        text = " ".join((frame.findtext(f"{SVG}desc") or frame.findtext(f"{SVG}title") or "").split())
        if text and self._with_pictures and frame.find(f"{DRAW}image") is not None:
            yield Block(f"[Picture: {clean(text)}]")

    def _paragraph(self, element: Any) -> Iterator[Block]:
        inline = Inline(element)
        level = 1 if self._styles.is_title(element.get(f"{TEXT}style-name")) else 0
        if element.tag == HEADING:
            outline = element.get(f"{TEXT}outline-level") or "1"
            level = int(outline) if outline.isdecimal() and len(outline) < 3 else 1
        if inline.text:
            yield Block(" ".join(inline.text.split()), level=level) if level else Block(inline.text)
        yield from self._hanging(inline)

    def _hanging(self, inline: Inline) -> Iterator[Block]:
        for each in inline.hanging:
            if each.tag == f"{OFFICE}annotation":
                text = " ".join(plain_text(each).split())
                author = " ".join((each.findtext("{http://purl.org/dc/elements/1.1/}creator") or "").split())
                if text and self._with_comments:
                    yield Block(f"[{f'Comment by {author}' if author else 'Comment'}: {text}]", goes_on=True)
            elif (body := each.find(f"{TEXT}note-body")) is not None and (text := " ".join(plain_text(body).split())):
                yield Block(f"[^{note_mark(each)}]: {text}", goes_on=True)
        for box in inline.boxes:
            if box.tag in SHAPES:
                yield from self.read(box)
            elif box.tag == f"{DRAW}image":
                yield from self._described(box.getparent())

    def _list(self, element: Any, depth: int, style: str | None) -> Iterator[Block]:
        style = element.get(f"{TEXT}style-name") or style
        level, count = self._styles.list_level(style, depth), 0
        is_first = depth == 0
        for item in element:
            if item.tag not in _ITEMS:
                continue
            count += item.tag == f"{TEXT}list-item"
            mark = _mark(level, count)
            for child in item:
                if child.tag == _LIST:
                    yield from self._list(child, depth + 1, style)
                    continue
                for block in self.read(child) if child.tag in BLOCKS else ():
                    text = f"{'  ' * depth}{mark}{block.text}" if not block.level else block.text
                    yield Block(text, block.level, goes_on=not is_first and not block.level)
                    mark, is_first = "  ", False

    def _table(self, table: Any) -> Iterator[Block]:
        rows = list(_rows(table))
        if all(len(row) <= 1 for row in rows):  # a frame around text
            for row in rows:
                for cell in row:
                    yield from self.read(cell)
            return
        hanging: list[Inline] = []
        if text := pipe_table(list(_texts(rows, hanging))):
            yield Block(text)
        for inline in hanging:
            yield from self._hanging(inline)


def _mark(level: _ListLevel | None, count: int) -> str:
    if level is None or level.form is None:
        return "- "
    if not level.form:
        return ""
    return f"{level.prefix}{numeral(level.start - 1 + count, _FORMS.get(level.form, 'decimal'))}{level.suffix} "


def _rows(table: Any) -> Iterator[list[Any]]:
    for child in table:
        if child.tag in _ROWS:
            yield from _rows(child)
        elif child.tag == f"{TABLE}table-row":
            yield [cell for cell in child if cell.tag in _CELLS]


def _texts(rows: list[list[Any]], hanging: list[Inline]) -> Iterator[list[str]]:
    """Of cells merged downwards, each repeats the text."""
    standing: dict[int, tuple[int, str]] = {}
    for number, row in enumerate(rows):
        texts: list[str] = []
        for cell in row:
            column, inlines = len(texts), [Inline(each) for each in cell.iter(PARAGRAPH, HEADING)]
            hanging += inlines
            text = " ".join(" ".join(each.text for each in inlines).split())
            last, above = standing.get(column, (-1, ""))
            texts.append(above if not text and number <= last else text)
            height = cell.get(f"{TABLE}number-rows-spanned") or "1"
            if height.isdecimal() and len(height) < 10 and int(height) > 1:
                standing[column] = (number + int(height) - 1, text)
            repeated = cell.get(f"{TABLE}number-columns-repeated") or "1"
            texts += [texts[-1]] * (min(int(repeated), _MAX_SPAN) - 1 if repeated.isdecimal() else 0)
        yield texts
