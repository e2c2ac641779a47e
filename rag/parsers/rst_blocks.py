"""Blocks of reStructuredText: tables become Markdown tables, directives leave their words without their marker."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile

_GRID = re.compile(r"\+(?:[-=]+\+)+")
_SIMPLE = re.compile(r"=+(?: +=+)+")
_COLUMN = re.compile(r"=+")
_DIRECTIVE = re.compile(r"(\s*)\.\.\s+(?:\|[^|\n]{1,100}\|\s*)?([A-Za-z][\w:.+-]{0,60}?)::(?:\s+(.*))?$")
_OPTION = re.compile(r"\s+:[A-Za-z][\w-]{0,60}:(?:\s|$)")
_WITHOUT_WORDS = frozenset({"code-block", "code", "sourcecode", "figure"})
"""Behind their marker stands the name of a language or a file."""
_MAX_LINE_CHARS = 1000

Row = list[str]


def plain_blocks(lines: Sequence[str]) -> Iterator[str]:
    index = 0
    while index < len(lines):
        line = lines[index].rstrip()
        found = _DIRECTIVE.match(line) if len(line) <= _MAX_LINE_CHARS else None
        if found:
            yield found[1] + (found[3] or "" if found[2] not in _WITHOUT_WORDS else "")
            index += 1
            while index < len(lines) and _OPTION.match(lines[index][:_MAX_LINE_CHARS]):
                index += 1
            continue
        block, rows = _table_at(lines, index)
        yield from _written(rows) if rows else block
        index += len(block)


def _table_at(lines: Sequence[str], index: int) -> tuple[list[str], list[Row]]:
    """(the lines it takes, its rows); no rows where no table begins or where cells reach over columns."""
    first = lines[index].strip()
    is_grid, is_simple = _GRID.fullmatch(first), _SIMPLE.fullmatch(first)
    if len(first) > _MAX_LINE_CHARS or not (is_grid or is_simple):
        return [lines[index]], []
    block = list(takewhile(str.strip, (lines[at] for at in range(index, len(lines)))))
    indent = len(lines[index]) - len(lines[index].lstrip())
    texts = [line[indent:].rstrip() for line in block]
    return block, _grid_rows(texts) if is_grid else _simple_rows(texts)


def _grid_rows(texts: Sequence[str]) -> list[Row]:
    marks = [at for at, char in enumerate(texts[0]) if char == "+"]
    rows: list[Row] = []
    row = [""] * (len(marks) - 1)
    for text in texts[1:]:
        if len(text) != len(texts[0]) or any(text[at] not in "+|" for at in marks):
            return []
        if _GRID.fullmatch(text):
            rows.append(row)
            row = [""] * len(row)
        elif "+" in (text[at] for at in marks):
            return []
        else:
            row = _joined(row, [text[begin + 1 : end] for begin, end in pairwise(marks)])
    return [] if any(row) else rows


def _simple_rows(texts: Sequence[str]) -> list[Row]:
    spans = [found.span() for found in _COLUMN.finditer(texts[0])]
    gaps = [slice(end, begin) for (_, end), (begin, _) in pairwise(spans)]
    rows: list[Row] = []
    for text in texts[1:]:
        if text == texts[0]:
            continue
        if any(text[gap].strip() for gap in gaps):
            return []
        cells = [text[begin:end] for begin, end in spans[:-1]] + [text[spans[-1][0] :]]
        if rows and not cells[0].strip():
            rows[-1] = _joined(rows[-1], cells)
        else:
            rows.append(_joined([""] * len(spans), cells))
    return rows if texts[-1] == texts[0] and len(texts) > 2 else []


def _joined(row: Row, cells: Sequence[str]) -> Row:
    return [f"{above} {cell.strip()}".strip() for above, cell in zip(row, cells, strict=True)]


def _written(rows: Sequence[Row]) -> Iterator[str]:
    """With the first row as the header: Markdown has no table without one."""
    for number, row in enumerate(rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        if number == 0:
            yield f"|{' --- |' * len(row)}"
