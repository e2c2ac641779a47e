"""The regions of a sheet: tables, and what stands beside them (titles, notes, loose cells)."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from rag.sheets.components import boxes_of
from rag.sheets.layout import Grid, Layout, is_table, layout_of
from rag.sheets.model import EMPTY, TEXT, Sheet
from rag.sheets.places import Box

RegionType: TypeAlias = Literal["table", "extra"]
Sensitivity: TypeAlias = Literal["strong", "weak"]
_MAX_ROW_GAP: Final = 2
_SPACER: Final = 1


@dataclass(frozen=True, slots=True)
class Region:
    """One rectangle; regions of a sheet do not overlap."""

    grid: Grid
    layout: Layout
    kind: RegionType

    @property
    def box(self) -> Box:
        return self.grid.box

    @property
    def body_top(self) -> int:
        return self.layout.titles + self.layout.headers


def regions_of(sheet: Sheet, sensitivity: Sensitivity) -> list[Region]:
    """Every filled cell is in exactly one of them.

    Args:
        sensitivity: `strong` also joins blocks that go on behind a gap: rows of the same columns without names of
            their own below up to two blank rows, and columns of numbers behind one blank column. `weak` joins only
            what touches.
    """
    found = [region for box in boxes_of(sheet) for region in _split(sheet, box)]
    if sensitivity == "strong":
        found = _with_continuations(sheet, found)
    return sorted(found, key=lambda region: (region.box.top, region.box.left))


def whole_region(sheet: Sheet, box: Box) -> Region:
    """A rectangle that somebody asked for, as one region."""
    return _region(Grid(sheet, box))


def _region(grid: Grid) -> Region:
    layout = layout_of(grid)
    if is_table(grid, layout):
        return Region(grid, layout, "table")
    return Region(grid, Layout(0, 0, 0), "extra")


def _split(sheet: Sheet, box: Box) -> list[Region]:
    """Titles above a table and notes below it are regions of their own."""
    region = _region(Grid(sheet, box))
    titles, notes = region.layout.titles, region.layout.notes
    if region.kind == "extra" or not titles + notes:
        return [region]
    ends = [box.top, box.top + titles, box.bottom + 1 - notes, box.bottom + 1]
    parts = [Box(ends[at], box.left, ends[at + 1] - 1, box.right) for at in range(3) if ends[at] < ends[at + 1]]
    shrunk = [found for part in parts if (found := _shrunk(sheet, part)) is not None]
    return [_as_extra(sheet, part) if part.top != box.top + titles else _region(Grid(sheet, part)) for part in shrunk]


def _as_extra(sheet: Sheet, box: Box) -> Region:
    return Region(Grid(sheet, box), Layout(0, 0, 0), "extra")


def _shrunk(sheet: Sheet, box: Box) -> Box | None:
    """Without blank edges, but with all of each merged cell."""
    at = sheet.inside(box)
    if not at.size:
        return None
    rows, columns = sheet.rows[at], sheet.columns[at]
    found = Box(int(rows.min()), int(columns.min()), int(rows.max()), int(columns.max()))
    for span in sheet.spans:
        if span.top <= found.bottom and span.overlaps(found) and (cut := span.cut_to(box)) is not None:
            found = found.joined(cut)
    return found


def _with_continuations(sheet: Sheet, regions: list[Region]) -> list[Region]:
    joined = list(regions)
    pending = [region for region in regions if region.kind == "table"]
    while pending:
        upper = pending.pop(0)
        if not any(upper is each for each in joined):
            continue
        for other in joined:
            if other is not upper and _continues(upper, other) and (whole := _as_one(sheet, upper, other, joined)):
                joined = [each for each in joined if each is not upper and each is not other] + [whole]
                pending.insert(0, whole)
                break
    return joined


def _as_one(sheet: Sheet, upper: Region, other: Region, regions: list[Region]) -> Region | None:
    box = upper.box.joined(other.box)
    if any(each.box.overlaps(box) for each in regions if each is not upper and each is not other):
        return None
    whole = _region(Grid(sheet, box))
    return whole if whole.kind == "table" and whole.layout.headers == upper.layout.headers else None


def _continues(table: Region, other: Region) -> bool:
    a, b = table.box, other.box
    if 1 <= b.top - a.bottom - 1 <= _MAX_ROW_GAP and a.left <= b.left and b.right <= a.right:
        return _goes_on_below(table, other)
    if b.left - a.right - 1 == _SPACER and b.bottom == a.bottom and 0 <= b.top - a.top <= 2:
        return _goes_on_beside(table, other)
    return False


def _goes_on_below(table: Region, other: Region) -> bool:
    """Rows of the same kinds of values in the same columns, without names of their own."""
    if other.layout.headers or int(other.grid.filled.max()) < 2 or other.box.width * 2 < table.box.width:
        return False
    shift = other.box.left - table.box.left
    above = _main_kinds(table.grid.kinds[table.body_top :])
    below = _main_kinds(other.grid.kinds)
    pairs = [(above[at + shift], kind) for at, kind in enumerate(below) if kind != EMPTY]
    return bool(pairs) and any(kind != TEXT for _, kind in pairs) and all(a in (kind, EMPTY) for a, kind in pairs)


def _goes_on_beside(table: Region, other: Region) -> bool:
    """Columns of numbers behind a narrow blank one, in the same rows, of a table that begins with texts."""
    body = table.box.top + table.body_top - other.box.top
    if not table.layout.headers or body < 0 or body >= other.grid.height:
        return False
    kinds = _main_kinds(other.grid.kinds[body:])
    has_labels = bool(_main_kinds(table.grid.kinds[table.body_top :])[0] == TEXT)
    return has_labels and all(kind not in (EMPTY, TEXT) for kind in kinds)


def _main_kinds(kinds: "np.ndarray[tuple[int, ...], np.dtype[np.int8]]") -> list[int]:
    """Of each column the kind most of its cells have; whole and broken numbers are one."""
    counts = [(kinds == kind).sum(axis=0) for kind in range(9)]
    counts[3] = counts[2] + counts[3]
    counts[0] = counts[2] = np.zeros_like(counts[0])
    table = np.stack(counts)
    return [int(column.argmax()) if column.any() else EMPTY for column in table.T]
