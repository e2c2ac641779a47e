"""What of a chunk can be quoted as a whole: sentences, rows, records, list items, and the titles above them."""

import re
from itertools import pairwise
from typing import Literal, NamedTuple

from rag.chunkers.sentences import sentence_spans
from rag.llms.quote_words import DIGIT, WORD

TITLE_FACTOR = 0.6
"""A title or what may be a line of column names: of little use as an answer."""
MIN_QUOTE_WORDS = 4
MIN_ROW_WORDS = 2
MAX_TITLE_CHARS = 40

_HEADING = re.compile(r"\s*#{1,6}\s")
_RULE = re.compile(r"[\s|:=_*~-]*")
_ROW = re.compile(r"\s*\||.*\S[ \t]\|[ \t]+\S|\s*\{.*\}[,\]]?\s*\Z")
_RECORD = re.compile(r"\s*[^\s:;|][^:;|]{0,60}: \S.*?; [^\s:;|][^:;|]{0,60}: \S")
_FIELD = re.compile(r"\s*([^\W_][\w .()/%-]{0,40}): \S.*(?<![.!?])\s*\Z")
_ITEM = re.compile(r"\s*(?:[-*+•‣◦–—]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)])\s+\S")
_SENTENCE_END = re.compile(r"[.!?…:][\"'”’)\]»]*\s*\Z")


class Unit(NamedTuple):
    """What is quoted as a whole: a sentence, a row, a record, a list item or a title."""

    text: str
    above: str
    """The titles and column names that hold for it."""
    factor: float = 1.0
    is_row: bool = False
    """Rows speak for themselves: what the next row says is not about this one."""


class _Reader:
    """Takes a chunk line by line and gathers what can be quoted, with the titles above it."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self._lines: list[str] = []
        self._kind: Literal["prose", "item", "record"] = "prose"
        self._keys: set[str] = set()
        self._titles: list[str] = []
        self._is_title_open = False
        self._columns: str | None = None

    def take(self, line: str, following: str) -> None:
        """Add a line; `following` is the next one, which tells a title from a sentence."""
        line = line.rstrip()
        if _RULE.fullmatch(line):
            self._end_or_take_columns(line)
        elif _HEADING.match(line):
            self.flush()
            self._add_title(line.strip("# \t"))
        elif _is_row(line):
            self._take_row(line, following)
        elif _ITEM.match(line):
            self._begin("item", line)
        elif (field := _FIELD.match(line)) and self._takes_field(line, following):
            self._take_field(line, field[1])
        elif self._is_closed() and _is_title(line, following):
            self.flush()
            self._add_title(line.strip())
            self._add(line, MIN_QUOTE_WORDS, TITLE_FACTOR)
        else:
            self._take_prose(line)

    def flush(self) -> None:
        """End the unit under way."""
        lines, self._lines, self._columns = "\n".join(self._lines), [], None
        kind, self._kind = self._kind, "prose"
        if kind != "prose":
            self._add(lines, MIN_ROW_WORDS, is_row=kind == "record")
            return
        for start, end in sentence_spans(lines):
            self._add(lines[start:end], MIN_QUOTE_WORDS)

    def _end_or_take_columns(self, line: str) -> None:
        """A line of dashes under a table's first row makes it the column names."""
        if "|" not in line or self._columns is None:
            self.flush()
        elif self.units and self.units[-1].text == self._columns:
            self.units.pop()

    def _take_row(self, line: str, following: str) -> None:
        is_piped = "|" in line
        if is_piped and self._columns is not None:
            self._add(line, MIN_ROW_WORDS, is_row=True)
            return
        is_first = not self.units and not self._titles and not self._lines  # the chunk may begin in mid-table
        differs = bool(DIGIT.search(following)) or not is_first
        self.flush()
        is_ruled = is_piped and "-" in following and _RULE.fullmatch(following)
        may_be_columns = is_ruled or (is_piped and differs and "|" in following and not DIGIT.search(line))
        self._add(line, MIN_ROW_WORDS, TITLE_FACTOR if may_be_columns else 1.0, is_row=True)
        if is_piped:
            self._columns = " ".join(line.split()) if may_be_columns else ""

    def _takes_field(self, line: str, following: str) -> bool:
        if self._kind == "record":
            return True
        is_title = _begins_sentence(following) and not _FIELD.match(following) and _is_title(line, following)
        return self._is_closed() and not is_title

    def _take_field(self, line: str, key: str) -> None:
        if self._kind == "record" and key not in self._keys:
            self._lines.append(line)
        else:
            self._begin("record", line)
            self._keys = set()
        self._keys.add(key)

    def _take_prose(self, line: str) -> None:
        is_over = self._kind == "record" and len(self._lines) > 1
        is_over |= self._kind == "item" and self._is_closed() and not line[:1].isspace()
        if is_over or self._columns is not None:
            self.flush()
        if self._kind == "record":
            self._kind = "prose"
        self._lines.append(line)

    def _begin(self, kind: Literal["item", "record"], line: str) -> None:
        self.flush()
        self._kind, self._lines = kind, [line]

    def _is_closed(self) -> bool:
        """Whether a line could begin something new here."""
        return not self._lines or bool(_SENTENCE_END.search(self._lines[-1]))

    def _add_title(self, title: str) -> None:
        self._titles = [*self._titles, title] if self._is_title_open else [title]
        self._is_title_open = True

    def _add(self, text: str, least_words: int, factor: float = 1.0, *, is_row: bool = False) -> None:
        if len(WORD.findall(text)) < least_words:
            return
        above = "\n".join([*self._titles, self._columns or ""])
        self.units.append(Unit(" ".join(text.split()), above, factor, is_row))
        self._is_title_open &= factor != 1.0


def quotable_units(text: str) -> list[Unit]:
    """What can be quoted, without the rules and marked headings that stand between."""
    reader = _Reader()
    for line, following in pairwise([*text.splitlines(), ""]):
        reader.take(line, following)
    reader.flush()
    return reader.units


def _is_row(line: str) -> bool:
    return bool(_ROW.match(line) or _RECORD.match(line))


def _is_title(line: str, following: str) -> bool:
    """A title has no full stop and something new begins after it: "Leave" before "Annual leave is …"."""
    title = line.strip()
    if len(title) > MAX_TITLE_CHARS or title.endswith((".", "!", "?", ":", ",", ";", "-", "|")):
        return False
    if not following.strip() or _is_row(following) or _ITEM.match(following) or _FIELD.match(following):
        return True
    return _begins_sentence(following)


def _begins_sentence(line: str) -> bool:
    return line.lstrip()[:1].isupper() and len(WORD.findall(line)) >= MIN_QUOTE_WORDS
