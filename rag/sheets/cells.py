"""Facts of every cell of a region, one row each."""

import re
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rag.parsers.sheets import shown
from rag.sheets.model import DURATION, FAULT, KIND_NAMES, MOMENT, TIME
from rag.sheets.places import letters
from rag.sheets.regions import Region

_CURRENCY: Final = re.compile(r"[$€£¥₹]|\[\$")
_BATCH_ROWS: Final = 100_000


def cell_batches(region: Region) -> Any:
    """Tables of all cells in the rectangle, empty ones included, row by row; several where the region is large."""
    height = max(1, _BATCH_ROWS // region.box.width)
    for first in range(0, region.grid.height, height):
        yield _batch(region, first, min(first + height, region.grid.height))


def _batch(region: Region, first: int, end: int) -> pa.Table:
    grid, sheet, box = region.grid, region.grid.sheet, region.box
    index, kinds = grid.index[first:end].ravel(), grid.kinds[first:end].ravel()
    rows = np.repeat(np.arange(first, end), box.width)
    columns = np.tile(np.arange(box.width), end - first)
    row_numbers = _numbers(box.top + rows, sheet.row_numbers)
    column_numbers = _numbers(box.left + columns, sheet.column_numbers)
    places = index.tolist()
    values = [sheet.values[at] if at >= 0 else None for at in places]
    texts = [
        None if value is None else (str(value) if kind == FAULT else shown(value))
        for value, kind in zip(values, kinds, strict=True)
    ]
    names = [letters(column) for column in column_numbers[: box.width].tolist()]
    coordinates = [f"{names[at % box.width]}{row + 1}" for at, row in enumerate(row_numbers.tolist())]
    formulas = [sheet.formulas.get(at) if at >= 0 else None for at in places]
    merged = _merged(region, first, end)
    return pa.table(
        {
            "sheet_name": pa.array([sheet.name]).take(pa.array(np.zeros(len(places), np.int64))),
            "coordinate": pa.array(coordinates, pa.string()),
            "row_number": pa.array(row_numbers + 1, pa.int64()),
            "column_number": pa.array(column_numbers + 1, pa.int64()),
            "relative_row": pa.array(rows, pa.int64()),
            "relative_column": pa.array(columns, pa.int64()),
            "is_header": pa.array((rows >= region.layout.titles) & (rows < region.body_top)),
            "value": pa.array(texts, pa.string()),
            "data_type": pa.array(KIND_NAMES).take(pa.array(kinds.astype(np.int64))),
            "has_formula": pa.array([formula is not None for formula in formulas], pa.bool_()),
            "formula": pa.array([formula or None for formula in formulas], pa.string()),
            **_looks(region, first, end, kinds),
            "is_hidden": pa.array(
                np.isin(row_numbers, sheet.hidden_rows)
                | np.isin(column_numbers, sheet.hidden_columns)
                | sheet.is_hidden
            ),
            "is_merged": pa.array(merged >= 0),
            "merged_range": _ranges(region, merged),
        }
    )


def _numbers(places: NDArray[np.int64], numbers: NDArray[np.int32] | None) -> NDArray[np.int64]:
    """As the file counts them; a row or column at the edge may be known only by a merged cell that reaches there."""
    if numbers is None:
        return places.astype(np.int64)
    known = np.minimum(places, numbers.size - 1)
    return numbers[known].astype(np.int64) + (places - known)


def _looks(region: Region, first: int, end: int, kinds: NDArray[np.int8]) -> dict[str, pa.Array]:
    used, place = np.unique(_style_numbers(region, first, end), return_inverse=True)
    styles = [region.grid.sheet.style_of(number) for number in used.tolist()]
    at = pa.array(place.astype(np.int64))

    def of(name: str, kind: pa.DataType) -> pa.Array:
        return pa.array([getattr(style, name) for style in styles], kind).take(at)

    formats = [style.number_format for style in styles]
    return {
        "number_format": of("number_format", pa.string()),
        "is_date_like": pa.array(np.isin(kinds, (MOMENT, TIME, DURATION))),
        "is_percentage": pa.array(["%" in each for each in formats]).take(at),
        "is_currency": pa.array([_CURRENCY.search(each) is not None for each in formats]).take(at),
        "font_name": of("font_name", pa.string()),
        "font_size": of("font_size", pa.float64()),
        "font_bold": of("is_bold", pa.bool_()),
        "font_italic": of("is_italic", pa.bool_()),
        "font_underline": of("is_underlined", pa.bool_()),
        "font_strikethrough": of("is_struck", pa.bool_()),
        "font_color": of("font_color", pa.string()),
        "background_color": of("fill_color", pa.string()),
        "alignment": of("alignment", pa.string()),
        "text_wrap": of("is_wrapped", pa.bool_()),
    }


def _style_numbers(region: Region, first: int, end: int) -> NDArray[np.int32]:
    grid, sheet, box = region.grid, region.grid.sheet, region.box
    numbers = np.zeros((end - first, box.width), np.int32)
    rows, columns, styles = sheet.blanks
    is_here = (rows >= box.top + first) & (rows < box.top + end) & (columns >= box.left) & (columns <= box.right)
    numbers[rows[is_here] - box.top - first, columns[is_here] - box.left] = styles[is_here]
    index = grid.index[first:end]
    if sheet.styles.size:
        numbers = np.where(index >= 0, sheet.styles[np.maximum(index, 0)], numbers)
    return numbers.ravel()


def _merged(region: Region, first: int, end: int) -> NDArray[np.int32]:
    """For each cell the number of the merged one that it is part of, -1 for none."""
    found = np.full((end - first, region.box.width), -1, np.int32)
    for number, span in enumerate(region.grid.spans):
        if span.top < end and span.bottom >= first:
            found[max(span.top, first) - first : span.bottom + 1 - first, span.left : span.right + 1] = number
    return found.ravel()


def _ranges(region: Region, merged: NDArray[np.int32]) -> pa.Array:
    box, sheet = region.box, region.grid.sheet
    names = [
        sheet.location(type(box)(box.top + s.top, box.left + s.left, box.top + s.bottom, box.left + s.right))
        for s in region.grid.spans
    ]
    return pa.array(names, pa.string()).take(pa.array(merged, mask=merged < 0))
