"""Delimited tables: every row becomes one line that carries its column names."""

import csv
import io
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import read_text
from rag.parsers.tables import NA_VALUES, MetadataColumns, column_names, missing_columns, render_row, row_values
from rag.registry import ComponentOptions
from rag.types import Document, Scalar

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 20
_PROGRESS_EVERY_ROWS = 1000
_MAX_FIELD_CHARS = 1_000_000
_MAX_NAMES_CHARS = 2_000


class CSVParser:
    """The first row holds the column names."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.CSV, media.TSV})

    class Options(ComponentOptions):
        delimiter: str | None = Field(
            None, min_length=1, max_length=1, description="Detected when absent, or when the header row lacks it."
        )
        quotechar: str = Field('"', min_length=1, max_length=1)
        encoding: str | None = Field(None, description="Tried first; detected when absent or when it does not fit.")
        na_values: list[str] = Field(list(NA_VALUES), description="Cells left out of a row's text.")
        skiprows: int | None = Field(None, ge=0, description="Lines to skip before the header row.")
        field_mapping: dict[str, str] = Field({}, description="Column name in the file → name in the text.")
        content_fields: list[str] = Field([], description="Columns that are written into the text; none: all.")
        content_separator: str = Field("; ", min_length=1, description="Between two cells of a row.")
        combine_fields: bool = Field(True, description="One line per row; otherwise one line per cell.")
        id_field: str | None = Field(None, description="Column whose value chunks carry as metadata `row_id`.")
        extract_metadata: bool = Field(True, description="Keep column names and row count as metadata.")
        metadata_columns: MetadataColumns = Field([])

    def __init__(self, options: Options) -> None:
        self.options = options
        csv.field_size_limit(_MAX_FIELD_CHARS)  # the library's own 131,072 is below what a cell of prose can take

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        text, encoding, notes = read_text(probe, limits, encoding=self.options.encoding)
        lines = text.split("\n", self.options.skiprows or 0)[-1]
        delimiter, warnings = self._delimiter(lines, probe)
        warnings += notes
        rows = self._rows(lines, delimiter, probe)
        columns = column_names(next(rows, []), self.options.field_mapping)
        wanted = self.options.metadata_columns
        warnings += missing_columns(columns, wanted)
        warnings += [f"There is no column '{name}' to take text from." for name in self._absent(columns)]
        builder = DocumentBuilder("CSVParser", limits)
        for row in rows:
            if line := self._line(columns, row):
                builder.add_row(line, values=self._values(columns, row))
                if builder.row_count % _PROGRESS_EVERY_ROWS == 0:
                    on_progress(builder.row_count, None)
        if not builder.row_count:
            raise NoTextError(f"'{probe.filename}': the table has a header but no rows")
        on_progress(builder.row_count, builder.row_count)
        names = ", ".join(columns)
        facts: dict[str, Scalar] = {
            "columns": names if len(names) <= _MAX_NAMES_CHARS else f"{names[:_MAX_NAMES_CHARS]} …",
            "row_count": builder.row_count,
            "encoding": encoding,
        }
        return builder.build(metadata=facts if self.options.extract_metadata else None, warnings=warnings)

    def _absent(self, columns: list[str]) -> list[str]:
        wanted = [*self.options.content_fields, *([self.options.id_field] if self.options.id_field else [])]
        return [name for name in wanted if name not in columns]

    def _line(self, columns: list[str], row: list[str]) -> str:
        names = self.options.content_fields
        if names:
            chosen = [(name, cell) for name, cell in zip(columns, row, strict=False) if name in names]
            columns, row = [name for name, _ in chosen], [cell for _, cell in chosen]
        separator = self.options.content_separator if self.options.combine_fields else "\n"
        return render_row(columns, row, self.options.na_values, separator=separator)

    def _values(self, columns: list[str], row: list[str]) -> dict[str, Scalar] | None:
        values = row_values(columns, row, self.options.metadata_columns)
        if self.options.id_field is None:
            return values
        own = row_values(columns, row, [self.options.id_field]) or {}
        return (values or {}) | ({"row_id": own[self.options.id_field]} if own else {})

    def _delimiter(self, text: str, probe: FileProbe) -> tuple[str, list[str]]:
        wanted, header = self.options.delimiter, text.lstrip().partition("\n")[0]
        if wanted is not None and wanted in header:
            return wanted, []
        found = "\t" if probe.media_type == media.TSV and "\t" in header else sniff_delimiter(text)
        if wanted is None or found not in header:
            return wanted or found, []
        return found, [f"The columns are separated by {found!r}, not by {wanted!r}; {found!r} was used."]

    def _rows(self, text: str, delimiter: str, probe: FileProbe) -> Iterator[list[str]]:
        """Rows with at least one cell that is not blank."""
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=self.options.quotechar)
        try:
            yield from (row for row in reader if any(cell.strip() for cell in row))
        except csv.Error as error:
            raise UnreadableFileError(f"'{probe.filename}', line {reader.line_num}: {error}") from error


def sniff_delimiter(text: str) -> str:
    """The candidate that splits the first lines into the most columns, the same number in each if possible."""
    lines = [line for line in text[:65_536].split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line.strip()]

    def quality(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        header = widths[0] if widths else 1
        return (widths.count(header) / len(widths) if header > 1 else 0.0, header)

    return max(_DELIMITERS, key=quality)
