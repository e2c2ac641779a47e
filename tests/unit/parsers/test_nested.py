"""Files inside files: what is read, what is left out by name, and the one allowance that holds for all of them."""

import io
import time
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from rag.chunkers import chunkers
from rag.chunkers.tokens import EstimatedCounter
from rag.errors import EncryptedFileError, LimitExceededError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.parsers.msg import unpack_rtf
from rag.types import Document
from tests.fixtures import make_files as make
from tests.fixtures import nested_files as nested

HISTORY = "New words.\n\nOn Mon, 1 Nov 2026 at 9:00, Bob wrote:\n> Old words.\n"


def read(path: Path, filename: str, limits: ParseLimits | None = None, **options: Any) -> Document:
    return parsers.build("UniversalParser", options).parse(probe_file(path, filename), limits or ParseLimits())


def mail(path: Path, message: Any, **options: Any) -> Document:
    probe = probe_file(nested.eml_file(path, message), "a.eml")
    return parsers.build("EmailParser", options).parse(probe, ParseLimits())


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_bytes_of_all_levels_share_one_allowance(tmp_path: Path) -> None:
    inner = zipped({"a.txt": b"a word " * 1_000})
    path = nested.zip_file(tmp_path / "a.zip", {f"{number}.zip": inner for number in range(8)})
    assert "a word" in read(path, "a.zip", ParseLimits(max_uncompressed_bytes=100_000)).text
    with pytest.raises(LimitExceededError, match=r"'a.zip' unpacks to more than 50,000 bytes"):
        read(path, "a.zip", ParseLimits(max_uncompressed_bytes=50_000))


def test_files_of_all_levels_share_one_count(tmp_path: Path) -> None:
    inner = zipped({f"{number}.txt": b"words" for number in range(6)})
    path = nested.zip_file(tmp_path / "a.zip", {"1.zip": inner, "2.zip": inner})
    with pytest.raises(LimitExceededError, match=r"'a.zip' holds more than 10 files"):
        read(path, "a.zip", ParseLimits(max_archive_entries=10))


def test_archives_below_the_deepest_level_are_named(tmp_path: Path) -> None:
    content = zipped({"deep.txt": b"deep words"})
    for level in range(6):
        content = zipped({f"{level}.zip": content, f"{level}.txt": b"words of level %d" % level})
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    document = read(path, "a.zip")
    assert "words of level 2" in document.text
    assert "deep words" not in document.text
    assert any("is an archive inside of 4 other files" in warning for warning in document.warnings)


def test_bad_member_never_fails_the_rest(tmp_path: Path) -> None:
    members = {
        "bad.pdf": b"%PDF-1.7 broken", "empty.txt": b"", "bad.docx": b"PK\x03\x04 broken", "good.txt": b"Good words.",
        "bomb.zip": zipped({"z.txt": b"x" + bytes(3_000_000)}),
    }  # fmt: skip
    document = read(nested.zip_file(tmp_path / "a.zip", members), "a.zip", ParseLimits(max_text_chars=1_000))
    assert "Good words." in document.text
    named = " ".join(document.warnings)
    assert [name for name in members if name not in named] == ["good.txt"]


def test_archive_of_nothing_readable_tells_the_first_reason(tmp_path: Path) -> None:
    path = nested.zip_file(tmp_path / "a.zip", {"a.pdf": b"%PDF-1.7 broken"})
    with pytest.raises(UnreadableFileError, match=r"'a.zip' holds no file that can be read: 'a.pdf' is damaged"):
        read(path, "a.zip")
    locked = make.encrypted_pdf_file(tmp_path / "b.pdf", ["Secret"]).read_bytes()
    with pytest.raises(EncryptedFileError, match=r"'b.zip'.*'b.pdf': password"):
        read(nested.zip_file(tmp_path / "b.zip", {"b.pdf": locked}), "b.zip")


def test_damage_in_a_tar_keeps_what_stands_before_it(tmp_path: Path) -> None:
    content = nested.tar_bytes({"one.txt": b"First words.", "two.txt": b"Lost words." * 500})
    path = tmp_path / "a.tar"
    path.write_bytes(content[:2_000])
    document = read(path, "a.tar")
    assert "First words." in document.text
    assert any("damaged" in warning for warning in document.warnings)


def test_options_reach_the_files_inside(tmp_path: Path) -> None:
    picture = nested.text_picture(tmp_path / "a.png", ["words"]).read_bytes()
    path = nested.zip_file(tmp_path / "a.zip", {"a.png": picture, "b.txt": b"Words."})
    assert any("use_ocr is off" in warning for warning in read(path, "a.zip", use_ocr=False).warnings)


def test_chunks_cite_pages_only_of_the_member_they_stand_in(tmp_path: Path) -> None:
    pdf = make.pdf_file(tmp_path / "a.pdf", ["First page.", "Second page."]).read_bytes()
    path = nested.zip_file(tmp_path / "a.zip", {"a.txt": b"Words before.", "b.pdf": pdf, "c.txt": b"Words after."})
    chunks = chunkers.build("auto", {}, counter=EstimatedCounter(200)).chunk(read(path, "a.zip"))
    pages = {chunk.text.split("\n")[-1]: chunk.page_start for chunk in chunks}
    assert pages["Words before."] is pages["Words after."] is None
    assert pages["Second page."] in {1, 2}


