"""Regions as Arrow tables with typed columns."""

import datetime as dt
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa

from rag.parsers.sheets import shown
from rag.sheets.model import BOOLEAN, DURATION, EMPTY, FAULT, INTEGER, MOMENT, NUMBER, TEXT, TIME, Value
from rag.sheets.regions import Region

_JOINT: Final = " / "
_GROUP: Final = "group"
_ARROW: Final[dict[int, pa.DataType]] = {
    TEXT: pa.string(), INTEGER: pa.int64(), NUMBER: pa.float64(), BOOLEAN: pa.bool_(), MOMENT: pa.timestamp("us"),
    TIME: pa.time64("us"), DURATION: pa.duration("us"),
}  # fmt: skip
_INT64: Final = 2**63
_NO_VALUE: Final = frozenset({"NA", "N/A", "n/a", "na", "null", "NULL", "NaN", "nan", "#N/A"})
"""In a text file, beside values that are no texts."""
_PANDAS: Final = {"int64": ("int64", "int64"), "double": ("float64", "float64"), "bool": ("bool", "bool")}


@dataclass(slots=True)
class Column:
    names: tuple[str, ...]
    """One for each row of column names, from the top."""
    values: list[Value | None]
    texts: list[str | None] | None
    """As they stand in a text file."""


def frame_of(region: Region, *, is_flat: bool) -> pa.Table:
    """The cells of a region: of a table its body, with the names above it as names of the columns.

    Args:
        is_flat: join names of several rows into one, fill the labels of groups down.
    """
    columns = _columns(region)
    if region.kind == "table" and is_flat:
        columns = _flattened(region, columns)
    names = _unique([_JOINT.join(dict.fromkeys(filter(None, column.names))) for column in columns])
    levels = max((len(column.names) for column in columns), default=1)
    arrays = [_array(column) for column in columns]
    if levels == 1 or is_flat:
        return pa.table(dict(zip(names, arrays, strict=True)))
    return _with_levels(columns, arrays)


def _columns(region: Region) -> list[Column]:
    grid, layout = region.grid, region.layout
    end = grid.height - layout.notes
    names = _names(region)
    columns = []
    for at in range(grid.width):
        index = grid.index[region.body_top : end, at].tolist()
        values = grid.sheet.values
        texts = grid.sheet.texts
        columns.append(
            Column(
                names[at],
                [values[place] if place >= 0 else None for place in index],
                None if texts is None else [texts[place] if place >= 0 else None for place in index],
            )
        )
    return columns


def _names(region: Region) -> list[tuple[str, ...]]:
    """Of each column; a column without a name has the letters it has in the sheet."""
    grid, layout = region.grid, region.layout
    rows = []
    for row in range(layout.titles, region.body_top):
        names = [_name(grid.value(row, column)) for column in range(grid.width)]
        for span in grid.spans:
            if span.top <= row <= span.bottom:
                whole = _name(grid.value(span.top, span.left)) if span.top >= layout.titles else ""
                names[span.left : span.right + 1] = [whole] * span.width
        rows.append(_spread(names) if row + 1 < region.body_top else names)
    found = [tuple(each) for each in zip(*rows, strict=True)] if rows else [("",)] * grid.width
    return [
        names if any(names) else (*names[:-1], grid.sheet.letters(grid.box.left + at)) for at, names in enumerate(found)
    ]


def _spread(names: list[str]) -> list[str]:
    """A name above several columns that nobody merged stands above the blank ones to its right as well."""
    if not any(names[1:]):
        return names
    found: list[str] = []
    for name in names:
        found.append(name or (found[-1] if found else ""))
    return found


def _name(value: Value | None) -> str:
    return " ".join(shown(value).split())[:500]


def _flattened(region: Region, columns: list[Column]) -> list[Column]:
    columns = [_filled_in_merged(region, at, column) for at, column in enumerate(columns)]
    columns = _with_groups(columns)
    return _with_labels_down(columns)


def _filled_in_merged(region: Region, at: int, column: Column) -> Column:
    for span in region.grid.spans:
        if span.left == at and span.top >= region.body_top and span.height > 1:
            first = span.top - region.body_top
            column.values[first : first + span.height] = [column.values[first]] * len(
                column.values[first : first + span.height]
            )
    return column


