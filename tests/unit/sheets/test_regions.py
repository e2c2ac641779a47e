"""Workbooks → regions → tables, through the one function that does it all."""

import datetime as dt
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import LimitExceededError, UnreadableFileError
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.sheets.extraction import Extraction, FoundRegion, Wish, extract
from rag.sheets.places import MAX_ROWS, Box, read_range

LIMITS = ParseLimits()


class Found:
    def __init__(self, path: Path, name: str, **wish: Any) -> None:
        self.tables: list[pa.Table] = []
        self.cells: list[pa.Table] = []
        self.all: Extraction = extract(probe_file(path, name), LIMITS, Wish(**wish), self._keep)

    def _keep(self, number: int, region: FoundRegion, table: pa.Table, cells: Iterator[pa.Table]) -> None:
        assert number == len(self.tables)
        self.tables.append(table)
        self.cells.append(pa.concat_tables(cells))

    @property
    def places(self) -> list[tuple[str, str]]:
        return [(each.kind, each.location) for each in self.all.regions]


def read(tmp_path: Path, rows: list[list[Any]] | openpyxl.Workbook, **wish: Any) -> Found:
    book = rows if isinstance(rows, openpyxl.Workbook) else openpyxl.Workbook()
    if isinstance(rows, list):
        for row in rows:
            book.worksheets[0].append(row)
    path = tmp_path / "stored"
    book.save(path)
    return Found(path, "book.xlsx", **wish)


def read_csv(tmp_path: Path, content: bytes | str, name: str = "book.csv", **wish: Any) -> Found:
    path = tmp_path / "stored"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Found(path, name, **wish)


TABLE = [["Name", "Units"], ["a", 1], ["b", 2]]


def test_tables_apart_stay_apart_whatever_the_sensitivity(tmp_path: Path) -> None:
    rows = [[*row, None, *row] for row in TABLE] + [[]] + TABLE
    for sensitivity in ("strong", "weak"):
        found = read(tmp_path, rows, sensitivity=sensitivity)
        assert found.places == [("table", "A1:B3"), ("table", "D1:E3"), ("table", "A5:B7")]
        assert [table.num_rows for table in found.tables] == [2, 2, 2]


def test_rows_that_go_on_behind_a_gap_are_joined_by_strong_and_not_by_weak(tmp_path: Path) -> None:
    rows = [*TABLE, [], ["c", 3], ["d", 4]]
    assert read(tmp_path, rows, sensitivity="strong").places == [("table", "A1:B6")]
    assert len(read(tmp_path, rows, sensitivity="weak").places) == 2


def test_numbers_behind_a_narrow_column_are_joined_by_strong_and_not_by_weak(tmp_path: Path) -> None:
    rows = [["Item", "2023", None, "2024"], ["Sales", 1, None, 3], ["Costs", 2, None, 4]]
    assert read(tmp_path, rows, sensitivity="strong").places == [("table", "A1:D3")]
    assert len(read(tmp_path, rows, sensitivity="weak").places) == 2


def test_titles_and_notes_that_touch_a_table_are_regions_of_their_own(tmp_path: Path) -> None:
    found = read(tmp_path, [["Prices"], ["Item", "Price"], ["x", 1], ["y", 2], ["Source: our shop"]])
    assert found.places == [("extra", "A1:A1"), ("table", "A2:B4"), ("extra", "A5:A5")]
    assert found.all.regions[1].title == "Prices"
    assert found.tables[1].column_names == ["Item", "Price"]


def test_years_are_names_above_numbers(tmp_path: Path) -> None:
    found = read(tmp_path, [["Region", 2023, 2024], ["North", 5, 6], ["South", 7, 8]])
    assert found.tables[0].to_pydict() == {"Region": ["North", "South"], "2023": [5, 7], "2024": [6, 8]}


def hierarchy() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (
        ["Region", "2023", None, "2024", None], [None, "Q1", "Q2", "Q1", "Q2"], ["Europe"], ["DE", 1, 2, 3, 4],
        ["FR", 5, 6, 7, 8], ["Asia"], ["JP", 9, 10, 11, 12.5],
    ):  # fmt: skip
        sheet.append(row)
    for merged in ("A1:A2", "B1:C1", "D1:E1"):
        sheet.merge_cells(merged)
    return book


def test_hierarchical_tables_are_flattened_when_asked(tmp_path: Path) -> None:
    table = read(tmp_path, hierarchy(), is_flat=True).tables[0]
    assert table.column_names == ["group", "Region", "2023 / Q1", "2023 / Q2", "2024 / Q1", "2024 / Q2"]
    assert table["group"].to_pylist() == ["Europe", "Europe", "Asia"]
    assert str(table.schema.field("2024 / Q2").type) == "double"


