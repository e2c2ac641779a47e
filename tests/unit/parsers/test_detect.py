"""Detection goes by bytes; the name only tells text formats apart."""

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from rag.parsers import media
from rag.parsers.detect import probe_file
from tests.fixtures import make_files as make


def media_type(path: Path, filename: str | None = None) -> str:
    return probe_file(path, filename or path.name).media_type


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("a.txt", media.PLAIN), ("a.md", media.MARKDOWN), ("A.MDX", media.MARKDOWN), ("a.csv", media.CSV),
        ("a.tsv", media.TSV), ("a.json", media.JSON), ("a.jsonl", media.JSONL), ("a.html", media.HTML),
        ("a.py", media.CODE), ("a.rst", media.RST), ("a.conf", media.PLAIN), ("a", media.PLAIN), ("a.xml", media.XML),
    ],
)  # fmt: skip
def test_name_tells_text_formats_apart(filename: str, expected: str, tmp_path: Path) -> None:
    assert media_type(make.text_file(tmp_path / "stored", "some words\n"), filename) == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [("docx", media.DOCX), ("pptx", media.PPTX), ("xlsx", media.XLSX), ("odt", media.ODT)]
)
@pytest.mark.parametrize("damage", ["no start", "no end", "half", "no parts"])
def test_a_damaged_office_file_is_what_its_name_says(kind: str, expected: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "stored"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        if damage != "no parts":
            archive.writestr("other.xml", "<a/>" * 1000)
    raw = path.read_bytes()
    changed = {"no start": bytes(60) + raw[60:], "no end": raw[:-40], "half": raw[: len(raw) // 2]}
    path.write_bytes(changed.get(damage, raw))
    assert media_type(path, f"a.{kind}") == expected


@pytest.mark.parametrize("filename", ["a.txt", "a.md", "a.pdf", "a.docx", "a.csv"])
def test_binary_file_is_binary_whatever_its_name(filename: str, tmp_path: Path) -> None:
    assert media_type(make.binary_file(tmp_path / "stored"), filename) == media.BINARY


def test_real_type_of_a_misnamed_file_is_found(tmp_path: Path) -> None:
    assert media_type(make.pdf_file(tmp_path / "stored", ["x"]), "notes.txt") == media.PDF
    assert media_type(make.docx_file(tmp_path / "stored", ["x"]), "notes.txt") == media.DOCX
    assert media_type(make.xlsx_file(tmp_path / "stored", {"A": [["x"]]}), "notes.md") == media.XLSX
    assert media_type(make.png_file(tmp_path / "stored"), "notes.txt") == "image/png"


def test_text_named_like_a_binary_format_is_text(tmp_path: Path) -> None:
    assert media_type(make.text_file(tmp_path / "stored", "only words"), "report.pdf") == media.PLAIN


def test_text_head_on_a_binary_body_is_binary(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "installer.sh", "#!/bin/sh\n" * 1000)
    path.write_bytes(path.read_bytes() + make.binary_file(tmp_path / "body", 40_000).read_bytes())
    assert media_type(path) == media.BINARY


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"])
def test_text_is_text_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    assert media_type(make.text_file(tmp_path / "a.txt", "Grüße aus Köln\n" * 20, encoding=encoding)) == media.PLAIN


def test_page_without_a_telling_name_is_html(tmp_path: Path) -> None:
    assert media_type(make.html_file(tmp_path / "stored", "<p>x</p>"), "page") == media.HTML
    assert media_type(make.html_file(tmp_path / "stored", "<p>x</p>"), "page.txt") == media.PLAIN


def test_other_archives_have_their_own_type(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    assert media_type(path) == media.ZIP
    book = tmp_path / "book.epub"
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
    assert media_type(book) == "application/epub+zip"


def test_damaged_archive_keeps_the_type_of_its_name(tmp_path: Path) -> None:
    path = make.truncate(make.docx_file(tmp_path / "a.docx", ["x"]), 0.5)
    assert media_type(path) == media.DOCX
    assert media_type(path, "a.bin") == media.ZIP


def test_probe_tells_size_and_head(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "stored", "x" * 10_000)
    probe = probe_file(path, "a.txt")
    assert (probe.size_bytes, len(probe.head), probe.filename) == (10_000, 8192, "a.txt")


def test_mimetype_member_of_any_size_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", b"application/" + b" " * 50_000_000)
    tracemalloc.start()
    assert media_type(path) == media.ZIP
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2_000_000


def test_mimetype_member_that_lies_about_its_size_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", b"application/zip" + b" " * 50_000_000)
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 50_000_015), struct.pack("<L", 100)))
    tracemalloc.start()
    media_type(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2_000_000
