"""Rich Text Format: from control words to paragraphs and table rows."""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from rag.errors import UnreadableFileError
from rag.parsers.decoding import clean
from rag.parsers.markup import linked
from rag.parsers.rtf_words import (
    CHARACTERS,
    CODECS,
    ENDS_OF_PARAGRAPHS,
    READ_THOUGH_OPTIONAL,
    SINKS,
    SKIPPED,
    SYMBOLS,
)

_TOKEN: Final = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)|.", re.DOTALL
)
_ADDRESS: Final = re.compile(r'\s*HYPERLINK\s+"([^"]+)"')
_HEADING_NAME: Final = re.compile(r"\s*(?:heading ([1-9])|title)\s*;?\s*", re.IGNORECASE)
_MAX_DEPTH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`level` is above 0 for headings; `label` is what stands before a list item."""

    text: str
    level: int = 0
    label: str = ""
    depth: int = 0
    hanging: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRow:
    cells: tuple[str, ...]
    hanging: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _State:
    """What a group hands to the groups inside."""

    sink: list[str]
    group: str = ""
    is_skipped: bool = False
    is_hidden: bool = False
    is_optional: bool = False
    replaced_chars: int = 1
    codec: str = "cp1252"
    link_start: int = -1


@dataclass(slots=True)
class _Layout:
    """Of the paragraph being read."""

    style: int = 0
    outline: int = -1
    depth: int = 0
    is_cell: bool = False


@dataclass(slots=True)
class _Found:
    """Of the whole file."""

    facts: dict[str, str] = field(default_factory=dict)
    headers: list[str] = field(default_factory=list)
    footers: list[str] = field(default_factory=list)
    is_complete: bool = False


class RtfReader:
    """Reads once, from the top. `found` is complete when the last block has been given."""

    def __init__(self, content: bytes, filename: str, *, with_comments: bool) -> None:
        self.found = _Found()
        self._content = content
        self._filename = filename
        self._with_comments = with_comments
        self._words: list[str] = []
        self._state = _State(self._words)
        self._stack: list[_State] = []
        self._bytes = bytearray()
        self._to_skip = 0
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._levels: dict[int, int] = {}
        self._style = 0
        self._layout = _Layout()
        self._label = ""
        self._hanging: list[str] = []
        self._note_count = 0
        self._author = ""
        self._address: str | None = None
        self._cells: list[str] = []
        self._merges: list[bool] = []
        self._is_merged = False
        self._row_above: tuple[str, ...] = ()
        self._ready: list[Paragraph | TableRow] = []
        self._words_of_control: dict[str, Callable[[int | None], None]] = {
            "pard": self._reset_layout, "intbl": self._enter_cell, "s": self._set_style, "outlinelevel": self._outline,
            "ilvl": self._set_depth, "cell": self._end_cell, "nestcell": self._end_cell, "row": self._end_row,
            "nestrow": self._end_row, "trowd": self._begin_row, "clvmrg": self._merge, "cellx": self._define_cell,
            "u": self._unicode, "uc": self._set_replaced, "ansicpg": self._set_codec, "f": self._set_font,
            "fcharset": self._set_charset, "v": self._hide, "deleted": self._hide, "plain": self._show,
            "chftn": self._note_reference, "fldrslt": self._begin_link, "mac": self._set_mac,
        }  # fmt: skip

    def blocks(self) -> Iterator[Paragraph | TableRow]:
        position, size = 0, len(self._content)
        while position < size:
            token = _TOKEN.match(self._content, position)
            assert token is not None, "the last alternative takes any byte"
            position = token.end()
            if token[1] == b"bin" and token[2]:
                position += max(0, int(token[2]))
            else:
                self._take(token)
            if self._ready:
                yield from self._ready
                self._ready.clear()
        self._flush()
        self.found.is_complete = not self._stack
        while self._stack:
            self._close_group()
        self._layout.is_cell = False
        self._end_paragraph()
        self._end_row(None)
        yield from self._ready

    def _take(self, token: "re.Match[bytes]") -> None:
        word, number, code, symbol, brace, text = token.groups()
        if text is not None:
            self._add_bytes(text)
        elif code is not None:
            self._add_bytes(bytes.fromhex(code.decode("ascii")))
        elif word is not None:
            self._flush()
            self._control(word.decode("ascii"), int(number) if number else None)
        elif brace == b"{":
            self._open_group()
        elif brace == b"}":
            self._flush()
            self._close_group()
        elif symbol is not None:
            self._symbol(symbol)

    def _add_bytes(self, raw: bytes) -> None:
        skipped = min(self._to_skip, len(raw))
        self._to_skip -= skipped
        if not self._state.is_skipped and not self._state.is_hidden:
            self._bytes += raw[skipped:]

    def _flush(self) -> None:
        """Characters of two bytes may be written half as code, half as letter: they are decoded together."""
        if self._bytes:
            text = self._bytes.decode(self._state.codec, errors="replace")
            self._state.sink.append(text)
            self._bytes.clear()

    def _add(self, text: str) -> None:
        if not self._state.is_skipped and not self._state.is_hidden:
            self._state.sink.append(text)

    def _symbol(self, symbol: bytes) -> None:
        self._flush()
        if symbol == b"*":
            self._state = replace(self._state, is_optional=True)
        elif symbol in b"\r\n":
            self._end_paragraph_or_line()
        else:
            self._add(SYMBOLS.get(symbol, ""))

    def _open_group(self) -> None:
        self._flush()
        if len(self._stack) >= _MAX_DEPTH:
            raise UnreadableFileError(f"'{self._filename}' is damaged: groups nest deeper than {_MAX_DEPTH:,} levels")
        self._to_skip = 0
        self._stack.append(self._state)
        self._state = replace(self._state, group="", is_optional=False, link_start=-1)

    def _close_group(self) -> None:
        if not self._stack:
            return
        state, self._state = self._state, self._stack.pop()
        self._to_skip = 0
        if state.group in SINKS and not state.is_skipped:
            self._close_sink(state.group, clean("".join(state.sink)))
        elif self._state.group == "stylesheet":
            named = _HEADING_NAME.fullmatch("".join(state.sink))
            state.sink.clear()
            if named:
                self._levels[self._style] = int(named[1] or 1)
        elif state.link_start >= 0 and self._address:
            state.sink[state.link_start :] = [linked("".join(state.sink[state.link_start :]), self._address)]
            self._address = None

    def _close_sink(self, group: str, text: str) -> None:
        stripped = text.strip()
        line = " ".join(text.split())
        if group in {"title", "author", "subject"} and line:
            self.found.facts[group] = line
        elif group.startswith("header") and stripped:
            self.found.headers.append(stripped)
        elif group.startswith("footer") and stripped:
            self.found.footers.append(stripped)
        elif group == "footnote" and line:
            self._hanging.append(f"[^{self._note_count or '*'}]: {line}")
        elif group == "shptxt" and stripped:
            self._hanging.append(stripped)
        elif group == "atnauthor":
            self._author = line
        elif group == "annotation" and line and self._with_comments:
            self._hanging.append(f"[{f'Comment by {self._author}' if self._author else 'Comment'}: {line}]")
        elif group in {"listtext", "pntext"}:
            self._label = line
        elif group == "fldinst":
            found = _ADDRESS.match(text)
            self._address = found[1] if found else None

    def _control(self, word: str, number: int | None) -> None:
        if self._begins_destination(word):
            return
        if word in CHARACTERS:
            self._add(CHARACTERS[word])
        elif word in ENDS_OF_PARAGRAPHS:
            self._end_paragraph_or_line()
        elif (handle := self._words_of_control.get(word)) is not None:
            handle(number)
        elif self._state.is_optional:
            self._state = replace(self._state, is_skipped=True)

    def _begins_destination(self, word: str) -> bool:
        state = self._state
        if word in SKIPPED or (state.is_optional and word not in READ_THOUGH_OPTIONAL):
            self._state = replace(state, is_skipped=True, is_optional=False)
        elif word == "ud":
            self._state = replace(state, is_skipped=False, is_optional=False)
        elif word in SINKS and (not state.is_skipped or word == "shptxt"):
            self._state = replace(state, sink=[], group=word, is_hidden=False, is_optional=False, is_skipped=False)
        elif word == "shpinst":
            self._state = replace(state, is_optional=False)
        else:
            return False
        return True

    def _end_paragraph_or_line(self) -> None:
        if self._state.is_skipped:
            return
        if self._state.sink is self._words:
            self._end_paragraph()
        else:
            self._state.sink.append("\n")

    def _end_paragraph(self) -> None:
        if self._layout.is_cell:
            self._words.append("\n")
            return
        text = clean(_paired("".join(self._words))).strip()
        hanging, level = tuple(self._hanging), self._level()
        if text or hanging:
            self._ready.append(Paragraph(text, level, self._label, self._layout.depth, hanging))
        self._begin_paragraph()

    def _begin_paragraph(self) -> None:
        self._words.clear()
        self._hanging.clear()
        self._label = ""

    def _level(self) -> int:
        if 0 <= self._layout.outline < 9:
            return self._layout.outline + 1
        return self._levels.get(self._layout.style, 0)

    def _reset_layout(self, _number: int | None) -> None:
        if self._state.sink is self._words:
            self._layout = _Layout()

    def _enter_cell(self, _number: int | None) -> None:
        self._layout.is_cell = self._layout.is_cell or self._state.sink is self._words

    def _set_style(self, number: int | None) -> None:
        if self._stack and self._stack[-1].group == "stylesheet":
            self._style = number or 0
        elif self._state.sink is self._words:
            self._layout.style = number or 0

    def _outline(self, number: int | None) -> None:
        if self._state.sink is self._words:
            self._layout.outline = -1 if number is None else number

    def _set_depth(self, number: int | None) -> None:
        self._layout.depth = min(max(number or 0, 0), 8)

    def _begin_row(self, _number: int | None) -> None:
        self._merges.clear()

    def _merge(self, _number: int | None) -> None:
        self._is_merged = True

    def _define_cell(self, _number: int | None) -> None:
        self._merges.append(self._is_merged)
        self._is_merged = False

    def _end_cell(self, _number: int | None) -> None:
        if self._state.is_skipped or self._state.sink is not self._words:
            return
        self._cells.append(" ".join(clean(_paired("".join(self._words))).split()))
        self._words.clear()

    def _end_row(self, _number: int | None) -> None:
        if self._state.is_skipped or not self._cells:
            return
        merges, above = self._merges, self._row_above
        cells = tuple(
            above[column] if not text and column < len(merges) and merges[column] and column < len(above) else text
            for column, text in enumerate(self._cells)
        )
        self._ready.append(TableRow(cells, tuple(self._hanging)))
        self._row_above = cells
        self._cells.clear()
        self._begin_paragraph()

    def _unicode(self, number: int | None) -> None:
        self._add(chr((number or 0) % 0x10000))
        self._to_skip = self._state.replaced_chars

    def _set_replaced(self, number: int | None) -> None:
        self._state = replace(self._state, replaced_chars=max(0, number or 0))

    def _set_codec(self, number: int | None) -> None:
        self._codec = _known(f"cp{number}", "cp1252")
        self._state = replace(self._state, codec=self._codec)

    def _set_mac(self, _number: int | None) -> None:
        self._codec = "mac_roman"
        self._state = replace(self._state, codec=self._codec)

    def _set_font(self, number: int | None) -> None:
        self._font = number or 0
        self._state = replace(self._state, codec=self._fonts.get(self._font, self._codec))

    def _set_charset(self, number: int | None) -> None:
        if number in CODECS and number:
            self._fonts[self._font] = CODECS[number]

    def _hide(self, number: int | None) -> None:
        self._state = replace(self._state, is_hidden=number != 0)

    def _show(self, _number: int | None) -> None:
        self._state = replace(self._state, is_hidden=False, codec=self._codec)

    def _note_reference(self, _number: int | None) -> None:
        if self._state.sink is self._words and not self._state.is_hidden:
            self._note_count += 1
            self._add(f"[^{self._note_count}]")

    def _begin_link(self, _number: int | None) -> None:
        self._state = replace(self._state, link_start=len(self._state.sink))


def _known(codec: str, otherwise: str) -> str:
    try:
        codecs.lookup(codec)
    except LookupError:
        return otherwise
    return codec


def _paired(text: str) -> str:
    """Characters beyond the first 65,536 are written as two numbers."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
