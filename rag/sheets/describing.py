"""Titles and descriptions of regions and sheets, made of what stands in them."""

from typing import Final

import pyarrow as pa

from rag.parsers.sheets import shown
from rag.sheets.frames import types_of
from rag.sheets.model import TEXT, Sheet
from rag.sheets.regions import Region

_MAX_ROWS_ABOVE: Final = 3
_MAX_TITLE_CHARS: Final = 200
_MAX_COLUMNS: Final = 20
_MAX_NAMES: Final = 4


def title_of(region: Region, regions: list[Region], sheet: Sheet) -> str:
    """Of a table the lines above it, otherwise its columns; of others their first words."""
    if region.kind == "extra":
        return _words(region) or f"{sheet.name} {sheet.location(region.box)}"
    own = [
        shown(value) for row in range(region.layout.titles) if (value := region.grid.value(row, _first(region, row)))
    ]
    if own:
        return _short(" – ".join(own))
    above = [each for each in regions if each.kind == "extra" and _stands_above(each, region)]
    if above and (words := _words(max(above, key=lambda each: each.box.bottom))):
        return words
    names = [name for at in range(region.grid.width) if (name := _header(region, at))]
    return _short(f"{sheet.name}: {', '.join(names[:_MAX_NAMES])}") if names else sheet.name


def describe_table(region: Region, table: pa.Table) -> str:
    place = region.grid.sheet.location(region.box)
    if region.kind == "extra":
        filled = int(region.grid.filled.sum())
        cells = "1 cell" if filled == 1 else f"{filled:,} cells"
        return f"{cells} of text and values beside the tables, at {place}."
    types = list(types_of(table).items())
    columns = ", ".join(f"{name} ({kind})" for name, kind in types[:_MAX_COLUMNS])
    more = f" and {len(types) - _MAX_COLUMNS} more" if len(types) > _MAX_COLUMNS else ""
    return f"Table of {table.num_rows:,} rows and {len(types)} columns at {place}: {columns}{more}."


def describe_sheet(sheet: Sheet, regions: list[Region], titles: list[str]) -> tuple[str, str]:
    tables = [title for region, title in zip(regions, titles, strict=True) if region.kind == "table"]
    if not regions:
        return sheet.name, "The sheet has no filled cells."
    count = "1 table" if len(tables) == 1 else f"{len(tables)} tables"
    others = len(regions) - len(tables)
    rest = "1 other region" if others == 1 else f"{others} other regions"
    named = f": {'; '.join(tables[:_MAX_NAMES])}" if tables else ""
    return (tables[0] if len(tables) == 1 else sheet.name), _short(f"{count} and {rest}{named}", 1000) + "."


def _stands_above(extra: Region, table: Region) -> bool:
    gap = table.box.top - extra.box.bottom - 1
    beside = extra.box.left <= table.box.right and table.box.left <= extra.box.right
    return 0 <= gap <= _MAX_ROWS_ABOVE and beside and _words(extra) != ""


def _words(region: Region) -> str:
    grid = region.grid
    rows = range(min(grid.height, _MAX_ROWS_ABOVE))
    found = [
        shown(grid.value(row, column))
        for row in rows
        for column in range(min(grid.width, _MAX_COLUMNS))
        if grid.kinds[row, column] == TEXT
    ]
    return _short(" – ".join(found[:_MAX_ROWS_ABOVE]))


def _header(region: Region, column: int) -> str:
    row = region.body_top - 1
    return shown(region.grid.value(row, column)) if region.layout.headers else ""


def _first(region: Region, row: int) -> int:
    return region.grid.single(row) or 0


def _short(text: str, most: int = _MAX_TITLE_CHARS) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
