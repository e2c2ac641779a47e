"""Slides of OpenDocument presentations (.odp)."""

import re
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from rag.parsers.markup import parse_markup
from rag.parsers.odf import DRAW, OFFICE, PRESENTATION, STYLE, SVG, plain_text
from rag.parsers.odf_blocks import OdfBlocks, OdfStyles
from rag.parsers.slides import Place, Slide, in_reading_order

_LENGTH: Final = re.compile(r"(-?\d{1,6}(?:\.\d{1,9})?)(cm|mm|in|pt|px)")
_EMU: Final = {"cm": 360_000, "mm": 36_000, "in": 914_400, "pt": 12_700, "px": 9_525}
_NOT_READ: Final = frozenset({"date-time", "footer", "header", "page-number"})


class OdpSlides:
    """Reads the whole part at once: a slide's place among the others is not known before."""

    def __init__(self, archive: zipfile.ZipFile, *, with_comments: bool, with_pictures: bool) -> None:
        root = parse_markup(archive.read("content.xml"))
        styles = OdfStyles()
        for style in root.iter(*styles.tags):
            styles.add(style)
        self._hidden = {
            style.get(f"{STYLE}name")
            for style in root.iter(f"{STYLE}style")
            for properties in style.iterchildren(f"{STYLE}drawing-page-properties")
            if properties.get(f"{PRESENTATION}visibility") == "hidden"
        }
        self._blocks = OdfBlocks(styles, with_tables=True, with_comments=with_comments, with_pictures=with_pictures)
        self._pages = list(root.iterfind(f"{OFFICE}body/{OFFICE}presentation/{DRAW}page"))

    def __len__(self) -> int:
        return len(self._pages)

    def __iter__(self) -> Iterator[Slide]:
        return map(self._slide, self._pages)

    def _slide(self, page: Any) -> Slide:
        notes = page.find(f"{PRESENTATION}notes")
        shapes = [shape for shape in page if shape is not notes and isinstance(shape.tag, str)]
        titles, blocks = [], []
        for shape in in_reading_order(shapes, [_place(shape) for shape in shapes]):
            kind = shape.get(f"{PRESENTATION}class")
            if kind == "title":
                titles.append(" ".join(plain_text(shape).split()))
            elif kind not in _NOT_READ:
                blocks.append(self._text(shape))
        return Slide(
            title=" ".join(filter(None, titles)),
            blocks=tuple(filter(None, blocks)),
            notes="" if notes is None else plain_text(notes),
            comments=(),
            is_hidden=page.get(f"{DRAW}style-name") in self._hidden,
        )

    def _text(self, shape: Any) -> str:
        text = ""
        for block in self._blocks.read(shape):
            text += ("\n" if block.goes_on else "\n\n") * bool(text) + block.text
        return text


def _place(shape: Any) -> Place:
    return _emu(shape.get(f"{SVG}y")), _emu(shape.get(f"{SVG}x"))


def _emu(length: str | None) -> int:
    found = _LENGTH.fullmatch(length or "")
    return int(float(found[1]) * _EMU[found[2]]) if found else 0
