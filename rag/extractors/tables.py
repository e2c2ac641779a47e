"""Tables drawn in text: Markdown pipes, grids, and lines of equal comma counts."""

import csv
import io
import json
import re
from typing import Literal

from pydantic import AliasChoices, Field

from rag.extractors.options import ExtractorOptions
from rag.types import Document, Scalar

Table = list[list[str]]

_RULE = re.compile(r"[|+:=\-\s]+")
_PIPE = re.compile(r"(?<!\\)\|")
_ESCAPED_PIPE = r"\|"
_MAX_LINE_CHARS = 10_000


class TableExtractor:
    class Options(ExtractorOptions):
        output_format: Literal["dict", "list", "csv", "markdown"] = Field("dict", description="dict and list are JSON.")
        extract_headers: bool = Field(
            True,
            validation_alias=AliasChoices("extract_headers", "detect_headers"),
            description="Take the first row as column names.",
        )
        min_rows: int = Field(2, ge=1, description="Rows of the shortest table, column names included.")
        min_columns: int = Field(2, ge=1)
        max_cell_length: int = Field(200, ge=1, description="Characters of a cell; the rest is left out.")
        table_formats: tuple[Literal["pipe", "grid", "csv"], ...] = ("pipe", "grid", "csv")
        enabled: bool = True

    def __init__(self, options: Options) -> None:
        self._options = options

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]:
        tables = [self._written(table) for table in self._tables(text)] if self._options.enabled else []
        return {"tables": tables, "table_count": len(tables)} if tables else {}

    def _tables(self, text: str) -> list[Table]:
        tables: list[Table] = []
        current: Table = []
        for line in [*text.splitlines(), ""]:
            row = self._row(line)
            is_rule = row is not None and not any(row)
            if row is None or (current and not is_rule and len(row) != len(current[0])):
                tables.append(current)
                current = []
            if row is not None and not is_rule:
                current.append(row)
        options = self._options
        return [table for table in tables if len(table) >= options.min_rows and len(table[0]) >= options.min_columns]

    def _row(self, line: str) -> list[str] | None:
        """Cells of a table line, [] for a ruler between rows, None for other text."""
        line, formats = line.strip()[:_MAX_LINE_CHARS], self._options.table_formats
        if line.startswith("|") and ("pipe" in formats or "grid" in formats):
            cells = [cell.replace(_ESCAPED_PIPE, "|") for cell in _PIPE.split(line)[1:]]
            cells = cells if cells[-1] else cells[:-1]
        elif "grid" in formats and line.startswith("+-"):
            return []
        elif "csv" in formats and line.count(",") + 1 >= max(3, self._options.min_columns) and ", " not in line:
            cells = next(csv.reader([line]), [])
        else:
            return None
        return [] if _RULE.fullmatch(line) else [cell.strip()[: self._options.max_cell_length] for cell in cells]

    def _written(self, table: Table) -> str:
        options = self._options
        names = table[0] if options.extract_headers else [f"column_{index}" for index in range(1, len(table[0]) + 1)]
        rows = table[1:] if options.extract_headers else table
        if options.output_format == "dict":
            return json.dumps([dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False)
        if options.output_format == "list":
            return json.dumps(table, ensure_ascii=False)
        if options.output_format == "csv":
            target = io.StringIO()
            csv.writer(target, lineterminator="\n").writerows(table)
            return target.getvalue()
        lines = [names, ["---"] * len(names), *rows]
        return "\n".join(f"| {' | '.join(cell.replace('|', _ESCAPED_PIPE) for cell in line)} |" for line in lines)
