"""WordprocessingML as far as text needs it: runs, links, notes, styles and cells."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

from lxml import etree

from rag.parsers.markup import linked
from rag.parsers.opc import RELATION_ID

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"

BODY: Final = f"{W}body"
PARAGRAPH: Final = f"{W}p"
TABLE: Final = f"{W}tbl"
BODY_CONTAINERS: Final = frozenset(
    f"{W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")
)

_TEXT, _TAB, _BREAK, _RETURN = f"{W}t", f"{W}tab", f"{W}br", f"{W}cr"
_HYPHEN, _ROW, _CELL, _BOX = f"{W}noBreakHyphen", f"{W}tr", f"{W}tc", f"{W}txbxContent"
_LINK, _FIELD, _FIELD_PART, _INSTRUCTION = f"{W}hyperlink", f"{W}fldSimple", f"{W}fldChar", f"{W}instrText"
_NOTES: Final = {
    f"{W}footnoteReference": "footnote", f"{W}endnoteReference": "endnote", f"{W}commentReference": "comment"
}  # fmt: skip
_TABS: Final = f"{W}tabs"
_PLAIN_MARKS: Final = {_BREAK: "\n", _RETURN: "\n", _HYPHEN: "-"}
_INLINE: Final = (
    _TEXT, _TAB, PARAGRAPH, _LINK, _FIELD, _FIELD_PART, _INSTRUCTION, _MATH_TEXT, _PICTURE, *_PLAIN_MARKS, *_NOTES
)  # fmt: skip
_ADDRESS: Final = re.compile(r'\s*HYPERLINK\s+"([^"]+)"')
_HEADING_NAME: Final = re.compile(r"heading ([1-9])$", re.IGNORECASE)
_CONTENTS_NAME: Final = re.compile(r"toc (\d|heading)", re.IGNORECASE)
_BODY_OUTLINE_LEVEL = 9


def drop_invisible(root: Any) -> None:
    """Remove tracked deletions, hidden text, and the second copy that text boxes keep for old programs."""
    gone = list(root.iter(f"{W}del", f"{W}moveFrom", f"{_MC}Fallback"))
    gone += [each.getparent().getparent() for each in root.iter(f"{W}vanish") if _is_hidden_run(each)]
    for element in gone:
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)


def _is_hidden_run(mark: Any) -> bool:
    run = mark.getparent().getparent()
    return run is not None and run.tag == f"{W}r" and mark.get(f"{W}val") not in {"0", "false", "off"}


@dataclass(slots=True)
class Inline:
    """What a paragraph holds, and what hangs on it."""

    text: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """(footnote, endnote or comment; id) in order."""
    boxes: list[Any] = field(default_factory=list)
    """Text boxes that are anchored in the paragraph; they are no longer inside of it."""


def read_inline(element: Any, addresses: Mapping[str, str] | None, *, with_pictures: bool = False) -> Inline:
    """The text of a paragraph (or of a table cell), each paragraph inside of it on a line of its own.

    Args:
        addresses: relation id → address of links that lead out of the file; None to keep only the words of links.
        with_pictures: put the descriptions of pictures where they stand.
    """
    boxes = _taken_boxes(element)
    walk = _InlineWalk(addresses, with_pictures)
    for event, part in etree.iterwalk(element, events=("start", "end"), tag=_INLINE):
        if part is not element:
            walk.see(event, part)
    return Inline("".join(walk.parts), walk.notes, boxes)


def _taken_boxes(element: Any) -> list[Any]:
    boxes = [
        box
        for box in list(element.iter(_BOX))
        if all(above.tag != _BOX for above in takewhile(lambda above: above is not element, box.iterancestors()))
    ]
    for box in boxes:
        box.getparent().remove(box)
    return boxes


class _InlineWalk:
    def __init__(self, addresses: Mapping[str, str] | None, with_pictures: bool) -> None:
        self.parts: list[str] = []
        self.notes: list[tuple[str, str]] = []
        self._addresses = addresses or {}
        self._with_links = addresses is not None
        self._with_pictures = with_pictures
        self._links: list[int] = []
        self._fields: list[tuple[str, int]] = []  # per open field: its instruction, and where its words begin

    def see(self, event: str, part: Any) -> None:
        tag = part.tag
        if tag in {_LINK, _FIELD}:
            self._link(event, part)
        elif event == "end":
            return
        elif tag == _FIELD_PART:
            self._field(part.get(f"{W}fldCharType"))
        elif tag == _INSTRUCTION:
            self._instruct(part.text or "")
        elif tag in _NOTES:
            self._note(_NOTES[tag], part.get(f"{W}id") or "")
        else:
            self.parts.append(self._plain(part))

    def _plain(self, part: Any) -> str:
        if part.tag in {_TEXT, _MATH_TEXT}:
            return part.text or ""
        if part.tag == _TAB:
            # The same tag defines tab stops in a paragraph's properties.
            return "" if part.getparent().tag == _TABS else "\t"
        if part.tag == _PICTURE:
            described = " ".join((part.get("descr") or "").split())
            return f"[Picture: {described}]" if self._with_pictures and described else ""
        return _PLAIN_MARKS.get(part.tag, "\n")

    def _note(self, kind: str, note_id: str) -> None:
        self.notes.append((kind, note_id))
        if kind != "comment":
            self.parts.append(f"[^{note_id}]")

    def _link(self, event: str, part: Any) -> None:
        if event == "start":
            self._links.append(len(self.parts))
            return
        found = _ADDRESS.match(part.get(f"{W}instr") or "")
        self._close(self._links.pop(), found[1] if found else self._addresses.get(part.get(RELATION_ID)))

    def _field(self, kind: str | None) -> None:
        if kind == "begin":
            self._fields.append(("", len(self.parts)))
        elif kind == "separate" and self._fields:
            self._fields[-1] = (self._fields[-1][0], len(self.parts))
        elif kind == "end" and self._fields:
            instruction, start = self._fields.pop()
            found = _ADDRESS.match(instruction)
            self._close(start, found[1] if found else None)

    def _instruct(self, text: str) -> None:
        if self._fields:
            self._fields[-1] = (self._fields[-1][0] + text, self._fields[-1][1])

    def _close(self, start: int, address: str | None) -> None:
        if address and self._with_links:
            self.parts[start:] = [linked("".join(self.parts[start:]), address)]


def table_cells(table: Any) -> Iterator[list[tuple[Any, int, bool]]]:
    """Row by row (cell, columns it takes, whether it goes on with the cell above)."""
    for row in own(table, _ROW):
        yield [(cell, *_span(cell)) for cell in own(row, _CELL)]


def _span(cell: Any) -> tuple[int, bool]:
    width = number(value(cell, "tcPr", "gridSpan") or "1")
    merge = cell.find(f"{W}tcPr/{W}vMerge")
    return min(max(width, 1), 100), merge is not None and merge.get(f"{W}val") != "restart"


class Styles:
    """What the style sheet says of headings and lists, per style id."""

    def __init__(self, root: Any | None) -> None:
        self._by_id = {} if root is None else {style.get(f"{W}styleId"): style for style in root.iter(f"{W}style")}
        self._levels: dict[str | None, int] = {}
        self._lists: dict[str | None, tuple[str | None, str | None]] = {}

    def heading_level(self, paragraph: Any) -> int:
        """1 for the outermost; 0 if the paragraph is no heading."""
        own_level = value(paragraph, "pPr", "outlineLvl")
        if own_level is not None:
            return _level(own_level)
        style_id = value(paragraph, "pPr", "pStyle")
        if style_id not in self._levels:
            self._levels[style_id] = self._style_level(style_id)
        return self._levels[style_id]

    def list_place(self, paragraph: Any) -> tuple[str, int] | None:
        """(id of the numbering, depth from 0); None if the paragraph is no list item."""
        style_id = value(paragraph, "pPr", "pStyle")
        if style_id not in self._lists:
            self._lists[style_id] = self._style_list(style_id)
        style_num, style_depth = self._lists[style_id]
        num_id = value(paragraph, "pPr", "numPr", "numId") or style_num
        depth = value(paragraph, "pPr", "numPr", "ilvl") or style_depth
        return None if num_id in {None, "0"} else (str(num_id), min(number(depth), 8))

    def is_contents(self, paragraph: Any) -> bool:
        """Whether it is a line of a table of contents, which says nothing that the headings do not."""
        style = self._by_id.get(value(paragraph, "pPr", "pStyle"))
        return style is not None and _CONTENTS_NAME.match(value(style, "name") or "") is not None

    def _style_level(self, style_id: str | None) -> int:
        for style in self._ancestry(style_id):
            name = value(style, "name") or ""
            if named := _HEADING_NAME.match(name):
                return int(named.group(1))
            if name.lower() == "title":
                return 1
            if (outline := value(style, "pPr", "outlineLvl")) is not None:
                return _level(outline)
        return 0

    def _style_list(self, style_id: str | None) -> tuple[str | None, str | None]:
        for style in self._ancestry(style_id):
            num_id = value(style, "pPr", "numPr", "numId")
            if num_id is not None:
                return num_id, value(style, "pPr", "numPr", "ilvl")
        return None, None

    def _ancestry(self, style_id: str | None) -> Iterator[Any]:
        seen: set[str | None] = set()
        while style_id in self._by_id and style_id not in seen:
            seen.add(style_id)  # a damaged file may have styles based on each other
            yield self._by_id[style_id]
            style_id = value(self._by_id[style_id], "basedOn")


def own(parent: Any, tag: str) -> Iterator[Any]:
    """Children with `tag`, those inside content controls included, those of nested tables not."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag in BODY_CONTAINERS:
            yield from own(child, tag)


def value(element: Any, *path: str) -> str | None:
    """The `w:val` at the end of a path of child elements."""
    for name in path:
        element = element.find(f"{W}{name}")
        if element is None:
            return None
    found = element.get(f"{W}val")
    return None if found is None else str(found)


def number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else 0


def _level(outline: str) -> int:
    level = number(outline)
    return 0 if level >= _BODY_OUTLINE_LEVEL else level + 1
