"""Text, Markdown, CSV, JSON and HTML: encodings, options, limits, hostile input."""

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest

from rag.errors import LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.csv import sniff_delimiter
from rag.parsers.decoding import decode
from rag.parsers.detect import probe_file
from rag.parsers.markdown import find_headings
from rag.pipelines.ingest import parse_file
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
    assert decode("ł".encode("cp1250"), "cp1250")[:2] == ("ł", "cp1250")
    assert decode("élan".encode("cp1252"), "utf-8")[:2] == ("élan", "cp1252")
    assert decode(b"plain", "no-such-encoding")[:2] == ("plain", "utf-8")


MIXED = {
    "western": ("Grüße aus Köln, Ñandú", "cp1252"),
    "cyrillic": ("Это строка в старой кодировке, и она достаточно длинная", "cp1251"),
}


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("suffix", ["csv", "txt", "md", "html", "rst"])
def test_lines_of_two_encodings_are_each_read_as_what_they_are(tmp_path: Path, suffix: str, name: str) -> None:
    line, encoding = MIXED[name]
    head = "<p>" if suffix == "html" else "name,place\n" if suffix == "csv" else ""
    parts = [f"{head}{number} {line}, zehn €\n".encode() for number in range(5)]
    parts += [f"{number} {line}, zehn\n".encode(encoding) for number in range(5, 10)]
    path = tmp_path / f"mixed.{suffix}"
    path.write_bytes(b"".join(parts))
    document = read(path)
    where = [document.text.find(f"{number} {line.split(',')[0]}") for number in range(10)]
    assert min(where) >= 0, document.text
    assert any("5 lines" in warning and encoding in warning for warning in document.warnings), document.warnings


def test_a_wrong_byte_spoils_neither_its_line_nor_the_others() -> None:
    raw = "Это хорошо\nПривет, ?мир\n".encode().replace(b"?", b"\xe4")
    decoded = decode(raw)
    assert decoded.text == "Это хорошо\nПривет, äмир\n"
    assert len(decoded.warnings) == 1


def test_a_chinese_table_with_lines_that_are_utf8_by_chance_stays_in_its_own_encoding() -> None:
    text = "".join(
        f"{number},{word}\n" for number, word in enumerate(["女", "男", "北京大学的学生", "女", "上海"] * 20)
    )
    assert decode(text.encode("gb18030")).text == text


def test_entities_that_grow_beyond_measure_are_told_in_words_of_ours(tmp_path: Path) -> None:
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise(names))
    path = tmp_path / "bomb.xml"
    path.write_text(f'<!DOCTYPE x [<!ENTITY a "ha">{entities}]><x>&j;</x>')
    with pytest.raises(UnreadableFileError, match="entities stand for far more text") as refused:
        read(path)
    assert "xmlCtxt" not in str(refused.value)


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


def test_merged_cells_of_a_page_keep_the_columns(tmp_path: Path) -> None:
    path = make.text_file(
        tmp_path / "a.html",
        "<table><thead><tr><th rowspan=2>Region<th colspan=2>2024<tr><th>Q1<th>Q2</thead>"
        "<tr><td rowspan=9>North<td>1<td>2<tr><td>3<td>4</tbody><tbody><tr><td>South<td colspan='2'>none</table>",
    )
    assert read(path).text.split("\n") == [
        "| Region | 2024 |  |",
        "| --- | --- | --- |",
        "| Region | Q1 | Q2 |",
        "| North | 1 | 2 |",
        "| North | 3 | 4 |",
        "| South | none |  |",
    ]


def test_cells_that_claim_to_be_huge_cost_no_more_than_their_text(tmp_path: Path) -> None:
    cells = "<td rowspan=99999999999 colspan=99999>wide words</td>" * 300
    path = make.text_file(tmp_path / "a.html", f"<table><tr>{cells}</tr>{'<tr><td>x</td></tr>' * 300}</table>")
    text = read(path).text
    assert text.count("\n") == 301
    assert len(text) < 1_000_000


def test_cells_before_a_table_within_a_table_are_kept(tmp_path: Path) -> None:
    path = make.text_file(
        tmp_path / "a.html",
        "<table><tr><td>Alpha</td><td>Beta<table><tr><td>x</td><td>y</td></tr></table></td></tr></table>",
    )
    text = read(path).text
    assert "| Alpha | Beta |" in text
    assert "| x | y |" in text


