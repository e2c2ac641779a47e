"""How the rows of CSV and Excel tables read as text."""

from collections.abc import Collection, Mapping, Sequence

NA_VALUES = ("", "NA", "N/A", "null", "None")
"""Cells that mean "nothing here" and are left out of a row's text."""


def column_names(cells: Sequence[str], renamed: Mapping[str, str] | None = None) -> list[str]:
    """The names of a header row; a column without one is called by its 1-based number."""
    names = [one_line(cell) or f"column {number}" for number, cell in enumerate(cells, start=1)]
    return [(renamed or {}).get(name, name) for name in names]


def render_row(columns: Sequence[str], cells: Sequence[str], na_values: Collection[str] = NA_VALUES) -> str:
    """One line, `Column: value; Column: value`, without the empty cells; "" if all are."""
    pairs = []
    for index, cell in enumerate(cells):
        value = one_line(cell)
        if value and value not in na_values:
            name = columns[index] if index < len(columns) else f"column {index + 1}"
            pairs.append(f"{name}: {value}")
    return "; ".join(pairs)


def one_line(cell: str) -> str:
    return " ".join(cell.split())
