"""What is said of files that are no workbooks, or broken ones: in words for whoever has the file, not of libraries."""

import io
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from rag.errors import RagError
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.sheets.extraction import Wish, extract
from tests.fixtures.nested_files import ole_bytes
from tests.fixtures.office_files import odf_file, ods_sheet, xls_file

ROWS = [[f"name {row}", row, row * 1.5] for row in range(300)]
TOO_EARLY = "is damaged: it ends too early, as a broken download does"


def xlsx(_folder: Path) -> bytes:
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in ROWS:
        book.worksheets[0].append(row)
    book.save(stream)
    return stream.getvalue()


def xls(folder: Path) -> bytes:
    return xls_file(folder / "a", {"Sheet": ROWS}).read_bytes()


def ods(folder: Path) -> bytes:
    return odf_file(folder / "a", "spreadsheet", ods_sheet("Sheet", ROWS)).read_bytes()


def locked(_folder: Path) -> bytes:
    return ole_bytes({"EncryptionInfo": bytes(300), "EncryptedPackage": bytes(5_000)})


def blank(_folder: Path) -> bytes:
    stream = io.BytesIO()
    openpyxl.Workbook().save(stream)
    return stream.getvalue()


def spoiled(data: bytes) -> bytes:
    middle = len(data) // 3
    return data[:middle] + bytes(400) + data[middle + 400 :]


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("half.xlsx", lambda folder: xlsx(folder)[:3_000], TOO_EARLY),
        ("most.xlsx", lambda folder: xlsx(folder)[:-10], TOO_EARLY),
        ("bad.xlsx", lambda folder: spoiled(xlsx(folder)), "is damaged: a part of it cannot be unpacked"),
        ("half.ods", lambda folder: ods(folder)[:1_000], TOO_EARLY),
        ("half.xls", lambda folder: xls(folder)[:9_000], f"{TOO_EARLY}, or its records are broken"),
        ("start.xls", lambda folder: xls(folder)[:600], f"{TOO_EARLY}, or its records are broken"),
        ("table.xlsx", lambda _: b"a,b\n1,2\n", "its content is text, not a workbook; if it is a table, name it .csv"),
        ("table.ods", lambda _: b"a;b\n1;2\n", "its content is text, not a workbook; if it is a table, name it .csv"),
        ("page.xls", lambda _: b"<html><body><p>x</p></body></html>", "its content is a web page, not a workbook"),
        ("paper.xlsx", lambda _: b"%PDF-1.4 nothing", "its content is application/pdf, not a workbook"),
        ("noise.xlsx", lambda _: b"\x01\x02\x03\x00" * 99, "its content is no workbook, or one that is damaged"),
        ("paper.pdf", lambda _: b"%PDF-1.4 nothing", "is not a spreadsheet (application/pdf)"),
        ("locked.xlsx", locked, "password required; save it without a password"),
        ("blank.xlsx", blank, "has no filled cells"),
        ("zero.xlsx", lambda _: b"", "has no cells: the file is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_refusal_names_the_file_and_what_is_wrong(
    tmp_path: Path, name: str, make: Callable[[Path], bytes], says: str
) -> None:
    (tmp_path / "stored").write_bytes(make(tmp_path))
    with pytest.raises(RagError) as caught:
        extract(probe_file(tmp_path / "stored", name), ParseLimits(), Wish(), lambda *_: None)
    assert caught.value.message.startswith(f"'{name}'")
    assert says in caught.value.message
    assert not any(word in caught.value.message for word in ("zip", "index", "unpack requires", "decompress"))
