"""What a workbook is to the Excel parser, whatever file it came from."""

import datetime as dt
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from rag.parsers.decoding import clean

Cell: TypeAlias = str | int | float | bool | dt.date | dt.time | dt.timedelta | None
Row: TypeAlias = list[Cell]

ERRORS: Final = frozenset({"#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"})
"""What a formula shows that went wrong."""


@dataclass(slots=True)
class Sheet:
    """One sheet; its rows can be read once, and before the next sheet is asked for.

    Args:
        rows: from the first one on; blank rows are empty lists or hold only None.
        spans: of merged cells (row, column) of the first → (rows, columns); known when the rows they begin in are.
        notes: row → column → the text of the note or comment on the cell.
        uncomputed_count: formulas read so far whose value no program has computed; they stand there as written.
    """

    name: str
    is_hidden: bool
    rows: Iterator[Row]
    spans: MutableMapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    notes: MutableMapping[int, dict[int, str]] = field(default_factory=dict)
    uncomputed_count: int = 0


class Workbook(Protocol):
    """An open workbook. `facts` are title and author, as far as they are given."""

    facts: dict[str, str]
    warnings: list[str]

    def sheets(self) -> Iterator[Sheet]: ...


def shown(value: Cell) -> str:
    """As people write it; "" for nothing and for formulas that went wrong."""
    if value is None or (isinstance(value, str) and value in ERRORS):
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return clean(str(value))
