"""One page of a PDF as pdfium gives it: its text, and where each line of it stands.

The calls go to pdfium itself, since the objects that pypdfium2 wraps around a page cost a tenth of the time to read it.
What costs more than a call per line – the places of words, the drawn rules – is asked for only where a page may
have columns or tables.
"""

import ctypes
import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, count, repeat
from math import pi
from operator import add, gt, itemgetter, sub
from typing import Any, TypeAlias

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from rag.parsers.pdf_text import PDFIUM_HYPHEN
from rag.parsers.pdf_unwanted import Unwanted

Floats: TypeAlias = NDArray[np.float32]
Columns: TypeAlias = Sequence[list[float]]


def _quick(function: Any, *arguments: Any, returns: Any = ctypes.c_int) -> Any:
    """The same function, called with plain addresses and without giving up the interpreter: it takes nanoseconds."""
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None, "pdfium is loaded"
    return ctypes.PYFUNCTYPE(returns, *arguments)(address)


_GET_BOX = _quick(pdfium.FPDFText_GetLooseCharBox, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_GET_RECT = _quick(pdfium.FPDFText_GetRect, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * 4)
_GET_TEXT = _quick(pdfium.FPDFText_GetText, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_GET_OBJECT = _quick(pdfium.FPDFPage_GetObject, ctypes.c_void_p, ctypes.c_int, returns=ctypes.c_void_p)
_GET_TYPE = _quick(pdfium.FPDFPageObj_GetType, ctypes.c_void_p)
_GET_WEIGHT = _quick(pdfium.FPDFText_GetFontWeight, ctypes.c_void_p, ctypes.c_int)
_GET_FONT = _quick(
    pdfium.FPDFText_GetFontInfo, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p
)
_LINE = re.compile(rf"[^\s{PDFIUM_HYPHEN}][^\r\n{PDFIUM_HYPHEN}]*")
_WORD = re.compile(rf"[^\s{PDFIUM_HYPHEN}]+")
_ROTATED_WIDTH_SHARE = 0.95
_SAME_ROW_HEIGHTS, _SAME_PIECE_HEIGHTS = 0.25, 0.4
_MAX_LEANING = 0.1  # radians: italics made by shearing lean, they are not turned
_MAX_RULE_THICKNESS = 2.5
_MIN_RULE_LENGTH = 8.0
_MAX_OBJECTS = 20_000
_BOX_SEGMENTS, _MAX_SEGMENTS = 6, 2_000
_BOLD_WEIGHT = 600
_FONT_NAME = ctypes.create_string_buffer(128)
"""Whoever uses it holds the lock of pdfium."""


@dataclass(slots=True)
class Line:
    """A run of text on one baseline. Lengths are in points, y grows upwards.

    Args:
        start, end: the characters of the page's text that it covers.
        is_broken: a word goes on in the next line of the stream (pdfium has taken the hyphen away).
    """

    text: str
    start: int
    end: int
    left: float
    bottom: float
    top: float
    is_broken: bool = False
    is_rotated: bool = False
    right: float = 0.0

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclass(frozen=True, slots=True)
class Rule:
    """A drawn line, or the edge of a drawn box."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def is_horizontal(self) -> bool:
        return self.y1 - self.y0 <= self.x1 - self.x0


class Lines:
    """The lines of a page in the order of the file, as columns: most pages need no more than a look at these.

    Args:
        starts: where each begins in the page's text.
        boxes: of the first character of each: left, top, right, bottom.
    """

    def __init__(self, page_text: str, texts: Sequence[str], starts: Sequence[int], boxes: Columns) -> None:
        self.texts, self.starts = texts, starts
        self._page_text = page_text
        self.left, self.top, self.right, self.bottom = boxes
        self.height = list(map(sub, self.top, self.bottom))
        self.steps = list(map(sub, self.bottom, self.bottom[1:]))
        """From each line down to the next."""
        widest = max(map(sub, self.right, self.left), default=0.0)
        self.may_be_rotated = widest >= _ROTATED_WIDTH_SHARE * min(self.height, default=0.0)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def broken(self) -> list[bool]:
        """Whether a word goes on in the next line: pdfium has taken the hyphen away."""
        page_text = self._page_text
        ends = map(add, self.starts, map(len, self.texts))
        return [page_text[end : end + 1] == PDFIUM_HYPHEN for end in ends]

    def rotated(self) -> list[int]:
        """Those that may be turned: their first character is wider than high."""
        if not self.may_be_rotated:
            return []
        widths = map(sub, self.right, self.left)
        return [
            index
            for index, (width, height) in enumerate(zip(widths, self.height, strict=True))
            if width >= _ROTATED_WIDTH_SHARE * height
        ]

    def in_order(self, order: Sequence[int]) -> "Lines":
        """Of two lines or more."""
        pick = itemgetter(*order)
        boxes = [list(pick(column)) for column in (self.left, self.top, self.right, self.bottom)]
        return Lines(self._page_text, pick(self.texts), pick(self.starts), boxes)

    def follow_each_other(self, least: float = _SAME_ROW_HEIGHTS) -> bool:
        """Whether every line stands so many line heights below the one before it."""
        if not self.steps or min(self.steps) > least * max(self.height):
            return True
        return all(map(gt, self.steps, [least * height for height in self.height[1:]]))


class Page:
    """An open page. Valid inside `opened_page` only, and under the lock of pdfium."""

    def __init__(self, page: Any, textpage: Any) -> None:
        self.handle = page
        self._text_handle = textpage
        self._text_address = ctypes.c_void_p.from_buffer(textpage).value
        self.text = self._read()
        self._units: list[int] | None = None
        if not self._unit_count == self._char_count == len(self.text):
            self._units = list(accumulate((2 if ord(char) > 0xFFFF else 1 for char in self.text), initial=0))

    def _read(self) -> str:
        char_count = max(0, pdfium.FPDFText_CountChars(self._text_handle))
        self._unit_count, self._char_count = 0, char_count
        if not char_count:
            return ""
        # A character of the page may be two units of text, or several letters of a ligature.
        buffer = np.empty(2 * char_count + 2, np.uint16)
        written = _GET_TEXT(self._text_address, 0, char_count, buffer.ctypes.data)
        self._unit_count = max(0, written - 1)
        return buffer[: self._unit_count].tobytes().decode("utf-16-le", errors="replace")

    def _index(self, position: int) -> int:
        """Position in `text` → index of the character on the page; they differ where pdfium leaves some out."""
        if self._units is None:
            return position
        found: int = pdfium.FPDFText_GetCharIndexFromTextIndex(self._text_handle, self._units[position])
        return max(0, found)

    @property
    def height(self) -> float:
        return float(pdfium.FPDF_GetPageHeightF(self.handle))

    @property
    def object_count(self) -> int:
        return int(pdfium.FPDFPage_CountObjects(self.handle))

    def lines(self) -> Lines:
        text = self.text
        texts = text.split("\r\n")
        is_indented = text[0].isspace() or "\n " in text
        if is_indented or not texts[-1] or "" in texts or PDFIUM_HYPHEN in text:
            found = list(_LINE.finditer(text))
            texts, starts = [match.group() for match in found], [match.start() for match in found]
        else:
            starts = [0, *map(add, accumulate(map(len, texts[:-1])), count(2, 2))]
        return Lines(text, texts, starts, self._boxes(starts).T.tolist())

    def _boxes(self, positions: Iterable[int]) -> Floats:
        """(left, top, right, bottom) of characters of the text."""
        indices = list(positions) if self._units is None else [self._index(position) for position in positions]
        boxes = np.zeros((len(indices), 4), np.float32)
        base = boxes.ctypes.data
        deque(map(_GET_BOX, repeat(self._text_address), indices, range(base, base + boxes.nbytes, 16)), maxlen=0)
        return boxes

    def whole_lines(self, lines: Lines) -> list[Line]:
        """The lines as objects, each with the place of its first character."""
        found = []
        columns = zip(lines.texts, lines.starts, lines.left, lines.bottom, lines.top, lines.broken, strict=True)
        for text, start, left, bottom, top, is_broken in columns:
            found.append(Line(text, start, start + len(text), left, bottom, top, is_broken))
        for index in lines.rotated():
            found[index].is_rotated = self._is_rotated(found[index].start)
        return found

    def pieces(self, lines: Sequence[Line], gap_heights: float) -> list[Line]:
        """The lines cut where a gap between two words is wider than so many line heights."""
        words: list[tuple[int, int]] = []
        behind_lines = []
        for line in lines:
            words += [match.span() for match in _WORD.finditer(self.text, line.start, line.end)]
            behind_lines.append(len(words))
        first, last = self._boxes([start for start, _ in words]), self._boxes([end - 1 for _, end in words])
        ends = {line.end: line.is_broken for line in lines}
        height = first[:, 1] - first[:, 3]
        gap = first[1:, 0] - last[:-1, 2]
        highest = np.maximum(height[1:], height[:-1])
        is_apart = (gap > gap_heights * highest) | (gap < -highest)
        is_apart |= np.abs(first[1:, 3] - first[:-1, 3]) > _SAME_PIECE_HEIGHTS * highest
        is_apart[[behind - 1 for behind in behind_lines if 0 < behind < len(words)]] = True
        begins = [0, *(np.flatnonzero(is_apart) + 1).tolist()]
        found = []
        boxes, rights = first.tolist(), last[:, 2].tolist()
        for begin, behind in zip(begins, [*begins[1:], len(words)], strict=True):
            if begin == behind:
                continue
            start, end = words[begin][0], words[behind - 1][1]
            left, top, _, bottom = boxes[begin]
            text = self.text[start:end]
            piece = Line(" ".join(text.split()), start, end, left, bottom, top, ends.get(end, False))
            piece.right = max(rights[behind - 1], left)
            found.append(piece)
        return found

    def gap_count(self, gap_heights: float) -> int:
        """How many pieces of text follow another on the same line behind a gap of so many line heights."""
        count = min(_MAX_OBJECTS, pdfium.FPDFText_CountRects(self._text_handle, 0, -1))
        if count < 2:
            return 0
        rects = np.zeros((count, 4))
        base, behind = rects.ctypes.data, rects.ctypes.data + rects.nbytes
        addresses = (range(base + 8 * column, behind, 32) for column in range(4))
        deque(map(_GET_RECT, repeat(self._text_address), range(count), *addresses), maxlen=0)
        left, top, right, bottom = rects.T
        height = np.maximum((top - bottom)[1:], (top - bottom)[:-1])
        overlap = np.minimum(top[1:], top[:-1]) - np.maximum(bottom[1:], bottom[:-1])
        is_gap = (left[1:] - right[:-1] > gap_heights * height) & (overlap > 0.4 * (top - bottom)[1:])
        is_gap &= (right - left)[:-1] > height  # else it is the mark of a list
        return int(is_gap.sum())

    def rules(self) -> list[Rule]:
        """The straight lines drawn on the page, and the edges of boxes."""
        found: list[Rule] = []
        edges = tuple(ctypes.c_float() for _ in range(4))
        page = ctypes.c_void_p.from_buffer(self.handle).value
        for index in range(min(self.object_count, _MAX_OBJECTS)):
            address = _GET_OBJECT(page, index)
            if not address or _GET_TYPE(address) != pdfium.FPDF_PAGEOBJ_PATH:
                continue
            part = ctypes.cast(address, pdfium.FPDF_PAGEOBJECT)
            if pdfium.FPDFPath_CountSegments(part) > _BOX_SEGMENTS:
                found.extend(_strokes(part))
            elif pdfium.FPDFPageObj_GetBounds(part, *edges):
                found.extend(_edges(*(edge.value for edge in edges)))
        return found

    def is_bold(self, position: int) -> bool:
        """Whether the font of a character of the text is bold."""
        index = self._index(position)
        if _GET_WEIGHT(self._text_address, index) >= _BOLD_WEIGHT:
            return True
        _GET_FONT(self._text_address, index, _FONT_NAME, len(_FONT_NAME), None)
        found = _FONT_NAME.value.lower()
        return b"bold" in found or b"black" in found

    def char_at(self, x: float, y: float, tolerance: float) -> int | None:
        """Position in `text` of the character at a place."""
        found = pdfium.FPDFText_GetCharIndexAtPos(self._text_handle, x, y, tolerance, tolerance)
        if found < 0:
            return None
        unit: int = pdfium.FPDFText_GetTextIndexFromCharIndex(self._text_handle, found)
        position = unit if self._units is None else bisect_right(self._units, unit) - 1
        return position if 0 <= position < len(self.text) else None

    def text_within(self, left: float, bottom: float, right: float, top: float) -> str:
        args = (self._text_handle, left, top, right, bottom)
        count = pdfium.FPDFText_GetBoundedText(*args, None, 0)
        if count <= 0:
            return ""
        buffer = (ctypes.c_ushort * count)()
        pdfium.FPDFText_GetBoundedText(*args, buffer, count)
        return bytes(buffer).decode("utf-16-le", errors="replace").rstrip("\x00")

    def _is_rotated(self, position: int) -> bool:
        angle = float(pdfium.FPDFText_GetCharAngle(self._text_handle, self._index(position)))
        return angle > 0 and _MAX_LEANING < angle < 2 * pi - _MAX_LEANING


@contextmanager
def opened_page(pdf: Any, index: int, unwanted: Unwanted | None = None) -> Iterator[Page]:
    """Raises PdfiumError for a page that cannot be loaded."""
    page = pdfium.FPDF_LoadPage(pdf.raw, index)
    if not page:
        raise pypdfium2.PdfiumError(f"page {index + 1} cannot be loaded")
    try:
        if unwanted is not None:
            unwanted.remove_from(page)
        textpage = pdfium.FPDFText_LoadPage(page)
        if not textpage:
            raise pypdfium2.PdfiumError(f"the text of page {index + 1} cannot be loaded")
        try:
            yield Page(page, textpage)
        finally:
            pdfium.FPDFText_ClosePage(textpage)
    finally:
        pdfium.FPDF_ClosePage(page)


def _strokes(path: Any) -> Iterator[Rule]:
    """The straight pieces of a path of many, such as a whole grid drawn at once."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(path, matrix)
    x, y = ctypes.c_float(), ctypes.c_float()
    last: tuple[float, float] | None = None
    for index in range(min(_MAX_SEGMENTS, pdfium.FPDFPath_CountSegments(path))):
        segment = pdfium.FPDFPath_GetPathSegment(path, index)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        place = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        if last is not None and pdfium.FPDFPathSegment_GetType(segment) == pdfium.FPDF_SEGMENT_LINETO:
            (x0, x1), (y0, y1) = sorted((last[0], place[0])), sorted((last[1], place[1]))
            if min(x1 - x0, y1 - y0) <= _MAX_RULE_THICKNESS and max(x1 - x0, y1 - y0) >= _MIN_RULE_LENGTH:
                yield Rule(x0, y0, x1, y1)
        last = place


def _edges(left: float, bottom: float, right: float, top: float) -> Iterator[Rule]:
    width, height = right - left, top - bottom
    if min(width, height) <= _MAX_RULE_THICKNESS:
        if max(width, height) >= _MIN_RULE_LENGTH:
            yield Rule(left, bottom, right, top)
    else:
        yield Rule(left, bottom, right, bottom)
        yield Rule(left, top, right, top)
        yield Rule(left, bottom, left, top)
        yield Rule(right, bottom, right, top)
