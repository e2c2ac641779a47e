"""Workbooks (Excel and OpenDocument): a heading per sheet, and every row as one line that carries its column names."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from pydantic import Field

from rag.errors import LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.archive import check_archive, readable_package
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import check_size, clean
from rag.parsers.sheet_tables import Table, tables_of
from rag.parsers.sheets import ERRORS, Row, Sheet, Workbook, shown
from rag.parsers.tables import NA_VALUES, MetadataColumns, missing_columns, one_line, render_row, row_values
from rag.registry import ComponentOptions
from rag.types import Document

_PROGRESS_EVERY_ROWS = 500


class ExcelParser:
    """Reads .xlsx, .xlsm, .xltx, .xltm, .xls and .ods. A table's first row that is not blank holds the column names;
    lines of one cell above it are its title, and where names are merged over several columns a second row of names
    completes them. After a blank row another table may begin. Charts, pictures and macros are not read.
    """

    media_types: ClassVar[frozenset[str]] = frozenset(
        {media.XLSX, media.XLSB, media.XLS, media.ODS, media.ENCRYPTED_OFFICE}
    )

    class Options(ComponentOptions):
        sheets: list[str] | None = Field(None, description="Names of the sheets to read; all when absent.")
        combine_sheets: bool = Field(
            False, description="Read all sheets as one: without their names, and chunks may hold rows of several."
        )
        header_row: int = Field(0, ge=0, description="Rows between the top (after skiprows) and the column names.")
        skiprows: int | None = Field(None, ge=0, description="Rows to skip at the top of every sheet.")
        na_values: list[str] = Field(list(NA_VALUES), description="Cells left out of a row's text.")
        extract_formulas: bool = Field(False, description="Show formulas instead of the values last computed.")
        data_only: bool = Field(True, description="Show values; false is the same as extract_formulas: true.")
        extract_comments: bool = Field(False, description="Show notes and comments after the cell they are on.")
        extract_metadata: bool = Field(True, description="Keep title, author and sheet names as metadata.")
        hidden_sheets: bool = Field(True, description="Read sheets that are hidden; a warning names them.")
        metadata_columns: MetadataColumns = Field([])

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        _check(probe, limits)
        builder = DocumentBuilder("ExcelParser", limits)
        with readable_package(probe), self._opened(probe) as workbook:
            reading = _Reading(builder, self.options, on_progress, limits.max_text_chars)
            for sheet in workbook.sheets():
                reading.add(sheet)
            facts = {"sheet_names": ", ".join(reading.names), **workbook.facts}
        notes = [*workbook.warnings, *reading.warnings(probe)]
        if not builder.row_count:
            raise NoTextError(f"'{probe.filename}': the workbook has no text in any sheet")
        on_progress(builder.row_count, builder.row_count)
        return builder.build(metadata=facts if self.options.extract_metadata else {}, warnings=notes)

    def _opened(self, probe: FileProbe) -> AbstractContextManager[Workbook]:
        # Each library is imported for its own format only.
        with_formulas = self.options.extract_formulas or not self.options.data_only
        with_notes = self.options.extract_comments
        if probe.media_type == media.XLS:
            from rag.parsers.sheets_xls import opened_xls

            return opened_xls(probe, with_formulas=with_formulas, with_notes=with_notes)
        if probe.media_type == media.ODS:
            from rag.parsers.sheets_ods import opened_ods

            return opened_ods(probe, with_formulas=with_formulas, with_notes=with_notes)
        from rag.parsers.sheets_xlsx import opened_xlsx

        return opened_xlsx(probe, with_formulas=with_formulas, with_notes=with_notes)


def _check(probe: FileProbe, limits: ParseLimits) -> None:
    if probe.media_type == media.XLSB:
        raise UnreadableFileError(f"'{probe.filename}' is a binary workbook (.xlsb); save it as .xlsx and try again")
    if probe.media_type == media.XLS:
        check_size(probe, limits)
    else:
        check_archive(probe, limits)


class _Reading:
    """Appends sheet after sheet, and gathers what is to be said about them."""

    def __init__(
        self,
        builder: DocumentBuilder,
        options: ExcelParser.Options,
        on_progress: ProgressCallback,
        max_cells: int,
    ) -> None:
        self._max_cells = max_cells
        self._cell_count = 0
        self.names: list[str] = []
        self._builder = builder
        self._options = options
        self._on_progress = on_progress
        self._columns: set[str] = set()
        self._said: list[str] = []
        self._error_count = 0

    def add(self, sheet: Sheet) -> None:
        name = clean(sheet.name)
        self.names.append(name)
        if self._options.sheets is not None and name not in self._options.sheets:
            return
        if sheet.is_hidden and not self._options.hidden_sheets:
            self._said.append(f"Sheet '{name}' is hidden in the file, and was left out.")
            return
        before, self._error_count = self._builder.row_count, 0
        sheet.rows = self._counted(sheet.rows)
        if self._options.combine_sheets:
            self._add_tables(sheet, "")
        else:
            with self._builder.part("sheet", name):
                self._add_tables(sheet, name)
        if self._builder.row_count == before:
            self._said.append(f"Sheet '{name}' has no rows.")
        elif sheet.is_hidden:
            self._said.append(f"Sheet '{name}' is hidden in the file, and was read all the same.")
        if sheet.uncomputed_count:
            self._said.append(
                f"Sheet '{name}': formulas shown as written, since no program has computed their values: "
                f"{sheet.uncomputed_count}."
            )
        if self._error_count:
            self._said.append(
                f"Sheet '{name}': cells left out since they show an error (#REF! …): {self._error_count}."
            )

    def warnings(self, probe: FileProbe) -> list[str]:
        """Raises UnreadableFileError when none of the sheets asked for is there."""
        wanted = self._options.sheets or []
        missing = [name for name in wanted if name not in self.names]
        if wanted and len(missing) == len(wanted):
            raise UnreadableFileError(
                f"'{probe.filename}' has none of the sheets asked for ({', '.join(wanted)}); "
                f"it has: {', '.join(self.names)}"
            )
        said = [f"The workbook has no sheet '{name}'." for name in missing]
        return said + self._said + missing_columns(self._columns, self._options.metadata_columns)

    def _counted(self, rows: Iterator[Row]) -> Iterator[Row]:
        """A few bytes can say that a row of thousands of cells is repeated a million times."""
        for row in rows:
            self._cell_count += len(row)
            if self._cell_count > self._max_cells:
                raise LimitExceededError(
                    f"the workbook has more than {self._max_cells:,} cells, one per character that "
                    "a text may have (LF_MAX_TEXT_CHARS); split the file or raise the limit"
                )
            yield row

    def _add_tables(self, sheet: Sheet, name: str) -> None:
        skipped = (self._options.skiprows or 0) + self._options.header_row
        begun = False
        for number, table in enumerate(tables_of(sheet, skipped, find_titles=not skipped), start=1):
            title = table.title or (f"{name} (table {number})" if begun and name else "")
            begun = self._add_table(sheet, table, "" if begun else name, title) or begun

    def _add_table(self, sheet: Sheet, table: Table, sheet_name: str, title: str) -> bool:
        """Append a table unless it is blank, with the headings above it; says whether it was not."""
        self._columns.update(table.columns)
        headings = [pair for pair in ((sheet_name, 1), (title, 2)) if pair[0]]
        before = self._builder.row_count
        for line, cells in self._lines(sheet, table):
            if self._builder.row_count == before:
                for heading, level in headings:
                    self._builder.add_heading(heading, level)
            values = row_values(table.columns, cells, self._options.metadata_columns)
            self._builder.add_row(line, separator="\n", values=values)
            if self._builder.row_count % _PROGRESS_EVERY_ROWS == 0:
                self._on_progress(self._builder.row_count, None)
        return self._builder.row_count > before

    def _lines(self, sheet: Sheet, table: Table) -> Iterator[tuple[str, Sequence[str]]]:
        """Each row as text and as cells; of a table without rows, what would be its column names."""
        has_rows = False
        for index, row in table.rows:
            self._error_count += sum(isinstance(cell, str) and cell in ERRORS for cell in row if cell is not None)
            cells = _with_notes(["" if cell is None else shown(cell) for cell in row], sheet, index)
            if line := render_row(table.columns, cells, self._options.na_values):
                has_rows = True
                yield line, cells
        if not has_rows and (names := [one_line(name) for name in dict.fromkeys(table.header) if name.strip()]):
            yield "; ".join(names), []


def _with_notes(cells: list[str], sheet: Sheet, index: int) -> Sequence[str]:
    found = sheet.notes.get(index)
    if not found:
        return cells
    cells += [""] * (max(found, default=-1) + 1 - len(cells))
    return [f"{cell} (note: {found[column]})".strip() if column in found else cell for column, cell in enumerate(cells)]
