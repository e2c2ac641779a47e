"""Word and Excel: protection, damage, bombs and options."""

import datetime as dt
import random
import struct
import time
import zipfile
from pathlib import Path

import openpyxl
import pytest

from rag.errors import EncryptedFileError, LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.types import Document
from tests.fixtures import make_files as make

_OLE_HEAD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read(name: str, path: Path, limits: ParseLimits | None = None, **options: object) -> Document:
    return parsers.build(name, options).parse(probe_file(path, path.name), limits or ParseLimits())


def replace_part(path: Path, part: str, change: tuple[str, str]) -> Path:
    """Rewrite one part of an archive by replacing a string in it."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert change[0].encode() in parts[part]
    parts[part] = parts[part].replace(change[0].encode(), change[1].encode(), 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("filename", ["a.docx", "a.xlsx"])
def test_password_is_required(filename: str, tmp_path: Path) -> None:
    path = tmp_path / filename
    path.write_bytes(_OLE_HEAD + bytes(9000) + "EncryptedPackage".encode("utf-16-le") + bytes(100))
    with pytest.raises(EncryptedFileError, match="password required"):
        read("auto", path)


@pytest.mark.parametrize(
    ("write", "limits", "setting"),
    [
        (make.zip_bomb_docx_file, ParseLimits(), "LF_MAX_COMPRESSION_RATIO"),
        (make.zip_bomb_docx_file, ParseLimits(max_uncompressed_bytes=1_000_000), "LF_MAX_UNCOMPRESSED_BYTES"),
        (make.many_entries_docx_file, ParseLimits(), "LF_MAX_ARCHIVE_ENTRIES"),
    ],
    ids=["ratio", "size", "entries"],
)
def test_bomb_is_refused_before_it_is_unpacked(write, limits, setting, tmp_path: Path) -> None:
    with pytest.raises(LimitExceededError, match=setting):
        read("DocxParser", write(tmp_path / "bomb.docx"), limits)


@pytest.mark.parametrize(
    "write",
    [
        make.damaged_docx_file,
        lambda path: make.truncate(make.docx_file(path, ["x"]), 0.5),
        lambda path: replace_part(make.docx_file(path, ["x"]), "_rels/.rels", ("word/document", "word/nowhere")),
    ],
    ids=["markup", "truncated", "missing part"],
)
def test_damaged_word_file_is_unreadable(write, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"'a\.docx' is damaged"):
        read("DocxParser", write(tmp_path / "a.docx"))


def test_word_file_without_words_has_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError):
        read("DocxParser", make.docx_file(tmp_path / "a.docx", []))


def test_tracked_insertions_are_read_and_deletions_are_not(tmp_path: Path) -> None:
    path = make.docx_file(tmp_path / "a.docx", ["The rent is LOW today."])
    run = "<w:r><w:t>{}</w:t></w:r>"
    tracked = f'<w:ins w:id="1" w:author="A">{run.format("1200")}</w:ins><w:del w:id="2" w:author="A"><w:r><w:t>900</w:t></w:r></w:del>'  # noqa: E501
    paragraph = "<w:t>The rent is LOW today.</w:t></w:r>"
    replace_part(path, "word/document.xml", (paragraph, f'<w:t xml:space="preserve">The rent is </w:t></w:r>{tracked}'))
    assert read("DocxParser", path).text == "The rent is 1200"


def test_content_controls_are_read(tmp_path: Path) -> None:
    path = make.docx_file(tmp_path / "a.docx", ["Before"])
    control = "<w:body><w:sdt><w:sdtContent><w:p><w:r><w:t>Inside</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    replace_part(path, "word/document.xml", ("<w:body>", control))
    assert read("DocxParser", path).text == "Inside\n\nBefore"


def test_word_options_choose_the_parts(tmp_path: Path) -> None:
    path = make.docx_file(
        tmp_path / "a.docx", ["body", ("table", [["a", "b"]]), ("header", "top"), ("footer", "bottom")]
    )
    assert read("DocxParser", path).text == "top\n\nbody\n\n| a | b |"
    options = {"extract_tables": False, "extract_headers": False, "extract_footers": True}
    assert read("DocxParser", path, **options).text == "body\n\nbottom"


def test_heading_levels_follow_based_on_styles(tmp_path: Path) -> None:
    path = make.docx_file(tmp_path / "a.docx", [("h2", "Scope"), "text"])
    replace_part(path, "word/styles.xml", ('w:val="heading 2"', 'w:val="House style"'))
    replace_part(path, "word/document.xml", ("<w:pPr>", '<w:pPr><w:outlineLvl w:val="2"/>'))
    assert [(heading.level, heading.title) for heading in read("DocxParser", path).headings] == [(3, "Scope")]


def test_workbook_without_rows_has_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError, match="no text in any sheet"):
        read("ExcelParser", make.xlsx_file(tmp_path / "a.xlsx", {"A": [], "B": [[None, ""]]}))


def test_sheet_of_one_row_keeps_its_text(tmp_path: Path) -> None:
    sheets = {
        "Note": [["The contract ends on 31 May."]],
        "Data": [["Name", "Days"], ["Zoë", 3]],
        "Form": [["Who", "When"]],
    }
    document = read("ExcelParser", make.xlsx_file(tmp_path / "a.xlsx", sheets))
    assert document.text == "Note\nThe contract ends on 31 May.\n\nData\nName: Zoë; Days: 3\n\nForm\nWho; When"
    assert document.warnings == ()


def test_formulas_that_were_never_computed_are_shown_and_told(tmp_path: Path) -> None:
    path = make.xlsx_file(tmp_path / "a.xlsx", {"A": [["Item", "Total"], ["x", "=SUM(1,2)"], ["=A2", "=B2"]]})
    document = read("ExcelParser", path)
    assert document.text == "A\nItem: x; Total: =SUM(1,2)\nItem: =A2; Total: =B2"
    assert document.warnings == (
        "Sheet 'A': formulas shown as written, since no program has computed their values: 3.",
    )


def test_formula_that_was_computed_shows_its_value_even_if_blank(tmp_path: Path) -> None:
    path = make.xlsx_file(tmp_path / "a.xlsx", {"A": [["Item", "Total"], ["x", "=SUM(1,2)"], ["y", "=REPT(1,0)"]]})
    replace_part(path, "xl/worksheets/sheet1.xml", ("<f>SUM(1,2)</f><v></v>", "<f>SUM(1,2)</f><v>3</v>"))
    replace_part(path, "xl/worksheets/sheet1.xml", ('<c r="B3"><f>', '<c r="B3" t="str"><f>'))
    document = read("ExcelParser", path)
    assert (document.text, document.warnings) == ("A\nItem: x; Total: 3\nItem: y", ())


def test_cells_in_far_columns_take_bounded_time(tmp_path: Path) -> None:
    sheet = openpyxl.Workbook()
    for row in range(1, 1_500):
        sheet.active.cell(row, 16_384, "far")
    sheet.save(tmp_path / "a.xlsx")
    begin = time.process_time()
    with pytest.raises(LimitExceededError, match=r"'a.xlsx': the workbook has more than 20,000,000 cells"):
        read("auto", tmp_path / "a.xlsx")
    assert time.process_time() - begin < 6.0


def test_row_with_an_absurd_number_ends_by_itself(tmp_path: Path) -> None:
    path = make.xlsx_file(tmp_path / "a.xlsx", {"A": [["Item"], ["x"]]})
    replace_part(path, "xl/worksheets/sheet1.xml", ('<row r="2">', '<row r="99999999999">'))
    assert read("ExcelParser", path).text == "A\nItem: x"


def test_sheets_and_header_row_are_chosen(tmp_path: Path) -> None:
    sheets = {"Notes": [["n"], ["x"]], "Data": [["Report 2024"], ["made by Ada"], ["Name", "Days"], ["Zoë", 3]]}
    path = make.xlsx_file(tmp_path / "a.xlsx", sheets)
    assert read("ExcelParser", path, sheets=["Data"], skiprows=1, header_row=1).text == "Data\nName: Zoë; Days: 3"
    assert read("ExcelParser", path, sheets=["Notes", "Gone"]).warnings == ("The workbook has no sheet 'Gone'.",)
    with pytest.raises(UnreadableFileError, match="it has: Notes, Data"):
        read("ExcelParser", path, sheets=["Gone"])


def test_formulas_are_shown_on_request(tmp_path: Path) -> None:
    path = make.xlsx_file(tmp_path / "a.xlsx", {"A": [["Name", "Sum"], ["x", "=1+2"]]})
    assert read("ExcelParser", path, extract_formulas=True).text.endswith("Name: x; Sum: =1+2")


def test_cells_read_as_people_write_them(tmp_path: Path) -> None:
    midnight, morning = (dt.datetime.fromisoformat(text) for text in ("2024-03-01", "2024-03-01T09:30"))
    row = [midnight, morning, 3.0, 2.5, True, "two\nlines"]
    path = make.xlsx_file(tmp_path / "a.xlsx", {"A": [["d", "t", "i", "f", "b", ""], row]})
    assert read("ExcelParser", path).text == (
        "A\nd: 2024-03-01; t: 2024-03-01 09:30:00; i: 3; f: 2.5; b: True; column 6: two lines"
    )


def test_damaged_workbook_is_unreadable(tmp_path: Path) -> None:
    path = make.truncate(make.xlsx_file(tmp_path / "a.xlsx", {"A": [["x"]]}), 0.7)
    with pytest.raises(UnreadableFileError, match=r"'a\.xlsx' is damaged"):
        read("ExcelParser", path)


def with_part(path: Path, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr("word/media/noise.bin", content)
    return path


def test_part_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    noise = random.Random(7).randbytes(40_000) * 2  # packs to more than what is let through unlooked at
    path = with_part(make.docx_file(tmp_path / "a.docx", ["words"]), noise)
    assert "words" in read("DocxParser", path).text
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 80_000), struct.pack("<L", 100)))
    with pytest.raises(UnreadableFileError, match="damaged"):
        read("DocxParser", path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_part_packed_in_an_unbounded_way_is_refused(method: int, tmp_path: Path) -> None:
    path = with_part(make.docx_file(tmp_path / "a.docx", ["words"]), b"x" * 1000, method)
    with pytest.raises(UnreadableFileError, match="packed with a method"):
        read("DocxParser", path)
