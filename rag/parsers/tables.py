"""How the rows of CSV and Excel tables read as text."""

import html
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field

from rag.errors import InvalidInputError
from rag.types import OWN_KEYS, Scalar

NA_VALUES = ("", "NA", "N/A", "null", "None")
"""Cells that mean "nothing here" and are left out of a row's text."""

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?")
"""What a filter may compare as a number; `007` and other codes stay text."""


def _not_our_own(names: list[str]) -> list[str]:
    for name in names:
        if not name or name.startswith(("_", "$")) or name in OWN_KEYS:
            raise InvalidInputError(
                f"metadata_columns: '{name}' cannot be a metadata key: Paddock uses it, or it begins with _ or $. "
                "Rename the column in the file, or with field_mapping in a CSV"
            )
    return names


MetadataColumns = Annotated[
    list[str],
    AfterValidator(_not_our_own),
    Field(
        validation_alias=AliasChoices("metadata_columns", "metadata_fields"),
        description="Columns whose values chunks carry as metadata, so that queries can filter by them. A chunk of "
        "several rows carries the values that all of them have: set chunk_size: 1 for one row per chunk.",
    ),
]


def column_names(cells: Sequence[str], renamed: Mapping[str, str] | None = None) -> list[str]:
    """The names of a header row; a column without one is called by its 1-based number."""
    names = [one_line(cell) or f"column {number}" for number, cell in enumerate(cells, start=1)]
    return [(renamed or {}).get(name, name) for name in names]


def render_row(
    columns: Sequence[str], cells: Sequence[str], na_values: Collection[str] = NA_VALUES, *, separator: str = "; "
) -> str:
    """One line, `Column: value; Column: value`, without the empty cells; "" if all are."""
    pairs = []
    for index, cell in enumerate(cells):
        if not cell:
            continue
        value = one_line(cell)
        if value and value not in na_values:
            name = columns[index] if index < len(columns) else f"column {index + 1}"
            pairs.append(f"{name}: {value}")
    return separator.join(pairs)


def pipe_table(rows: Sequence[Sequence[str]]) -> str:
    """As `markdown_table`, of rows that may differ in length; blank ones are left out, a single one has no header."""
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    width = max((len(row) for row in kept), default=0)
    table = markdown_table([[*row, *[""] * (width - len(row))] for row in kept]) if kept else ""
    return table if len(kept) > 1 else table.partition("\n")[0]


def one_line(cell: str) -> str:
    return " ".join(cell.split())


def row_values(columns: Sequence[str], cells: Sequence[str], wanted: Sequence[str]) -> dict[str, Scalar] | None:
    """The cells of the `wanted` columns that are not blank, numbers as numbers; None where no column is wanted."""
    if not wanted:
        return None
    texts = {name: one_line(cell) for name, cell in zip(columns, cells, strict=False)}
    return {name: _scalar(texts[name]) for name in wanted if texts.get(name)}


def missing_columns(columns: Collection[str], wanted: Sequence[str]) -> list[str]:
    """One sentence per column that a table does not have."""
    return [f"There is no column '{name}' to take metadata from." for name in wanted if name not in columns]


def _scalar(text: str) -> Scalar:
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    return float(text) if found[2] else int(text)


@dataclass(frozen=True, slots=True)
class TableStyle:
    """How tables with lines and columns are written.

    Args:
        as_html: as an HTML table in place of a Markdown table.
        is_compact: without spaces around the cells.
        header_break: between the lines of a column name of several.
    """

    as_html: bool = False
    is_compact: bool = False
    header_break: str = " "


USUAL = TableStyle()
_style: ContextVar[TableStyle] = ContextVar("table_style", default=USUAL)


@contextmanager
def written_as(style: TableStyle) -> Iterator[None]:
    """What is parsed inside has its tables written this way, whatever parser finds them."""
    token = _style.set(style)
    try:
        yield
    finally:
        _style.reset(token)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown; the first row is the header. Inside of `written_as`, as it says."""
    style = _style.get()
    if style.as_html:
        return _html_table(rows, style)
    head, *body = [
        _pipes([_cell(cell, style, is_head=number == 0) for cell in row], style) for number, row in enumerate(rows)
    ]
    return "\n".join([head, _pipes(["---"] * len(rows[0]), style), *body])


def _pipes(cells: Sequence[str], style: TableStyle) -> str:
    return f"|{'|'.join(cells)}|" if style.is_compact else f"| {' | '.join(cells)} |"


def _cell(cell: str, style: TableStyle, *, is_head: bool) -> str:
    if is_head and style.header_break != " ":
        lines = [one_line(line) for line in cell.split("\n")]
        return style.header_break.join(line.replace("|", "\\|") for line in lines if line)
    return one_line(cell).replace("|", "\\|")


def _html_table(rows: Sequence[Sequence[str]], style: TableStyle) -> str:
    lines = ["<table>"]
    for number, row in enumerate(rows):
        tag = "th" if number == 0 else "td"
        lines.append(
            f"<tr>{''.join(f'<{tag}>{_html_cell(cell, style, is_head=number == 0)}</{tag}>' for cell in row)}</tr>"
        )
    return "\n".join([*lines, "</table>"])


def _html_cell(cell: str, style: TableStyle, *, is_head: bool) -> str:
    parts = [html.escape(one_line(line), quote=False) for line in cell.split("\n")]
    return (style.header_break if is_head else " ").join(part for part in parts if part)