def _with_groups(columns: list[Column]) -> list[Column]:
    """Rows that hold one text in the first column and nothing else name the group of the rows below them."""
    if len(columns) < 2 or not columns[0].values:
        return columns
    count = len(columns[0].values)
    is_label = [
        isinstance(columns[0].values[row], str) and all(column.values[row] is None for column in columns[1:])
        for row in range(count)
    ]
    if not any(is_label) or is_label[-1] or all(is_label):
        return columns
    labels: list[Value | None] = []
    for row in range(count):
        labels.append(columns[0].values[row] if is_label[row] else (labels[-1] if labels else None))
    kept = [row for row in range(count) if not is_label[row]]
    own = _only(columns[0], kept)
    group = Column(columns[0].names, [labels[row] for row in kept], None)
    if all(value is None for value in own.values):  # the labels are all that the column is for
        return [group, *(_only(column, kept) for column in columns[1:])]
    group.names = ("",) * (len(columns[0].names) - 1) + (_GROUP,)
    return [group, own, *(_only(column, kept) for column in columns[1:])]


def _only(column: Column, rows: list[int]) -> Column:
    texts = None if column.texts is None else [column.texts[row] for row in rows]
    return Column(column.names, [column.values[row] for row in rows], texts)


def _with_labels_down(columns: list[Column]) -> list[Column]:
    """Texts in the first columns that stand only in the first of the rows they are for."""
    for column, following in pairwise(columns):
        values = column.values
        has_gaps = any(value is None for value in values)
        is_label = has_gaps and values and values[0] is not None and all(isinstance(v, str) for v in values if v)
        if not is_label or any(value is None for value in following.values):
            break
        last: Value | None = None
        for row, value in enumerate(values):
            last = value if value is not None else last
            values[row] = last
        column.texts = None
    return columns


def _unique(names: list[str]) -> list[str]:
    """Later ones of the same name get a number."""
    seen: set[str] = set()
    found = []
    for name in names:
        unique, number = name, 2
        while unique in seen:
            unique, number = f"{name}_{number}", number + 1
        seen.add(unique)
        found.append(unique)
    return found


def _array(column: Column) -> pa.Array:
    """Of the narrowest type that holds every value; of different kinds, texts."""
    values = [None if _kind(value) == FAULT else value for value in column.values]
    kinds = {_kind(value) for value in values} - {EMPTY}
    if column.texts is not None and TEXT in kinds and kinds != {TEXT}:
        gone = [isinstance(value, str) and value in _NO_VALUE for value in values]
        others = {_kind(value) for value, is_gone in zip(values, gone, strict=True) if not is_gone} - {EMPTY}
        if TEXT not in others:
            values = [None if is_gone else value for value, is_gone in zip(values, gone, strict=True)]
            kinds = others
    if not kinds:
        return pa.array(values, pa.string())
    is_beyond = INTEGER in kinds and any(type(value) is int and abs(value) >= _INT64 for value in values)
    if kinds == {INTEGER, NUMBER} or (kinds == {INTEGER} and is_beyond):
        return pa.array([float(value) if isinstance(value, int | float) else None for value in values], pa.float64())
    if len(kinds) == 1:
        return pa.array(values, _ARROW[kinds.pop()])
    written = column.texts or [None if value is None else shown(value) for value in values]
    return pa.array([None if value is None else text for value, text in zip(values, written, strict=True)], pa.string())


_KIND_OF: Final[dict[type, int]] = {
    type(None): EMPTY, str: TEXT, int: INTEGER, float: NUMBER, bool: BOOLEAN, dt.datetime: MOMENT, dt.time: TIME,
    dt.timedelta: DURATION,
}  # fmt: skip


def _kind(value: Value | None) -> int:
    return _KIND_OF.get(type(value), FAULT)


def _with_levels(columns: list[Column], arrays: list[pa.Array]) -> pa.Table:
    """Names of several rows as pandas keeps them: each a tuple, which it reads back as levels."""
    tuples = [column.names for column in columns]
    names = _unique([repr(each) for each in tuples])
    level = {
        "name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object",
        "metadata": {"encoding": "UTF-8"},
    }  # fmt: skip
    facts: dict[str, Any] = {
        "index_columns": [],
        "column_indexes": [level] * len(tuples[0]),
        "columns": [_pandas_column(name, array) for name, array in zip(names, arrays, strict=True)],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table(dict(zip(names, arrays, strict=True)))
    return table.replace_schema_metadata({b"pandas": json.dumps(facts).encode()})


def _pandas_column(name: str, array: pa.Array) -> dict[str, Any]:
    kind, numpy_type = _PANDAS.get(str(array.type), ("unicode", "object"))
    if pa.types.is_timestamp(array.type):
        kind, numpy_type = "datetime", "datetime64[us]"
    return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_type, "metadata": None}


def types_of(table: pa.Table) -> dict[str, str]:
    """Column → a word for its type."""
    return {field.name: _word(field.type) for field in table.schema}


def _word(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "date"
    words = {"int64": "integer", "double": "number", "bool": "boolean", "string": "text", "time64[us]": "time"}
    return words.get(str(kind), "duration")
