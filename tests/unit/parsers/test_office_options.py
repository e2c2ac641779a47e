"""Options of the office parsers, and what becomes of damaged, locked and oversized files."""

import zipfile
from pathlib import Path

import pytest

from rag.errors import EncryptedFileError, LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.types import Document
from tests.contracts.office_vectors import OFFICE_VECTORS
from tests.fixtures import make_files as make
from tests.fixtures import office_files as office

OF = {vector.filename: vector for vector in OFFICE_VECTORS}
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
RUN = "<w:r><w:t>{}</w:t></w:r>"


def read(path: Path, filename: str | None = None, limits: ParseLimits | None = None, **options: object) -> Document:
    probe = probe_file(path, filename or path.name)
    parser = next(name for name in parsers if name != "TextParser" and parsers.build(name, {}).accepts(probe))
    return parsers.build(parser, options).parse(probe, limits or ParseLimits())


def sample(filename: str, folder: Path) -> Path:
    return OF[filename].write(folder / filename)


@pytest.mark.parametrize("kind", ["vnd.ms-word.document.macroEnabled.main+xml", "template.main+xml"])
def test_word_files_with_macros_and_templates_are_read(kind: str, tmp_path: Path) -> None:
    path = make.docx_file(tmp_path / "a.docm", ["Only words."])
    office.replace_in_part(path, "[Content_Types].xml", (WORD, f"application/{kind}"))
    assert read(path).text == "Only words."


def test_strict_word_file_says_how_to_save_it(tmp_path: Path) -> None:
    path = make.docx_file(tmp_path / "a.docx", ["x"])
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    strict = "http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument"
    with pytest.raises(UnreadableFileError, match="save it in the usual format"):
        read(office.replace_in_part(path, "_rels/.rels", (kind, strict)))


def test_numbers_of_headings_and_nested_lists_are_counted(tmp_path: Path) -> None:
    path = make.docx_file(
        tmp_path / "a.docx", [("number", "one"), ("number", "deep"), ("number", "two"), ("h1", "Scope")]
    )
    levels = (
        '<w:abstractNum w:abstractNumId="90"><w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="upperRoman"/>'
        '<w:lvlText w:val="%1."/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/>'
        '</w:lvl></w:abstractNum><w:num w:numId="91"><w:abstractNumId w:val="90"/></w:num></w:numbering>'
    )
    office.replace_in_part(path, "word/numbering.xml", ("</w:numbering>", levels))
    mark = '<w:numPr><w:ilvl w:val="{}"/><w:numId w:val="91"/></w:numPr></w:pPr><w:r><w:t>{}<'
    plain = "</w:pPr><w:r><w:t>{}<"
    changes = [(plain.format(word), mark.format(level, word)) for word, level in (("one", 0), ("deep", 1), ("two", 0))]
    changes.append((plain.format("Scope"), mark.format(0, "Scope")))
    document = read(office.replace_in_part(path, "word/document.xml", *changes))
    assert document.text == "III. one\n  III.a) deep\nIV. two\n\nV. Scope"
    assert [heading.title for heading in document.headings] == ["V. Scope"]


def test_notes_and_comments_follow_their_paragraph(tmp_path: Path) -> None:
    import docx

    source = docx.Document()
    paragraph = source.add_paragraph("The term is short.")
    source.add_comment(paragraph.runs, text="Too short?", author="Ada")
    source.add_paragraph("The end.")
    path = tmp_path / "a.docx"
    source.save(str(path))
    assert read(path).text == "The term is short.\n\nThe end."
    assert read(path, extract_comments=True).text == ("The term is short.\n[Comment by Ada: Too short?]\n\nThe end.")


def test_footnote_follows_its_paragraph(tmp_path: Path) -> None:
    path = make.docx_file(tmp_path / "a.docx", ["Two years", "The end."])
    office.replace_in_part(
        path,
        "word/_rels/document.xml.rels",
        ("</Relationships>", '<Relationship Id="rId99" Type="x/footnotes" Target="footnotes.xml"/></Relationships>'),
    )
    office.replace_in_part(
        path, "word/document.xml", ("Two years</w:t>", 'Two years</w:t><w:footnoteReference w:id="2"/>')
    )
    with zipfile.ZipFile(path, "a") as archive:
        name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
        notes = f'<w:footnotes xmlns:w="{name}"><w:footnote w:id="0" w:type="separator"><w:p>{RUN.format("---")}</w:p>'
        notes += f'</w:footnote><w:footnote w:id="2"><w:p>{RUN.format("From May.")}</w:p></w:footnote></w:footnotes>'
        archive.writestr("word/footnotes.xml", notes)
    assert read(path).text == "Two years[^2]\n[^2]: From May.\n\nThe end."


def test_word_text_without_formatting_has_only_the_words(tmp_path: Path) -> None:
    text = read(sample("lease.docx", tmp_path), preserve_formatting=False).text
    assert "see the annex" in text
    assert "first\n\nsecond" in text
    assert text.endswith("Room Area\nKitchen 12 m\nKitchen 3 | m")


