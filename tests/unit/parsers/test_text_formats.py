"""Text, Markdown, CSV, JSON and HTML: encodings, options, limits, hostile input."""

import json
import time
from pathlib import Path

import pytest

from rag.errors import LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.csv import sniff_delimiter
from rag.parsers.decoding import decode
from rag.parsers.detect import probe_file
from rag.parsers.markdown import find_headings
from rag.types import Document
from tests.fixtures import make_files as make


def read(path: Path, limits: ParseLimits | None = None, *, name: str = "auto", **options: object) -> Document:
    return parsers.build(name, options).parse(probe_file(path, path.name), limits or ParseLimits())


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Größe élan €", "cp1252"),
        ("Le café était fermé à Noël; il a été déçu.", "latin-1"),
        ("Привет, мир. Это русский текст для проверки. " * 10, "cp1251"),
        ("Dnes je hezký den a půjdeme na procházku. Už přišel, že žijeme šťastně. " * 10, "cp1250"),
        ("これは日本語の文章です。検索のために使います。" * 5, "shift_jis"),
        ("日本語 😀", "utf-16"),
        ("plain", "utf-16-be"),
        ("emoji 😀", "utf-8-sig"),
    ],
    ids=["short german", "french", "russian", "czech", "japanese", "utf-16", "unmarked utf-16", "utf-8 mark"],
)
def test_encoding_is_found(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


def test_named_encoding_is_tried_first_and_given_up_when_it_does_not_fit() -> None:
    assert decode("ł".encode("cp1250"), "cp1250") == ("ł", "cp1250")
    assert decode("élan".encode("cp1252"), "utf-8") == ("élan", "cp1252")
    assert decode(b"plain", "no-such-encoding") == ("plain", "utf-8")


def test_too_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "a.txt", "x" * 9000)
    with pytest.raises(LimitExceededError, match=r"9,000 bytes, more than 2,000 characters .*LF_MAX_TEXT_CHARS"):
        read(path, ParseLimits(max_text_chars=2000))


def test_one_line_of_megabytes_takes_linear_time(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "a.txt", "word " * 1_000_000 + " " * 2_000_000 + "end")
    for filename in ("a.txt", "a.md"):
        begin = time.process_time()
        parsers.build("auto", {}).parse(probe_file(path, filename), ParseLimits())
        assert time.process_time() - begin < 3.0


def test_text_clean_up_can_be_switched_off(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "a.txt", "a  \n\n\n\n\nb")
    assert read(path, name="TextParser").text == "a\n\n\nb"
    assert read(path, name="TextParser", clean_text=False).text == "a  \n\n\n\n\nb"


@pytest.mark.parametrize("filename", ["a.html", "a.json", "a.md", "a.csv", "a.log"])
def test_text_parser_reads_every_text_format_as_written(filename: str, tmp_path: Path) -> None:
    path = make.text_file(tmp_path / filename, "<b>[1, 2]</b>")
    assert read(path, name="TextParser").text == "<b>[1, 2]</b>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# One\n## Two ##\n####### Seven\n#nospace", [(1, "One"), (2, "Two")]),
        ("Title\n===\n\nSub\n---\n\n---\n", [(1, "Title"), (2, "Sub")]),
        ("~~~\n# no\n~~~ \n# yes", [(1, "yes")]),
        ("````\n```\n# no\n````\n# yes", [(1, "yes")]),
        ("- item\n---\n    # code\n> quote\n---", []),
        ("# \n#\n###", []),
    ],
    ids=["atx", "setext", "tilde fence", "longer fence", "rules", "empty"],
)
def test_markdown_headings(text: str, expected: list[tuple[int, str]]) -> None:
    headings = list(find_headings(text))
    assert [(heading.level, heading.title) for heading in headings] == expected
    assert all(text[heading.start :].lstrip("# ").startswith(heading.title) for heading in headings)


def test_table_without_rows_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoTextError, match="a header but no rows"):
        read(make.csv_file(tmp_path / "a.csv", [["Name", "City"]]))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_detected(delimiter: str) -> None:
    rows = [["Name", "City", "Note"], ["Ada", "Bern", "first; then, at last | or"], ["Ben", "Rome", "tab\tstop, too"]]
    lines = [delimiter.join(f'"{cell}"' for cell in row) for row in rows]
    assert sniff_delimiter("\n".join(lines)) == delimiter