def test_table_beside_prose_does_not_make_an_archive_a_table(tmp_path: Path) -> None:
    prose = " ".join(f"Sentence number {number} of the story." for number in range(200)).encode()
    path = nested.zip_file(tmp_path / "a.zip", {"a.txt": prose, "b.csv": b"item,price\ndoor,900\n"})
    chunks = chunkers.build("auto", {"chunk_size": 500, "chunk_overlap": 0}, counter=EstimatedCounter(200)).chunk(
        read(path, "a.zip")
    )
    assert max(len(chunk.text) for chunk in chunks) <= 500


@pytest.mark.parametrize(
    ("options", "holds", "lacks"),
    [
        ({}, ["Plain words.", "From: Zoë", "Attachments: a.txt", "Attached words."], ["HTML words."]),
        ({"preserve_formatting": True}, ["HTML words."], ["Plain words."]),
        ({"extract_headers": False}, ["Plain words."], ["From:"]),
        ({"include_attachment_content": False}, ["Attachments: a.txt"], ["Attached words."]),
        ({"extract_attachments": False}, ["Plain words."], ["a.txt", "Attached words."]),
    ],
    ids=["defaults", "preserve_formatting", "extract_headers", "include_attachment_content", "extract_attachments"],
)
def test_options_of_mail_do_what_they_say(
    options: dict[str, bool], holds: list[str], lacks: list[str], tmp_path: Path
) -> None:
    message = nested.mail("Hi", "Plain words.", html="<p>HTML words.</p>", files={"a.txt": b"Attached words."})
    text = mail(tmp_path / "a.eml", message, **options).text
    assert [phrase for phrase in holds if phrase not in text] == []
    assert [phrase for phrase in lacks if phrase in text] == []


def test_metadata_of_mail_can_be_left_out(tmp_path: Path) -> None:
    message = nested.mail("Hi", "Words.")
    assert mail(tmp_path / "a.eml", message).metadata["from"] == "Zoë Müller <zoe@example.org>"
    assert mail(tmp_path / "a.eml", message, extract_metadata=False).metadata == {}


def test_spaces_at_line_ends_are_dropped_unless_asked_for(tmp_path: Path) -> None:
    message = nested.mail("Hi", "One   \nTwo\n")
    assert "One\nTwo" in mail(tmp_path / "a.eml", message).text
    assert "One   \nTwo" in mail(tmp_path / "a.eml", message, clean_text=False).text


def test_encoding_is_used_where_a_mail_does_not_name_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(b"From: a@b.org\nSubject: x\n\n" + "Привет, как дела".encode("koi8-r"))
    probe = probe_file(path, "a.eml")
    assert "Привет" in parsers.build("EmailParser", {"encoding": "koi8-r"}).parse(probe, ParseLimits()).text


def test_html_is_read_where_the_plain_version_is_only_a_stub(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = "Offer", "ada@example.org"
    message.set_content("Please see the HTML version of this mail.")
    message.add_alternative("<p>The rent of the harbour office is 900 a month.</p>" * 10, subtype="html")
    assert "rent of the harbour office" in mail(tmp_path / "a.eml", message).text


def test_plain_version_is_read_where_the_html_says_no_more(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = "Offer", "ada@example.org"
    message.set_content("The rent of the office is 900 a month.")
    message.add_alternative("<p>The rent of the office is <b>900 a month</b> in HTML.</p>", subtype="html")
    assert "in HTML" not in mail(tmp_path / "a.eml", message).text


@pytest.mark.parametrize("parameters", ['; a="' + ";" * 200_000, "".join(f"; name*{at}=x" for at in range(40_000))])
@pytest.mark.parametrize("place", ["outer", "inner"])
def test_headers_of_endless_parameters_take_bounded_time(parameters: str, place: str, tmp_path: Path) -> None:
    hostile = f"Content-Type: text/plain{parameters}\n\nThe words of the mail.\n"
    if place == "inner":
        hostile = f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{hostile}\n--b--\n"
    path = make.text_file(tmp_path / "a.eml", f"From: ada@example.org\nSubject: Offer\n{hostile}")
    begin = time.process_time()
    assert "Offer" in read(path, "a.eml").text
    assert time.process_time() - begin < 1.5


def test_history_below_a_mail_is_a_section_of_its_own(tmp_path: Path) -> None:
    document = mail(tmp_path / "a.eml", nested.mail("Hi", HISTORY))
    assert [heading.title for heading in document.headings] == ["Hi", "On Mon, 1 Nov 2026 at 9:00, Bob wrote:"]


def test_compressed_rich_text_is_unpacked_as_specified() -> None:
    """The two examples of the specification."""
    first = "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    second = "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0"
    assert unpack_rtf(bytes.fromhex(first)) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert unpack_rtf(bytes.fromhex(second)) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