def test_headers_and_footers_go_together_on_request(tmp_path: Path) -> None:
    path = make.docx_file(tmp_path / "a.docx", ["body", ("header", "top"), ("footer", "bottom")])
    assert read(path, include_header_footer=True).text == "top\n\nbody\n\nbottom"
    assert read(path, include_header_footer=False).text == "body"


def test_descriptions_of_pictures_are_read_on_request(tmp_path: Path) -> None:
    picture = make.png_file(tmp_path / "p.png")
    import docx

    source = docx.Document()
    source.add_paragraph("See:").add_run().add_picture(str(picture))
    path = tmp_path / "a.docx"
    source.save(str(path))
    office.replace_in_part(path, "word/document.xml", ('name="Picture 1"', 'name="Picture 1" descr="A red square"'))
    assert read(path).text == "See:"
    assert read(path, extract_images=True).text == "See:[Picture: A red square]"


def test_one_cell_table_is_a_frame_around_text(tmp_path: Path) -> None:
    assert read(make.docx_file(tmp_path / "a.docx", [("table", [["Remember the key."]])])).text == "Remember the key."


def test_presentation_options_choose_the_parts(tmp_path: Path) -> None:
    path = sample("plans.pptx", tmp_path)
    document = read(path, extract_notes=False, hidden_slides=False, extract_metadata=False)
    assert "Greet" not in document.text
    assert "Sales" not in document.text
    assert document.warnings == ("Hidden in the show, and left out: slide 3.",)
    assert document.metadata == {}
    with pytest.raises(LimitExceededError, match="4 slides, more than 2"):
        read(path, limits=ParseLimits(max_pages=2))


def test_slide_show_file_is_a_presentation(tmp_path: Path) -> None:
    path = office.pptx_file(tmp_path / "a.ppsx")
    office.replace_in_part(path, "[Content_Types].xml", ("presentation.main+xml", "slideshow.main+xml"))
    assert {page.unit for page in read(path).pages} == {"slide"}


def test_sheets_are_combined_on_request(tmp_path: Path) -> None:
    path = make.xlsx_file(tmp_path / "a.xlsx", {"A": [["n"], ["x"]], "B": [["n"], ["y"]]})
    document = read(path, combine_sheets=True)
    assert (document.text, document.parts, document.headings) == ("n: x\nn: y", (), ())


def test_values_and_formulas_are_told_apart_in_every_format(tmp_path: Path) -> None:
    cell = '<table:table-cell table:formula="of:=1+2" office:value-type="float" office:value="3"/>'
    sheet = office.ods_sheet("A", [["Name", "Sum"], ["x"]]).replace(
        "<text:p>x</text:p></table:table-cell>", f"<text:p>x</text:p></table:table-cell>{cell}"
    )
    path = office.odf_file(tmp_path / "a.ods", "spreadsheet", sheet)
    assert read(path).text == "A\nName: x; Sum: 3"
    assert read(path, data_only=False).text == "A\nName: x; Sum: =1+2"
    old = office.xls_file(tmp_path / "a.xls", {"A": [["Name"], ["x"]]})
    assert "cannot be shown" in read(old, extract_formulas=True).warnings[0]


def test_rows_after_a_blank_row_stay_in_their_table(tmp_path: Path) -> None:
    rows = [["Name", "Days"], ["Zoë", 27], [], ["Ben", "none yet"], [], ["Total", 27]]
    document = read(make.xlsx_file(tmp_path / "a.xlsx", {"A": rows}))
    assert document.text == "A\nName: Zoë; Days: 27\nName: Ben; Days: none yet\nName: Total; Days: 27"


def test_second_table_with_a_title_has_its_own_names(tmp_path: Path) -> None:
    rows = [["Name", "Days"], ["Zoë", 27], [], ["Sites"], ["City", "Code"], ["Bern", "BE"]]
    document = read(make.xlsx_file(tmp_path / "a.xlsx", {"A": rows}))
    assert document.text == "A\nName: Zoë; Days: 27\n\nSites\nCity: Bern; Code: BE"


def test_binary_workbook_says_how_to_save_it(tmp_path: Path) -> None:
    path = office.zip_file(tmp_path / "a.xlsb", {"xl/workbook.bin": b"x", "[Content_Types].xml": "<a/>"})
    with pytest.raises(UnreadableFileError, match=r"save it as \.xlsx"):
        read(path)


def test_comments_in_opendocument_texts_are_read_on_request(tmp_path: Path) -> None:
    assert "[Comment by Bo: Ask again]" in read(sample("lease.odt", tmp_path), extract_comments=True).text


