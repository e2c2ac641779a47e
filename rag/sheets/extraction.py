"""A workbook → its regions: one after another, so that no more than one sheet is in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from rag.errors import LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers.base import FileProbe, ParseLimits
from rag.sheets.cells import cell_batches
from rag.sheets.describing import describe_sheet, describe_table, title_of
from rag.sheets.frames import frame_of
from rag.sheets.layout import MAX_AREA
from rag.sheets.model import Sheet, range_in, visible_only
from rag.sheets.places import MAX_COLUMNS, MAX_ROWS, Box, location, read_range
from rag.sheets.reading import opened_workbook
from rag.sheets.regions import Region, RegionType, Sensitivity, regions_of, whole_region

_WHOLE: Final = Box(0, 0, MAX_ROWS - 1, MAX_COLUMNS - 1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a workbook is asked for. `sheet_names` empty: all sheets; `cell_range` in A1 notation: one region."""

    sheet_names: tuple[str, ...] = ()
    cell_range: str | None = None
    is_flat: bool = False
    with_hidden: bool = True
    with_titles: bool = True
    sensitivity: Sensitivity = "strong"


@dataclass(frozen=True, slots=True)
class FoundRegion:
    sheet_name: str
    location: str
    kind: RegionType
    title: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class FoundSheet:
    name: str
    title: str | None
    description: str | None


@dataclass(slots=True)
class Extraction:
    """`failures` are what was asked for and not found or not possible; `notes` what else is worth knowing."""

    regions: list[FoundRegion] = field(default_factory=list)
    sheets: list[FoundSheet] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Keep = Callable[[int, FoundRegion, pa.Table, Iterator[pa.Table]], None]
"""Takes the number of a region from 0, what it is, its cells as a table, and the facts of its cells in pieces."""


def extract(probe: FileProbe, limits: ParseLimits, wish: Wish, keep: Keep) -> Extraction:
    """
    Raises:
        UnreadableFileError: it is no spreadsheet, is damaged, or has nothing of what was asked for.
        LimitExceededError: larger than a bound.
        InvalidInputError: the range is none.
    """
    found = Extraction()
    wanted = read_range(wish.cell_range) if wish.cell_range else None
    names = (wanted.sheet,) if wanted and wanted.sheet else wish.sheet_names
    asked = wanted.box if wanted else None
    allowance = _Allowance()

    def is_wanted(name: str, is_hidden: bool) -> bool:
        if names:
            return name in names
        return wish.with_hidden or not is_hidden

    with opened_workbook(probe, limits) as workbook:
        for sheet in workbook.sheets(is_wanted):
            if sheet.is_hidden and not wish.with_hidden:
                found.failures.append(f"sheet '{sheet.name}' is hidden; set include_hidden_cells to read it")
                continue
            _add_sheet(sheet if wish.with_hidden else visible_only(sheet), wish, asked, found, keep, allowance)
        known = ", ".join(workbook.names[:50])
        missing = [name for name in names if name not in workbook.names]
    found.failures += [f"the workbook has no sheet '{name[:100]}'; it has: {known}" for name in missing]
    if not found.regions:
        raise _nothing(probe, found)
    return found


def _nothing(probe: FileProbe, found: Extraction) -> UnreadableFileError:
    if found.failures:
        return UnreadableFileError(f"'{probe.filename}': {'; '.join(found.failures)}")
    return NoTextError(f"'{probe.filename}' has no filled cells in what was to be read")


class _Allowance:
    """How many cells all regions together may span."""

    def __init__(self) -> None:
        self._left = MAX_AREA

    def take(self, sheet: Sheet, regions: list[Region]) -> None:
        self._left -= sum(region.box.area for region in regions)
        if self._left < 0:
            raise LimitExceededError(
                f"sheet '{sheet.name}': the regions of the workbook span more than {MAX_AREA:,} cells; name fewer "
                "sheets or an extraction_range"
            )


def _add_sheet(
    sheet: Sheet, wish: Wish, asked: Box | None, found: Extraction, keep: Keep, allowance: _Allowance
) -> None:
    try:
        regions = _regions(sheet, wish, asked)
        allowance.take(sheet, regions)
    except LimitExceededError as error:
        found.failures.append(error.message)
        return
    found.notes += sheet.notes
    titles = [title_of(region, regions, sheet) for region in regions]
    for region, title in zip(regions, titles, strict=True):
        table = frame_of(region, is_flat=wish.is_flat)
        place = location(asked) if asked is not None and asked.area < _WHOLE.height else sheet.location(region.box)
        entry = FoundRegion(
            sheet.name,
            place,
            region.kind,
            title if wish.with_titles else None,
            describe_table(region, table) if wish.with_titles else None,
        )
        keep(len(found.regions), entry, table, cell_batches(region))
        found.regions.append(entry)
    about = describe_sheet(sheet, regions, titles) if wish.with_titles else (None, None)
    found.sheets.append(FoundSheet(sheet.name, *about))


def _regions(sheet: Sheet, wish: Wish, asked: Box | None) -> list[Region]:
    used = sheet.used
    if used is None:
        return []
    if asked is None:
        return regions_of(sheet, wish.sensitivity)
    box = range_in(sheet, asked)
    cut = None if box is None else box.cut_to(used)
    return [] if cut is None or not sheet.inside(cut).size else [whole_region(sheet, cut)]
