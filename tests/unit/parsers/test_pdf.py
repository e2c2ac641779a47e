"""What the PDF parser says of files that are protected, damaged, scanned or too large."""

import random
import re
import time
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from rag.errors import EncryptedFileError, LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.parsers.pdf_text import HYPHEN_MARK, join_hyphenated, tidy
from rag.types import Document
from tests.fixtures import make_files as make
from tests.fixtures import make_pdfs as pdfs


def read(path: Path, limits: ParseLimits | None = None, **options: object) -> Document:
    return parsers.build("PDFParser", options).parse(probe_file(path, path.name), limits or ParseLimits())


def test_user_password_is_required(tmp_path: Path) -> None:
    with pytest.raises(EncryptedFileError, match=r"'a\.pdf': password required"):
        read(make.encrypted_pdf_file(tmp_path / "a.pdf", ["secret"]))


def test_truncated_file_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="ends before its end mark"):
        read(make.truncated_pdf_file(tmp_path / "a.pdf", ["x"] * 5))


def test_garbage_behind_a_pdf_head_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20 + b"%%EOF")
    with pytest.raises(UnreadableFileError, match="damaged"):
        read(path)


def test_scanned_file_asks_for_ocr(tmp_path: Path) -> None:
    with pytest.raises(NoTextError, match=r"2 pages are images .*OCR"):
        read(make.image_only_pdf_file(tmp_path / "a.pdf", 2), use_ocr=False)


def test_blank_file_is_not_called_a_scan(tmp_path: Path) -> None:
    with pytest.raises(NoTextError, match="has no text: its 1 page is blank"):
        read(make.pdf_file(tmp_path / "a.pdf", [""]))


def test_scanned_pages_among_others_are_warned_of(tmp_path: Path) -> None:
    document = read(make.mixed_pdf_file(tmp_path / "a.pdf", ["one", None, "three", None]), use_ocr=False)
    assert document.empty_pages == (2, 4)
    assert document.page_count == 4
    assert document.warnings == (
        "Pages 2, 4 of 4 without a text layer (scanned or blank): not searchable without OCR.",
    )
    assert [(span.page, document.text[span.start : span.end]) for span in document.pages] == [
        (1, "one"), (2, ""), (3, "three"), (4, ""),
    ]  # fmt: skip


def test_too_many_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LimitExceededError, match=r"3 pages, more than 2 \(LF_MAX_PAGES\)"):
        read(make.pdf_file(tmp_path / "a.pdf", ["x"] * 3), ParseLimits(max_pages=2))