@pytest.mark.parametrize("filename", ["lease.odt", "staff.ods", "plans.odp"])
def test_locked_opendocument_needs_its_password(filename: str, tmp_path: Path) -> None:
    path = sample(filename, tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("META-INF/manifest.xml", "<manifest><file-entry><encryption-data/></file-entry></manifest>")
    with pytest.raises(EncryptedFileError, match="password required"):
        read(path)


def test_book_with_rights_management_is_locked_and_scrambled_fonts_are_not(tmp_path: Path) -> None:
    with pytest.raises(EncryptedFileError, match="locked by its seller"):
        read(office.epub_file(tmp_path / "a.epub", encryption="http://www.w3.org/2001/04/xmlenc#aes128-cbc"))
    assert (
        "bowline" in read(office.epub_file(tmp_path / "b.epub", encryption="http://www.idpf.org/2008/embedding")).text
    )


def test_book_with_a_missing_page_is_read_and_said(tmp_path: Path) -> None:
    path = office.epub_file(tmp_path / "a.epub")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if "three" not in name}
    assert read(office.zip_file(path, parts)).warnings == ("1 of its 3 pages are listed and not in the file.",)


@pytest.mark.parametrize("filename", sorted(OF))
@pytest.mark.parametrize("keep", [0.4, 0.9])
def test_half_a_file_is_damaged_by_name(filename: str, keep: float, tmp_path: Path) -> None:
    path = make.truncate(sample(filename, tmp_path), keep)
    if filename.endswith(".rtf"):
        assert read(path).warnings == ("The file ends too early; what was there is read.",)
        return
    with pytest.raises(UnreadableFileError, match=f"'{filename}' is damaged: "):
        read(path)


@pytest.mark.parametrize(
    ("filename", "part"),
    [
        ("lease.docx", "word/document.xml"), ("plans.pptx", "ppt/slides/slide1.xml"), ("lease.odt", "content.xml"),
        ("staff.ods", "content.xml"), ("plans.odp", "content.xml"), ("tales.epub", "OEBPS/book.opf"),
        ("sales.xlsx", "xl/worksheets/sheet1.xml"),
    ],
)  # fmt: skip
def test_broken_markup_is_damaged_by_name(filename: str, part: str, tmp_path: Path) -> None:
    path = sample(filename, tmp_path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = parts[part][: len(parts[part]) // 2]
    with pytest.raises(UnreadableFileError, match=f"'{filename}' is damaged: "):
        read(office.zip_file(path, parts), filename)


def test_repeated_rows_that_would_never_end_are_refused(tmp_path: Path) -> None:
    row = (
        '<table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="16000" '
    )
    row += 'office:value-type="string"><text:p>NA</text:p></table:table-cell></table:table-row>'
    path = office.odf_file(tmp_path / "a.ods", "spreadsheet", f'<table:table table:name="A">{row * 2}</table:table>')
    with pytest.raises(LimitExceededError, match="LF_MAX_TEXT_CHARS"):
        read(path, limits=ParseLimits(max_text_chars=100_000))


def test_deeply_nested_groups_of_rich_text_are_refused(tmp_path: Path) -> None:
    path = office.rtf_file(tmp_path / "a.rtf", "{" * 20_000)
    with pytest.raises(UnreadableFileError, match="nest deeper"):
        read(path)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"a\line b\tab c\par", "a\nb\tc"),
        (r"{\upr{\'5b?}{\*\ud{\u1055?}}}\par", "П"),
        (r"\uc2\u8364\'80\'80 x\uc1\par", "€ x"),
        (r"{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt boxed\par}}anchor\par", "anchor\n\nboxed"),
        (r"a{\*\unknown gone}b{\bin3 }}}c\par", "abc"),
        (r"\'93quoted\'94 \~ \_ \-end\par", "“quoted”   - end"),
    ],
    ids=["breaks", "unicode pair", "replacements", "text box", "unknown groups", "marks"],
)
def test_rich_text_reads_as_it_looks(body: str, text: str, tmp_path: Path) -> None:
    assert read(office.rtf_file(tmp_path / "a.rtf", body)).text == text


def test_rich_text_without_words_has_no_text(tmp_path: Path) -> None:
    with pytest.raises(NoTextError):
        read(office.rtf_file(tmp_path / "a.rtf", r"\par"))


def test_locked_excel_97_workbook_needs_its_password(tmp_path: Path) -> None:
    path = office.xls_file(tmp_path / "a.xls", {"A": [["Name"], ["x"]]})
    content = path.read_bytes()
    interface_header, file_pass = b"\xe1\x00\x02\x00", b"\x2f\x00\x02\x00"
    assert interface_header in content
    path.write_bytes(content.replace(interface_header, file_pass, 1))
    with pytest.raises(EncryptedFileError, match="password required"):
        read(path)


def test_rich_text_in_a_code_page_that_does_not_exist_is_read_as_western(tmp_path: Path) -> None:
    path = office.rtf_file(tmp_path / "a.rtf", r"\ansicpg12 caf\'e9\par")
    assert read(path).text == "café"
