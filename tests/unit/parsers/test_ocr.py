"""Tesseract is a program beside this one: it may be missing, slow, or lack a language."""

import shutil
import stat
import time
from pathlib import Path

import pytest
from PIL import Image

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import ocr, parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.types import Document
from tests.fixtures import nested_files as nested


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called tesseract that does what its text says; alone on PATH but for the shell's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "tesseract"
    program.write_text("#!/bin/sh\ncat > /dev/null\nprintf 'first line  \\n\\nsecond\\n\\f'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return program


def read(path: Path, filename: str = "scan.png", **options: object) -> Document:
    return parsers.build("ImageParser", options).parse(probe_file(path, filename), ParseLimits())


def picture(folder: Path, **options: object) -> Path:
    return nested.text_picture(folder / "scan.png", ["words"], **options)  # type: ignore[arg-type]


def test_lines_of_the_program_become_the_text(fake: Path, tmp_path: Path) -> None:
    document = read(picture(tmp_path))
    assert (document.text, document.metadata, document.page_count) == ("first line\n\nsecond", {"ocr": True}, 1)


def test_program_is_given_the_languages(fake: Path, tmp_path: Path) -> None:
    fake.write_text('#!/bin/sh\ncat > /dev/null\necho "$@"\n')
    assert "-l deu+fra" in read(picture(tmp_path), ocr_languages="deu+fra").text


@pytest.mark.parametrize("languages", ["", "eng;rm", "../eng", "-x", "eng+"])
def test_languages_that_are_no_codes_are_refused(languages: str) -> None:
    with pytest.raises(Exception, match="ocr_languages"):
        parsers.build("ImageParser", {"ocr_languages": languages})


def test_missing_program_is_an_error_that_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnreadableFileError, match=r"'scan.png' is a picture.*Tesseract.*apt install tesseract-ocr"):
        read(picture(tmp_path))
    assert not ocr.is_available()


def test_pictures_are_not_read_where_ocr_is_off(fake: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="use_ocr is off"):
        read(picture(tmp_path), use_ocr=False)


def test_missing_language_is_named(fake: Path, tmp_path: Path) -> None:
    fake.write_text("#!/bin/sh\ncat > /dev/null\necho \"Failed loading language 'xyz'\" >&2\nexit 1\n")
    with pytest.raises(UnreadableFileError, match=r"'scan.png': Tesseract lacks a language of 'xyz'"):
        read(picture(tmp_path), ocr_languages="xyz")


def test_picture_without_words_has_no_text(fake: Path, tmp_path: Path) -> None:
    fake.write_text("#!/bin/sh\ncat > /dev/null\n")
    with pytest.raises(NoTextError, match="OCR found none"):
        read(picture(tmp_path))


def test_slow_program_is_stopped(fake: Path) -> None:
    fake.write_text("#!/bin/sh\nexec sleep 30\n")
    begin = time.monotonic()
    with pytest.raises(ocr.OcrError, match=r"longer than 0\.2 seconds"):
        ocr.read_image(Image.new("RGB", (400, 400), "white"), timeout_s=0.2)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "I;16", "F"])
def test_pictures_of_every_mode_are_handed_over(fake: Path, mode: str) -> None:
    fake.write_text("#!/bin/sh\nhead -c 2\n")
    assert ocr.read_image(Image.new(mode, (40, 20))) == "P5"


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_real_program_reads_words_on_a_transparent_ground(tmp_path: Path) -> None:
    path = picture(tmp_path)
    drawn = Image.open(path).convert("L")
    layer = Image.new("RGBA", drawn.size, (0, 0, 0, 0))
    layer.putalpha(drawn.point(lambda grey: 255 - grey))
    assert ocr.read_image(layer) == "words"
