"""Excel workbooks: a heading per sheet, and every row as one line that carries its column names."""

import datetime as dt
import warnings
from collections.abc import Iterator, Sequence
from typing import ClassVar

import openpyxl
from openpyxl.workbook import Workbook
from pydantic import Field

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.archive import check_archive, readable_package
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import clean
from rag.parsers.tables import NA_VALUES, MetadataColumns, column_names, missing_columns, render_row, row_values
from rag.registry import ComponentOptions
from rag.types import Document

_PROGRESS_EVERY_ROWS = 500


class ExcelParser:
    """A sheet's first row that is not blank holds the column names. Charts, pictures and comments are not read."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.XLSX, media.ENCRYPTED_OFFICE})

    class Options(ComponentOptions):
        sheets: list[str] | None = Field(None, description="Names of the sheets to read; all when absent.")
        header_row: int = Field(0, ge=0, description="Rows between the top (after skiprows) and the column names.")
        skiprows: int | None = Field(None, ge=0, description="Rows to skip at the top of every sheet.")
        na_values: list[str] = Field(list(NA_VALUES), description="Cells left out of a row's text.")
        extract_formulas: bool = Field(False, description="Show formulas instead of the values last computed.")
        extract_metadata: bool = Field(True, description="Keep title, author and sheet names as metadata.")
        metadata_columns: MetadataColumns = Field([])

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        check_archive(probe, limits)
        builder = DocumentBuilder("ExcelParser", limits)
        with warnings.catch_warnings(), probe.path.open("rb") as stream:
            warnings.simplefilter("ignore")  # openpyxl warns of what it cannot write back; nothing is written here
            with readable_package(probe):
                workbook = openpyxl.load_workbook(stream, read_only=True, data_only=not self.options.extract_formulas)
            names, notes = self._sheet_names(workbook, probe)
            seen: set[str] = set()
            for name in names:
                if not self._add_sheet(builder, name, _cells(workbook, name, probe), on_progress, seen):
                    notes.append(f"Sheet '{name}' has no rows below its column names.")
            facts = _facts(workbook)
        if not builder.row_count:
            raise NoTextError(f"'{probe.filename}': the workbook has no rows below the column names of any sheet")
        on_progress(builder.row_count, builder.row_count)
        notes += missing_columns(seen, self.options.metadata_columns)
        return builder.build(metadata=facts if self.options.extract_metadata else {}, warnings=notes)

    def _sheet_names(self, workbook: Workbook, probe: FileProbe) -> tuple[list[str], list[str]]:
        present = [sheet.title for sheet in workbook.worksheets]
        if self.options.sheets is None:
            return present, []
        chosen = [name for name in present if name in self.options.sheets]
        if not chosen:
            raise UnreadableFileError(
                f"'{probe.filename}' has none of the sheets asked for ({', '.join(self.options.sheets)}); "
                f"it has: {', '.join(present)}"
            )
        missing = [name for name in self.options.sheets if name not in present]
        return chosen, [f"The workbook has no sheet '{name}'." for name in missing]

    def _add_sheet(
        self,
        builder: DocumentBuilder,
        name: str,
        rows: Iterator[list[str]],
        on_progress: ProgressCallback,
        seen: set[str],
    ) -> bool:
        """Append a sheet unless it has no rows; says whether it had. `seen` gathers its column names."""
        for _ in range((self.options.skiprows or 0) + self.options.header_row):
            next(rows, None)
        header = next((row for row in rows if any(row)), [])
        columns = column_names(header)
        seen.update(columns)
        before = builder.row_count
        for row in rows:
            if not (line := render_row(columns, row, self.options.na_values)):
                continue
            if builder.row_count == before:
                builder.add_heading(name, 1)
            values = row_values(columns, row, self.options.metadata_columns)
            builder.add_row(line, separator="\n", values=values)
            if builder.row_count % _PROGRESS_EVERY_ROWS == 0:
                on_progress(builder.row_count, None)
        return builder.row_count > before


def _cells(workbook: Workbook, name: str, probe: FileProbe) -> Iterator[list[str]]:
    sheet = workbook[name]
    with readable_package(probe):
        # A wrong size in the file would pad each row to thousands of cells; without it rows end where they end.
        sheet.reset_dimensions()
        for row in sheet.iter_rows(values_only=True):
            yield [_show(value) for value in row]


def _show(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return clean(str(value))


def _facts(workbook: Workbook) -> dict[str, str]:
    names: Sequence[str] = [sheet.title for sheet in workbook.worksheets]
    properties = workbook.properties
    facts = {"sheet_names": ", ".join(names), "title": properties.title, "author": properties.creator}
    return {key: clean(value) for key, value in facts.items() if value and value != "openpyxl"}
