"""Tables of a parsed document as a workbook."""

import io
from typing import Any

import openpyxl
import pytest

from rag.errors import LimitExceededError
from rag.parsers.tables import TableStyle, markdown_table, written_as
from rag.parsing import workbook
from rag.parsing.layout import items_of
from rag.parsing.workbook import tables_of, workbook_of

ROWS = [["Name", "Price"], ["Ann | Co <b>", "1.50"], ["=1+1", "007"], ["", "-3"]]


def page(number: int, *markdowns: str) -> dict[str, Any]:
    return {"page": number, "items": list(items_of("\n\n".join(markdowns)))}


def opened(data: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}


@pytest.mark.parametrize("as_html", [False, True])
def test_each_table_is_a_sheet_with_its_numbers_and_texts(as_html: bool) -> None:
    with written_as(TableStyle(as_html=as_html)):
        table = markdown_table(ROWS)
    found = opened(workbook_of(list(tables_of([page(1, "# Title", table, "Words.", table), page(3, table)]))))
    assert list(found) == ["Page 1, table 1", "Page 1, table 2", "Page 3"]
    assert found["Page 3"] == [("Name", "Price"), ("Ann | Co <b>", 1.5), ("=1+1", "007"), (None, -3)]


def test_nothing_becomes_a_formula() -> None:
    data = workbook_of([("Page 1", [["=A1", "@x"], ['=HYPERLINK("http://x")', "+1"]])])
    sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}


def test_what_a_workbook_cannot_hold_is_left_out_of_it() -> None:
    found = opened(workbook_of([("Page 1", [["a\x00b\x1f", "c\u00a0d\ufffe"], ["x" * 40_000, "€"]])]))
    assert found["Page 1"][0] == ("ab", "c\u00a0d")
    assert len(found["Page 1"][1][0]) == 32_767


def test_pages_without_a_table_give_none() -> None:
    assert list(tables_of([page(1, "Words.", "<table>\nno rows\n</table>")])) == []


def test_too_much_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_CELLS", 3)
    with pytest.raises(LimitExceededError, match=r"4 cells are more than the 3 .* /api/v1/sheets/jobs"):
        workbook_of([("Page 1", [["a", "b"], ["c", "d"]])])


def test_many_tables_need_few_open_files() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        assert len(opened(workbook_of([(f"Page {at}", [["a"], ["1"]]) for at in range(400)]))) == 400
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
