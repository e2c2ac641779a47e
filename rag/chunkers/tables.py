"""Tables drawn with pipes in a text: where their rows are, and the header that rows need to be understood."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.chunkers.spans import Positions, Spans, as_spans, trimmed

MAX_HEADER_CHARS = 1_000
"""A longer header is not repeated."""

_BLOCK = re.compile(r"^[ \t]*\|[^\n]*(?:\n[ \t]*\|[^\n]*)*+", re.MULTILINE)
_LINE = re.compile(r"[^\n]+")
_RULE = re.compile(r"[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*")
MIN_ROWS = 2
_JOINT_TOKENS = 2
"""A line break between header and text, and what tokenizers that look over it may add."""


@dataclass(frozen=True, slots=True)
class Table:
    """Positions in the text. Without a rule line below its first line, a table has no header."""

    start: int
    end: int
    rows: Spans
    """Of every line, header and rule included."""
    header: str = ""
    body_start: int = 0


def find_tables(text: str) -> list[Table]:
    """Blocks of at least two lines that begin with a pipe."""
    return list(_tables(text)) if "|" in text else []


def _tables(text: str) -> Iterator[Table]:
    for block in _BLOCK.finditer(text):
        lines = trimmed(text, as_spans([line.span() for line in _LINE.finditer(text, *block.span())]))
        if len(lines) < MIN_ROWS:
            continue
        start, end = int(lines[0, 0]), int(lines[-1, 1])
        rule_start, rule_end = lines[1].tolist()
        if _RULE.fullmatch(text, rule_start, rule_end) and rule_end - start <= MAX_HEADER_CHARS:
            body_start = int(lines[2, 0]) if len(lines) > MIN_ROWS else end
            yield Table(start, end, lines, text[start:rule_end], body_start)
        else:
            yield Table(start, end, lines)


class TableMap:
    """The tables of a document as a chunker needs them: a header that takes half of the window is not repeated."""

    def __init__(self, text: str, counter: TokenCounter) -> None:
        self._tables = find_tables(text)
        self.rows = table_rows(self._tables)
        counts = counter.count_batch([table.header for table in self._tables]) if self._tables else []
        sizes = [size + _JOINT_TOKENS if table.header else 0 for table, size in zip(self._tables, counts, strict=True)]
        self._sizes = np.array([size if 2 * size <= counter.max_tokens else 0 for size in sizes], dtype=np.int64)
        self._body_starts = np.array([table.body_start for table in self._tables], dtype=np.int64)
        self._ends = np.array([table.end for table in self._tables], dtype=np.int64)

    @property
    def largest_header(self) -> int:
        """Tokens."""
        return int(self._sizes.max(initial=0))

    def header_at(self, position: int) -> str:
        """The header of the table whose body holds `position`, "" where none does or it is not repeated."""
        index = int(np.searchsorted(self._ends, position, "right"))
        is_told = index < len(self._tables) and self._sizes[index] and position >= self._body_starts[index]
        return self._tables[index].header if is_told else ""

    def header_sizes(self, positions: Positions) -> Positions:
        """Tokens of the header that a chunk beginning at each position would repeat."""
        if not self._tables:
            return np.zeros(len(positions), dtype=np.int64)
        indexes = np.minimum(np.searchsorted(self._ends, positions, "right"), len(self._tables) - 1)
        in_body = (positions >= self._body_starts[indexes]) & (positions < self._ends[indexes])
        return np.where(in_body, self._sizes[indexes], 0)


def table_rows(tables: Sequence[Table]) -> Spans:
    """Rows of all tables; a header and the rule below it are one, so that no chunk ends between them."""
    return np.concatenate([_with_header_joined(table) for table in tables]) if tables else as_spans([])


def _with_header_joined(table: Table) -> Spans:
    if not table.header:
        return table.rows
    head = np.array([[table.rows[0, 0], table.rows[1, 1]]], dtype=np.int64)
    return np.concatenate([head, table.rows[2:]])


def rows_whole(spans: Spans, rows: Spans) -> Spans:
    """Part `spans` (in order, without overlap) nowhere inside a row; each part of a row becomes one with the others."""
    if not len(rows) or not len(spans):
        return spans
    row_of = np.searchsorted(rows[:, 0], spans[:, 0], "right") - 1
    begins_inside = (row_of >= 0) & (spans[:, 0] < rows[row_of, 1])
    same = begins_inside[1:] & (spans[:-1, 1] > rows[row_of[1:], 0])
    is_begin = np.concatenate([[True], ~same])
    is_end = np.append(is_begin[1:], True)
    return np.stack([spans[is_begin, 0], spans[is_end, 1]], axis=1)


def row_pieces(text: str) -> Spans:
    """The rows of the tables in `text`, each one part, and what stands between tables."""
    if "|" not in text:
        return trimmed(text, as_spans([(0, len(text))]))
    rows = table_rows(find_tables(text))
    edges = np.concatenate([[0], rows.ravel(), [len(text)]])
    return trimmed(text, np.stack([edges[:-1], edges[1:]], axis=1))