def test_commas_in_prose_do_not_hide_the_delimiter() -> None:
    assert sniff_delimiter("Name;Note\nAda;one, two, three\nBen;four, five") == ";"


def test_configured_delimiter_gives_way_when_the_header_lacks_it(tmp_path: Path) -> None:
    path = make.csv_file(tmp_path / "a.csv", [["Name", "City"], ["Ada", "Bern"]], delimiter=";")
    document = read(path, name="CSVParser", delimiter=",")
    assert document.text == "Name: Ada; City: Bern"
    assert "separated by ';'" in document.warnings[0]


def test_csv_options_shape_the_rows(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "a.csv", "made by a machine\nn,c\nAda,-\n")
    options = {"skiprows": 1, "field_mapping": {"n": "Name"}, "na_values": ["-"]}
    assert read(path, name="CSVParser", **options).text == "Name: Ada"


def test_unclosed_quote_over_megabytes_is_unreadable(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "a.csv", 'a,b\n"' + "x" * 1_500_000)
    with pytest.raises(UnreadableFileError, match=r"'a\.csv', line 2"):
        read(path)


def test_invalid_json_names_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="line 2, column 7"):
        read(make.text_file(tmp_path / "a.json", '{"a": 1,\n "b": }'))
    with pytest.raises(UnreadableFileError, match="line 2, column 6"):
        read(make.text_file(tmp_path / "a.jsonl", '{"a": 1}\n{"b":'))


def test_json_named_file_of_json_lines_is_read(tmp_path: Path) -> None:
    assert read(make.text_file(tmp_path / "a.json", '{"a": 1}\n{"a": 2}\n')).text == "a: 1\n\na: 2"


def test_json_keeps_numbers_as_written(tmp_path: Path) -> None:
    assert (
        read(make.text_file(tmp_path / "a.json", '{"price": 1.10, "big": 1e400}')).text == "price: 1.10\n\nbig: 1e400"
    )


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 500 + "]" * 500], ids=["hostile", "deep"])
def test_deep_json_is_unreadable(text: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="nested deeper than 200 levels"):
        read(make.text_file(tmp_path / "a.json", text))


def test_json_whose_text_would_explode_is_stopped_early(tmp_path: Path) -> None:
    """A long key is repeated in the path of every value below it."""
    path = make.text_file(tmp_path / "a.json", json.dumps({"k": {"x" * 500_000: [1] * 5000}}))
    with pytest.raises(LimitExceededError, match="LF_MAX_TEXT_CHARS"):
        read(path)


@pytest.mark.parametrize("value", [[], {}, None, [None, ""]], ids=str)
def test_json_without_values_has_no_text(value: object, tmp_path: Path) -> None:
    with pytest.raises(NoTextError):
        read(make.json_file(tmp_path / "a.json", value))


def test_page_of_scripts_has_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError, match="without its scripts"):
        read(make.html_file(tmp_path / "a.html", "<script>app()</script>"))


def test_hostile_nesting_is_refused_quickly(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "a.html", "<div>" * 100_000 + "text")
    begin = time.process_time()
    with pytest.raises(UnreadableFileError, match="nest deeper"):
        read(path)
    assert time.process_time() - begin < 3.0


def test_layout_tables_and_preformatted_text_are_read(tmp_path: Path) -> None:
    body = "<table><tr><td>out<table><tr><td>in</td></tr></table></td><td>side</td></tr></table><pre>a\n  b</pre>"
    text = read(make.html_file(tmp_path / "a.html", body)).text
    assert all(word in text for word in ("out", "| in |", "side", "a\n  b"))


def test_a_hundred_thousand_columns_are_read_in_bounded_time_and_metadata(tmp_path: Path) -> None:
    names, cells = [",".join(f"{kind}{number}" for number in range(100_000)) for kind in ("column", "cell")]
    begin = time.process_time()
    document = read(make.text_file(tmp_path / "a.csv", f"{names}\n{cells}\n"))
    assert time.process_time() - begin < 5.0
    assert document.text.endswith("column99999: cell99999")
    assert len(str(document.metadata["columns"])) < 3_000


def test_a_page_of_menus_alone_is_read_all_the_same(tmp_path: Path) -> None:
    assert "Opening hours" in read(make.html_file(tmp_path / "a.html", "<nav><p>Opening hours</p></nav>")).text
