"""WordprocessingML as far as text needs it: runs, styles, lists and cells."""

import re
from collections.abc import Iterator
from typing import Any, Final

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

PARAGRAPH: Final = f"{_W}p"
TABLE: Final = f"{_W}tbl"
BODY_CONTAINERS: Final = frozenset(
    f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")
)

_TEXT, _TAB, _BREAK, _RETURN = f"{_W}t", f"{_W}tab", f"{_W}br", f"{_W}cr"
_HYPHEN, _ROW, _CELL = f"{_W}noBreakHyphen", f"{_W}tr", f"{_W}tc"
_TABS: Final = f"{_W}tabs"
_PLAIN_MARKS: Final = {_BREAK: "\n", _RETURN: "\n", _HYPHEN: "-"}
_HEADING_NAME: Final = re.compile(r"heading ([1-9])$", re.IGNORECASE)
_BODY_OUTLINE_LEVEL = 9


def drop_invisible(root: Any) -> None:
    """Remove tracked deletions, and the second copy that text boxes keep for old programs."""
    for element in list(root.iter(f"{_W}del", f"{_W}moveFrom", f"{_MC}Fallback")):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)


def paragraph_text(element: Any) -> str:
    """All text of a paragraph (or of a table cell), each paragraph inside of it on a line of its own."""
    parts: list[str] = []
    for part in element.iter(_TEXT, _TAB, PARAGRAPH, *_PLAIN_MARKS):
        if part.tag == _TEXT:
            parts.append(part.text or "")
        elif part.tag == _TAB:
            # The same tag defines tab stops in a paragraph's properties.
            parts.append("" if part.getparent().tag == _TABS else "\t")
        else:
            parts.append(_PLAIN_MARKS.get(part.tag, "\n"))
    return "".join(parts)


def cell_rows(table: Any) -> Iterator[list[str]]:
    """The texts of a table's cells, row by row; a merged cell appears once, a nested table inside its cell."""
    for row in _own(table, _ROW):
        yield [" ".join(paragraph_text(cell).split()) for cell in _own(row, _CELL)]


class Styles:
    """What the style sheet says of headings and lists, per style id."""

    def __init__(self, root: Any) -> None:
        self._by_id = {style.get(f"{_W}styleId"): style for style in root.iter(f"{_W}style")}
        self._levels: dict[str | None, int] = {}
        self._depths: dict[str | None, int | None] = {}

    def heading_level(self, paragraph: Any) -> int:
        """1 for the outermost; 0 if the paragraph is no heading."""
        own = _value(paragraph, "pPr", "outlineLvl")
        if own is not None:
            return _level(own)
        style_id = _value(paragraph, "pPr", "pStyle")
        if style_id not in self._levels:
            self._levels[style_id] = self._style_level(style_id)
        return self._levels[style_id]

    def list_depth(self, paragraph: Any) -> int | None:
        """0 for the outermost items; None if the paragraph is no list item."""
        numbering = _value(paragraph, "pPr", "numPr", "numId")
        if numbering is not None:
            return None if numbering == "0" else _number(_value(paragraph, "pPr", "numPr", "ilvl"))
        style_id = _value(paragraph, "pPr", "pStyle")
        if style_id not in self._depths:
            self._depths[style_id] = self._style_depth(style_id)
        return self._depths[style_id]

    def _style_level(self, style_id: str | None) -> int:
        for style in self._ancestry(style_id):
            name = _value(style, "name") or ""
            if named := _HEADING_NAME.match(name):
                return int(named.group(1))
            if name.lower() == "title":
                return 1
            if (outline := _value(style, "pPr", "outlineLvl")) is not None:
                return _level(outline)
        return 0

    def _style_depth(self, style_id: str | None) -> int | None:
        for style in self._ancestry(style_id):
            if _value(style, "pPr", "numPr", "numId") not in {None, "0"}:
                return _number(_value(style, "pPr", "numPr", "ilvl"))
        return None

    def _ancestry(self, style_id: str | None) -> Iterator[Any]:
        seen: set[str | None] = set()
        while style_id in self._by_id and style_id not in seen:
            seen.add(style_id)  # a damaged file may have styles based on each other
            yield self._by_id[style_id]
            style_id = _value(self._by_id[style_id], "basedOn")


def _own(parent: Any, tag: str) -> Iterator[Any]:
    """Children with `tag`, those inside content controls included, those of nested tables not."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag in BODY_CONTAINERS:
            yield from _own(child, tag)


def _value(element: Any, *path: str) -> str | None:
    """The `w:val` at the end of a path of child elements."""
    for name in path:
        element = element.find(f"{_W}{name}")
        if element is None:
            return None
    value = element.get(f"{_W}val")
    return None if value is None else str(value)


def _number(value: str | None) -> int:
    return int(value) if value is not None and value.isdecimal() else 0


def _level(outline: str) -> int:
    number = _number(outline)
    return 0 if number >= _BODY_OUTLINE_LEVEL else number + 1
