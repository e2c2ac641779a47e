"""Slides of PowerPoint: which shapes there are, and in which order people read them."""

from collections.abc import Iterator
from typing import Any, Final

from rag.parsers.drawingml import A, C, body_lines, chart_lines, diagram_lines, plain_words, table_lines
from rag.parsers.opc import RELATION_ID, Package
from rag.parsers.slides import Place, Slide, in_reading_order

P: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_CHOICE: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Choice"
_ALTERNATIVES: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_DIAGRAM_IDS: Final = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_DIAGRAM_DATA: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
_TITLES: Final = frozenset({"title", "ctrTitle"})
_NOT_READ: Final = frozenset({"dt", "ftr", "hdr", "sldNum", "sldImg"})
_OUTLINES: Final = frozenset({"body", "obj", None})


def slide_parts(package: Package) -> list[str]:
    """The slides in the order of the show."""
    relations = package.relations(package.main)
    entries = package.root(package.main).iterfind(f"{P}sldIdLst/{P}sldId")
    found = [relations.get(each.get(RELATION_ID)) for each in entries]
    return [each.target for each in found if each is not None and each.kind == "slide"]


class PptxSlides:
    def __init__(self, package: Package, *, with_pictures: bool) -> None:
        self._parts = slide_parts(package)
        self._package = package
        self._with_pictures = with_pictures
        self._inherited: dict[str, dict[tuple[str, str], Place]] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Slide]:
        return map(self._slide, self._parts)

    def _slide(self, part: str) -> Slide:
        root = self._package.root(part)
        shapes = _Shapes(self._package, part, self._places_behind(part), with_pictures=self._with_pictures)
        tree = root.find(f"{P}cSld/{P}spTree")
        blocks = [text for text in shapes.texts(tree if tree is not None else ()) if text]
        return Slide(
            title=" ".join(shapes.titles),
            blocks=tuple(blocks),
            notes=self._notes(part),
            comments=tuple(self._comments(part)),
            is_hidden=root.get("show") in {"0", "false"},
        )

    def _places_behind(self, part: str) -> dict[tuple[str, str], Place]:
        """Where a slide's layout, and the master behind it, put the placeholders that say nothing themselves."""
        found: dict[tuple[str, str], Place] = {}
        for layout in self._package.related(part, "slideLayout")[:1]:
            for master in self._package.related(layout, "slideMaster")[:1]:
                found |= self._placeholders(master)
            found |= self._placeholders(layout)
        return found

    def _placeholders(self, part: str) -> dict[tuple[str, str], Place]:
        if part not in self._inherited:
            places: dict[tuple[str, str], Place] = {}
            for shape in self._package.root(part).iter(f"{P}sp") if self._package.has(part) else ():
                mark, place = _placeholder(shape), _own_place(shape)
                if mark is not None and place is not None:
                    places |= {("type", mark.get("type") or "obj"): place, ("idx", mark.get("idx") or ""): place}
            self._inherited[part] = places
        return self._inherited[part]

    def _notes(self, part: str) -> str:
        root = self._package.optional_root(part, "notesSlide")
        if root is None:
            return ""
        bodies = []
        for shape in root.iter(f"{P}sp"):
            mark, body = _placeholder(shape), shape.find(f"{P}txBody")
            if body is not None and (mark is None or mark.get("type") not in _NOT_READ):
                bodies.append(body_lines(body, {}, is_list=False))
        return "\n".join(filter(None, bodies))

    def _comments(self, part: str) -> Iterator[str]:
        for name in self._package.related(part, "comments"):
            for comment in self._package.root(name).iter("{*}cm"):
                if text := (" ".join((comment.findtext(f"{P}text") or "").split()) or plain_words(comment)):
                    yield text


class _Shapes:
    def __init__(
        self, package: Package, part: str, behind: dict[tuple[str, str], Place], *, with_pictures: bool
    ) -> None:
        self.titles: list[str] = []
        self._package = package
        self._relations = package.relations(part)
        self._addresses = {each.id: each.target for each in self._relations.values() if each.kind == "hyperlink"}
        self._behind = behind
        self._with_pictures = with_pictures

    def texts(self, tree: Any) -> Iterator[str]:
        shapes = _shapes(tree)
        for shape in in_reading_order(shapes, [self._place(shape) for shape in shapes]):
            if shape.tag == f"{P}grpSp":
                yield from self.texts(shape)
            elif shape.tag == f"{P}sp":
                yield self._text(shape)
            elif shape.tag == f"{P}graphicFrame":
                yield self._graphic(shape)
            elif shape.tag == f"{P}pic" and self._with_pictures:
                facts = shape.find(f"{P}nvPicPr/{P}cNvPr")
                described = "" if facts is None else " ".join((facts.get("descr") or "").split())
                yield f"[Picture: {described}]" if described else ""

    def _place(self, shape: Any) -> Place:
        own = _own_place(shape)
        if own is not None:
            return own
        mark = _placeholder(shape)
        if mark is None:
            return (0, 0)
        by_index = self._behind.get(("idx", mark.get("idx") or ""))
        return by_index or self._behind.get(("type", mark.get("type") or "obj")) or (0, 0)

    def _text(self, shape: Any) -> str:
        mark, body = _placeholder(shape), shape.find(f"{P}txBody")
        kind = None if mark is None else mark.get("type")
        if body is None or kind in _NOT_READ:
            return ""
        if kind in _TITLES:
            self.titles += filter(None, [plain_words(body)])
            return ""
        return body_lines(body, self._addresses, is_list=mark is not None and kind in _OUTLINES)

    def _graphic(self, frame: Any) -> str:
        table = frame.find(f".//{A}tbl")
        if table is not None:
            return table_lines(table)
        chart, diagram = frame.find(f".//{C}chart"), frame.find(f".//{_DIAGRAM_IDS}")
        if chart is not None and (root := self._related(chart.get(RELATION_ID))) is not None:
            return chart_lines(root)
        if diagram is not None and (root := self._related(diagram.get(_DIAGRAM_DATA))) is not None:
            return "\n".join(diagram_lines(root))
        return ""

    def _related(self, relation_id: str | None) -> Any | None:
        relation = self._relations.get(relation_id or "")
        return self._package.root(relation.target) if relation and self._package.has(relation.target) else None


def _shapes(tree: Any) -> list[Any]:
    """Of alternatives, the first: the others say the same for older programs."""
    found = []
    for each in tree:
        if each.tag == _ALTERNATIVES:
            choice = each.find(_CHOICE)
            found += [] if choice is None else list(choice)
        else:
            found.append(each)
    return found


def _placeholder(shape: Any) -> Any | None:
    return shape.find(f"{P}nvSpPr/{P}nvPr/{P}ph")


def _own_place(shape: Any) -> Place | None:
    for path in (f"{P}spPr/{A}xfrm", f"{P}xfrm", f"{P}grpSpPr/{A}xfrm"):
        offset = shape.find(f"{path}/{A}off")
        if offset is not None:
            return int(offset.get("y") or 0), int(offset.get("x") or 0)
    return None