def test_progress_counts_pages(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = make.pdf_file(tmp_path / "a.pdf", ["x"] * 25)
    parsers.build("PDFParser", {}).parse(
        probe_file(path, "a.pdf"), ParseLimits(), lambda done, total: told.append((done, total))
    )
    assert told == [(0, 25), (10, 25), (20, 25), (25, 25)]


def test_many_pages_are_read_quickly(tmp_path: Path) -> None:
    """Far below what is usual, so that a busy machine passes."""
    path = make.pdf_file(tmp_path / "a.pdf", [f"Page number {number}\n" * 20 for number in range(200)])
    begin = time.process_time()
    document = read(path)
    assert time.process_time() - begin < 2.0
    assert all(f"Page number {span.page - 1}\n" in document.text[span.start : span.end] for span in document.pages)


@pytest.mark.parametrize(
    ("broken", "elsewhere", "expected"),
    [
        (("infor", "mation"), "information", "information"),
        (("infor", "mation"), "", "information"),
        (("well", "known"), "well-known", "well-known"),
        (("well", "known"), "", "well-known"),
        (("Well", "known"), "wellknown", "Wellknown"),
        (("self", "employed"), "", "self-employed"),
        (("self", "lessness"), "", "selflessness"),
        (("twenty", "three"), "", "twenty-three"),
        (("staff", "and"), "the staff and others", "staff-and"),
        (("pre", "Roman"), "", "pre-Roman"),
        (("covid", "19"), "", "covid-19"),
        (("product", "contacting"), "any product", "product-contacting"),
        (("employ", "ment"), "to employ", "employment"),
        (("https://a.example/final", "rule"), "", "https://a.example/final-rule"),
    ],
)
def test_hyphen_at_a_line_end_is_judged_by_the_document(broken: tuple[str, str], elsewhere: str, expected: str) -> None:
    pages = [f"the {HYPHEN_MARK.join(broken)} here", elsewhere]
    assert join_hyphenated(pages)[0] == f"the {expected} here"


def test_hyphen_beside_no_word_stays_a_hyphen() -> None:
    assert join_hyphenated([f"( {HYPHEN_MARK} )"]) == ["( - )"]


def test_line_ends_are_trimmed_and_symbol_bullets_named() -> None:
    assert tidy("one  \n\uf0b7 two\t\n\nsoft\xadware ") == "one\n• two\n\nsoftware"


def test_text_can_be_left_as_it_is(tmp_path: Path) -> None:
    path = make.pdf_file(tmp_path / "a.pdf", ["x"], title="T")
    assert read(path, clean_text=False, extract_metadata=False).metadata == {}


def without_root(path: Path) -> Path:
    """A file whose trailer leads nowhere: pdfium gives up, pypdf looks for the pages."""
    raw = make.pdf_file(path, ["first words", "second words"]).read_bytes()
    path.write_bytes(re.sub(rb"/Root \d+ 0 R", b"/Root 99 0 R", raw))
    return path


def test_what_pdfium_cannot_open_is_read_by_a_second_reader_and_said(tmp_path: Path) -> None:
    document = read(without_root(tmp_path / "a.pdf"))
    assert [document.text[span.start : span.end] for span in document.pages] == ["first words", "second words"]
    assert "second reader (pypdf)" in document.warnings[0]


def test_without_a_second_reader_such_a_file_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="its table of objects or pages cannot be read"):
        read(without_root(tmp_path / "a.pdf"), fallback_strategies=[])


def test_a_damaged_page_is_never_told_as_another_one(tmp_path: Path) -> None:
    """pypdf leaves it out, so that the page after it has its number there."""
    path = make.pdf_file(tmp_path / "a.pdf", ["first words", "second words", "third words"])
    path.write_bytes(pdfs.with_damaged_pages(path.read_bytes(), 2))
    document = read(path)
    found = [document.text[span.start : span.end].strip() for span in document.pages]
    assert found == ["first words", "", "third words"]
    assert document.warnings == ("Page 2 of 3 damaged and left out.",)


def test_pages_of_words_all_over_the_place_are_read_in_bounded_time(tmp_path: Path) -> None:
    chance = random.Random(1)
    canvas = Canvas(str(tmp_path / "a.pdf"))
    canvas.setFont("Helvetica", 4)
    for number in range(6_000):
        canvas.drawString(chance.random() * 550, chance.random() * 800, f"word{number}")
        canvas.line(chance.random() * 500, 5, chance.random() * 500, 700)
    canvas.save()
    begin = time.process_time()
    words = set(read(tmp_path / "a.pdf").text.split())
    assert time.process_time() - begin < 5.0
    assert len(words) > 5_900


def test_pages_that_say_only_the_same_keep_it(tmp_path: Path) -> None:
    document = read(make.pdf_file(tmp_path / "a.pdf", ["Page 1", "Page 2", "Page 3", "Page 4"]))
    assert [document.text[span.start : span.end] for span in document.pages] == ["Page 1", "Page 2", "Page 3", "Page 4"]


def test_two_pages_lose_no_header(tmp_path: Path) -> None:
    assert read(pdfs.report(tmp_path / "a.pdf", 2)).text.count("Annual report of the harbour") == 2


def test_a_header_stays_where_it_stands_first(tmp_path: Path) -> None:
    document = read(pdfs.report(tmp_path / "a.pdf"))
    assert document.text.count("Annual report of the harbour") == 1
    assert "Annual report" in document.text[: document.pages[0].end]