def test_names_of_several_rows_keep_their_levels_otherwise(tmp_path: Path) -> None:
    table = read(tmp_path, hierarchy()).tables[0]
    assert table.column_names[1] == "('2023', 'Q1')"
    assert table.num_rows == 5
    assert b"column_indexes" in table.schema.metadata[b"pandas"]


def test_merged_and_omitted_labels_are_filled_down_when_flattened(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Region", "City", "Units"], ["North", "x", 1], [None, "y", 2], ["South", "z", 3], [None, "w", 4]):
        book.worksheets[0].append(row)
    book.worksheets[0].merge_cells("A2:A3")
    assert read(tmp_path, book, is_flat=True).tables[0]["Region"].to_pylist() == ["North", "North", "South", "South"]
    assert read(tmp_path, book).tables[0]["Region"].to_pylist() == ["North", None, "South", None]


def test_columns_have_the_type_of_their_values_and_errors_are_null(tmp_path: Path) -> None:
    day = dt.datetime(2026, 3, 1)  # noqa: DTZ001  # sheets know no zones
    rows = [
        ["text", "int", "float", "bool", "date", "time", "mixed", "error"],
        ["a", 1, 1, True, day, dt.time(8, 30), 1, 5],
        ["b", 2, 2.5, False, day, dt.time(9, 0), "x", "#DIV/0!"],
    ]
    table = read(tmp_path, rows).tables[0]
    types = ["string", "int64", "double", "bool", "timestamp[us]", "time64[us]", "string", "int64"]
    assert [str(each) for each in table.schema.types] == types
    assert table["mixed"].to_pylist() == ["1", "x"]
    assert table["error"].to_pylist() == [5, None]


def test_formulas_that_no_program_computed_are_null_and_said(tmp_path: Path) -> None:
    found = read(tmp_path, [["a", "b"], [1, "=A2*2"], [2, "=A3*2"]])
    assert found.tables[0]["b"].to_pylist() == [None, None]
    assert "2" in found.all.notes[0]
    cells = {each["coordinate"]: each for each in found.cells[0].to_pylist()}
    assert (cells["B2"]["formula"], cells["B2"]["data_type"]) == ("=A2*2", "error")


def test_csv_is_typed_and_its_words_for_nothing_are_null(tmp_path: Path) -> None:
    text = "name;price;when;ok;zip\nA;1,5;2026-01-02;true;007\nB;NA;2026-01-03;false;010\n"
    table = read_csv(tmp_path, text.encode("utf-16")).tables[0]
    assert table["price"].to_pylist() == [1.5, None]
    assert table["when"].to_pylist()[0] == dt.datetime(2026, 1, 2)  # noqa: DTZ001
    assert table["ok"].to_pylist() == [True, False]
    assert table["zip"].to_pylist() == ["007", "010"]


def test_a_mixed_csv_column_keeps_what_was_written(tmp_path: Path) -> None:
    table = read_csv(tmp_path, "name,code\na,1.50\nb,x7\n").tables[0]
    assert table["code"].to_pylist() == ["1.50", "x7"]


def test_old_workbooks_are_read_with_their_looks(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Old")
    for row, values in enumerate(TABLE):
        for column, value in enumerate(values):
            sheet.write(row, column, value, xlwt.easyxf("font: bold on") if row == 0 else xlwt.easyxf())
    sheet.row(2).hidden = True
    book.save(str(tmp_path / "stored"))
    found = Found(tmp_path / "stored", "old.xls")
    assert found.tables[0].to_pydict() == {"Name": ["a", "b"], "Units": [1, 2]}
    cells = found.cells[0].to_pylist()
    assert (cells[0]["font_bold"], cells[2]["font_bold"], cells[5]["is_hidden"]) == (True, False, True)
    assert Found(tmp_path / "stored", "old.xls", with_hidden=False).tables[0].num_rows == 1


ODS = """<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"><office:automatic-styles>
 <style:style style:name="b"><style:text-properties fo:font-weight="bold"/></style:style></office:automatic-styles>
 <office:body><office:spreadsheet><table:table table:name="S">
 <table:table-row><table:table-cell table:style-name="b"
 office:value-type="string"><text:p>Name</text:p></table:table-cell>
 <table:table-cell office:value-type="string"><text:p>Units</text:p></table:table-cell></table:table-row>
 <table:table-row table:number-rows-repeated="{count}"><table:table-cell office:value-type="string"><text:p>a</text:p>
 </table:table-cell><table:table-cell office:value-type="float" office:value="7" {more}/></table:table-row>
 <table:table-row table:visibility="collapse"><table:table-cell office:value-type="string"><text:p>h</text:p>
 </table:table-cell><table:table-cell office:value-type="float" office:value="1.5"/></table:table-row>
 </table:table></office:spreadsheet></office:body></office:document-content>"""


def write_ods(path: Path, count: int = 2, more: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", ODS.format(count=count, more=more))
    return path


def test_open_document_sheets_are_read(tmp_path: Path) -> None:
    path = write_ods(tmp_path / "stored")
    found = Found(path, "s.ods")
    assert found.tables[0].to_pydict() == {"Name": ["a", "a", "h"], "Units": [7.0, 7.0, 1.5]}
    assert found.cells[0].to_pylist()[0]["font_bold"]
    assert Found(path, "s.ods", with_hidden=False).tables[0].to_pydict() == {"Name": ["a", "a"], "Units": [7, 7]}


def test_a_few_bytes_that_stand_for_billions_of_cells_are_refused(tmp_path: Path) -> None:
    path = write_ods(tmp_path / "stored", 1_000_000, 'table:number-columns-repeated="16000"')
    with pytest.raises(LimitExceededError, match="filled cells"):
        Found(path, "s.ods")


def test_two_far_cells_are_two_small_regions_and_a_range_around_both_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0]["A1"] = book.worksheets[0][f"XFD{MAX_ROWS}"] = "x"
    assert read(tmp_path, book).places == [("extra", "A1:A1"), ("extra", f"XFD{MAX_ROWS}:XFD{MAX_ROWS}")]
    with pytest.raises(UnreadableFileError, match="spans"):
        read(tmp_path, book, cell_range=f"A1:XFD{MAX_ROWS}")


def test_a_million_empty_formatted_cells_are_no_region(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    openpyxl.Workbook().save(tmp_path / "plain")
    row = "".join(f'<c r="{letter}{{0}}" s="0"/>' for letter in "ABCDEFGHIJ")
    with zipfile.ZipFile(tmp_path / "plain") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                rows = "".join(f'<row r="{at}">{row.format(at)}</row>' for at in range(1, 20_001))
                last = '<row r="30000"><c r="B30000"><v>5</v></c></row>'
                content = content.replace(b"<sheetData/>", b"<sheetData></sheetData>").replace(
                    b"</sheetData>", f"{rows}{last}</sheetData>".encode()
                )
            new.writestr(name, content)
    assert Found(path, "f.xlsx").places == [("extra", "B30000:B30000")]


@pytest.mark.parametrize(
    ("text", "box", "sheet"),
    [
        ("A1:D10", Box(0, 0, 9, 3), None),
        ("$d$10:a1", Box(0, 0, 9, 3), None),
        ("B2", Box(1, 1, 1, 1), None),
        ("B:C", Box(0, 1, MAX_ROWS - 1, 2), None),
        ("'My ''sheet'!A1", Box(0, 0, 0, 0), "My 'sheet"),
    ],
)
def test_ranges_are_read(text: str, box: Box, sheet: str | None) -> None:
    found = read_range(text)
    assert (found.box, found.sheet) == (box, sheet)


CELLS = st.one_of(st.none(), st.none(), st.integers(-5, 5), st.text("ab", min_size=1, max_size=3), st.booleans())


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELLS, max_size=8), max_size=12),
    merged=st.lists(st.tuples(*[st.integers(1, 8)] * 4), max_size=3),
    sensitivity=st.sampled_from(["strong", "weak"]),
)
def test_every_filled_cell_is_in_exactly_one_region(
    tmp_path: Path, rows: list[list[Any]], merged: list[tuple[int, ...]], sensitivity: str
) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    for top, left, height, width in merged:
        sheet.merge_cells(start_row=top, start_column=left, end_row=top + height, end_column=left + width)
    stream = io.BytesIO()
    book.save(stream)
    filled = {cell.coordinate for row in sheet.iter_rows() for cell in row if cell.value is not None}
    if not filled:
        with pytest.raises(UnreadableFileError):
            read(tmp_path, book, sensitivity=sensitivity)
        return
    found = read(tmp_path, book, sensitivity=sensitivity)
    held = [each for cells in found.cells for each in cells.to_pylist()]
    assert len({each["coordinate"] for each in held}) == len(held)
    assert {each["coordinate"] for each in held if each["value"] is not None} == filled
    boxes = [read_range(each.location).box for each in found.all.regions]
    assert not any(a.overlaps(b) for at, a in enumerate(boxes) for b in boxes[at + 1 :])


def test_cells_strewn_over_a_sheet_do_not_become_thousands_of_files(tmp_path: Path) -> None:
    rows: list[list[Any]] = []
    for _ in range(40):
        rows += [[value for at in range(40) for value in (at, None)], []]
    found = read(tmp_path, rows, sensitivity="weak")
    assert 1 <= len(found.places) <= 500
    assert sum(table.num_columns * table.num_rows >= 0 for table in found.tables) == len(found.tables)
    assert sum(each["value"] is not None for cells in found.cells for each in cells.to_pylist()) == 1600