def test_nested_data_repeats_no_long_paths(tmp_path: Path) -> None:
    names = [f"level-{number:03}-of-the-nested-elements" for number in range(150)]
    inner = "<leaf>value</leaf>" * 4_000
    path = make.text_file(
        tmp_path / "a.xml",
        "".join(f"<{each}>" for each in names) + inner + "".join(f"</{each}>" for each in names[::-1]),
    )
    text = read(path).text
    assert text.count(f"{names[-1]}.leaf: value") == 4_000
    assert len(text) < 4 * path.stat().st_size


def test_limit_on_the_text_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = make.text_file(tmp_path / "a.txt", "words " * 500)
    with pytest.raises(LimitExceededError, match=r"^'a.txt': the text is longer than 2,000 characters"):
        read(path, ParseLimits(max_text_chars=2000))


@pytest.mark.parametrize(("filename", "wanted"), [("old.doc", "save it as .docx"), ("OLD.PPT", "save it as .pptx")])
def test_old_office_files_are_refused_with_the_way_out(filename: str, wanted: str, tmp_path: Path) -> None:
    path = tmp_path / filename
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(9_000))
    with pytest.raises(UnreadableFileError, match=wanted):
        read(path)
    with pytest.raises(UnreadableFileError, match=wanted):
        parse_file(probe_file(path, filename), [], ParseLimits())


def test_a_hundred_thousand_columns_are_read_in_bounded_time_and_metadata(tmp_path: Path) -> None:
    names, cells = [",".join(f"{kind}{number}" for number in range(100_000)) for kind in ("column", "cell")]
    begin = time.process_time()
    document = read(make.text_file(tmp_path / "a.csv", f"{names}\n{cells}\n"))
    assert time.process_time() - begin < 5.0
    assert document.text.endswith("column99999: cell99999")
    assert len(str(document.metadata["columns"])) < 3_000


def test_a_page_of_menus_alone_is_read_all_the_same(tmp_path: Path) -> None:
    assert "Opening hours" in read(make.html_file(tmp_path / "a.html", "<nav><p>Opening hours</p></nav>")).text


def test_front_matter_keeps_lists_and_the_types_of_its_values(tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_text(
        "---\ntitle: Notes: a start\nlevel: 3\nshare: -0.5\ndraft: true\nzip: 01067\n"
        "year: '2024'\ndate: 2026-11-02\n"
        'tags: [a, "b c", \'d\']\nauthors:\n  - Ada\n  - "Bo"\nempty: []\n'
        "deep: [[1], 2]\nnested:\n  key: value\npeople:\n- name: Ada\n---\nText.\n"
    )
    assert read(path).metadata == {
        "title": "Notes: a start", "level": 3, "share": -0.5, "draft": True, "zip": "01067", "year": "2024",
        "date": "2026-11-02", "tags": "a, b c, d", "authors": "Ada, Bo",
    }  # fmt: skip


RST = """Title
=====

.. note:: Mind the step.

.. code-block:: python
   :linenos:

   door.open()

+-------+----------+
| Name  | Use      |
+=======+==========+
| lock  | keeps it |
|       | shut     |
+-------+----------+
| hinge | a|b      |
+-------+----------+

=====  ======
Room   Floor
=====  ======
Attic  3
Hall   1, by
       the door
=====  ======

+------+------+
| reaches over|
+------+------+
"""


def test_tables_and_directives_of_restructured_text_are_read_without_their_marks(tmp_path: Path) -> None:
    path = tmp_path / "house.rst"
    path.write_text(RST)
    text = read(path).text
    assert "| Name | Use |\n| --- | --- |\n| lock | keeps it shut |\n| hinge | a\\|b |" in text
    assert "| Room | Floor |\n| --- | --- |\n| Attic | 3 |\n| Hall | 1, by the door |" in text
    assert "+------+------+\n| reaches over|\n" in text
    assert "door.open()" in text
    assert "Mind the step." in text
    assert not [mark for mark in ("::", "note", "linenos", "python", "+===") if mark in text]
