"""What is to be made of office files and books: one row per file."""

import datetime as dt
from pathlib import Path

from tests.contracts.vector import Vector
from tests.fixtures import make_files as make
from tests.fixtures import office_files as office

_DATE = dt.date(2024, 3, 1)
_STAFF = {"Staff": [["Name", "Days", "Since"], ["Zoë", 27, _DATE], ["Ben", 2.5, None]], "Sites": [["City"], ["Bern"]]}
_STAFF_ROWS = ("Name: Zoë; Days: 27; Since: 2024-03-01", "Name: Ben; Days: 2.5", "City: Bern")
_HIDDEN_STYLE = (
    '<style:style style:name="ta2" style:family="table"><style:table-properties table:display="false"/></style:style>'
)

_ODT_STYLES = """
    <style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>
    <text:list-style style:name="L1">
      <text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
      <text:list-level-style-bullet text:level="2" text:bullet-char="x"/></text:list-style>"""
_ODT = """
    <text:tracked-changes><text:changed-region><text:deletion><text:p>deleted words</text:p></text:deletion>
      </text:changed-region></text:tracked-changes>
    <text:table-of-content><text:index-body><text:p>Contents 1</text:p></text:index-body></text:table-of-content>
    <text:p text:style-name="P1">Lease</text:p>
    <text:h text:outline-level="2">Term</text:h>
    <text:p>Two<text:s text:c="2"/>years<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation>
      <text:note-body><text:p>From May on.</text:p></text:note-body></text:note> for
      <text:a xlink:href="https://example.org/x">all rooms</text:a>.<office:annotation><dc:creator>Bo</dc:creator>
      <text:p>Ask again</text:p></office:annotation></text:p>
    <text:list text:style-name="L1"><text:list-item><text:p>rent</text:p>
      <text:list><text:list-item><text:p>monthly</text:p></text:list-item></text:list></text:list-item>
      <text:list-item><text:p>deposit</text:p></text:list-item></text:list>
    <table:table><table:table-header-rows><table:table-row>
        <table:table-cell><text:p>Room</text:p></table:table-cell>
        <table:table-cell><text:p>Area</text:p></table:table-cell>
      </table:table-row></table:table-header-rows>
      <table:table-row><table:table-cell table:number-rows-spanned="2"><text:p>Kitchen</text:p></table:table-cell>
        <table:table-cell><text:p>12 m</text:p></table:table-cell></table:table-row>
      <table:table-row><table:covered-table-cell/><table:table-cell><text:p>3 m</text:p></table:table-cell>
      </table:table-row></table:table>
    <text:p>See the note<draw:frame><draw:text-box><text:p>Boxed words</text:p></draw:text-box></draw:frame></text:p>
    <text:section><text:p>Signed in Genève.</text:p></text:section>"""

_ODP_STYLES = (
    '<style:style style:name="dp2" style:family="drawing-page">'
    '<style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
)
_ODP = """
    <draw:page><draw:frame presentation:class="outline" svg:x="2cm" svg:y="5cm"><draw:text-box><text:list>
        <text:list-item><text:p>Grow</text:p></text:list-item><text:list-item><text:p>Rest</text:p></text:list-item>
      </text:list></draw:text-box></draw:frame>
      <draw:frame presentation:class="title" svg:x="2cm" svg:y="1cm"><draw:text-box><text:p>Goals</text:p>
      </draw:text-box></draw:frame>
      <draw:g><draw:custom-shape svg:x="1cm" svg:y="3cm"><text:p>in a shape</text:p></draw:custom-shape></draw:g>
      <presentation:notes><draw:frame><draw:text-box><text:p>Greet Zoë.</text:p></draw:text-box></draw:frame>
      </presentation:notes></draw:page>
    <draw:page draw:style-name="dp2"><draw:frame><draw:text-box><text:p>later plans</text:p></draw:text-box>
      </draw:frame></draw:page>"""

_RTF_HEAD = (
    r"{\info{\title Harbour rules}{\author Zo\'eb}}{\header \pard Confidential\par}{\footer \pard Page foot\par}"
)
_RTF = r"""
\pard\s1 Mooring\par
\pard\plain Boats moor at the {\b north} quay \endash  caf\'e9, \u8364?uro, \u-10179?\u-8704? too.{\super\chftn
{\footnote \pard {\super\chftn} Only in summer.}}\par
\pard\f1 \'cf\'f0\'e8\'e2\'e5\'f2\f0\par\pard\f2 \'93\'fa\'96\'7b\f0\par
{\v hidden words}{\deleted removed words}{\field{\*\fldinst HYPERLINK "https://example.org/r"}{\fldrslt the rules}}\par
\pard{\listtext\'b7\tab}\ls1 rope\par{\listtext 2.\tab}\ilvl1 hook\par
\pard\trowd\cellx1000\cellx2000\intbl Berth\cell Price\cell\row\trowd\cellx1000\cellx2000\intbl A1\cell 12 \'80\cell\row
\pard\outlinelevel1 Fees\par\pard After the table.{\pict\pngblip 89504e47}\par
"""


def _rich_docx(path: Path) -> Path:
    run = '<w:r><w:t xml:space="preserve">{}</w:t></w:r>'
    link = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>HYPERLINK "https://example.org/a"</w:instrText>'
        f'</w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>{run.format("the annex")}'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    tracked = (
        f'<w:ins w:id="1" w:author="A">{run.format("1200")}</w:ins>'
        '<w:del w:id="2" w:author="A"><w:r><w:delText>900</w:delText></w:r></w:del>'
    )
    box = (
        f"<w:r><w:pict><w:txbxContent><w:p>{run.format('Boxed words')}</w:p></w:txbxContent></w:pict></w:r>"
        f"<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden words</w:t></w:r>"
    )
    blocks = [
        "The rent is MARK", ("number", "first"), ("number", "second"), "Between.", ("number", "third"),
        ("table", [["Room", "Area"], ["Kitchen", "12 m"], ["BELOW", "3 | m"]]),
    ]  # fmt: skip
    make.docx_file(path, blocks)
    cell = '<w:tc><w:tcPr><w:tcW w:type="dxa" w:w="4320"/></w:tcPr><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>'
    merged = "<w:tc><w:tcPr><w:vMerge{}/></w:tcPr><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    return office.replace_in_part(
        path,
        "word/document.xml",
        (
            "<w:t>The rent is MARK</w:t></w:r>",
            f"{run.format('The rent is ')[5:]}{tracked}{run.format(', see ')}{link}{box}",
        ),
        (cell.format("Kitchen"), merged.format(' w:val="restart"', "Kitchen")),
        (cell.format("BELOW"), merged.format("", "")),
    )


OFFICE_VECTORS = [
    Vector(
        "word file with tracked changes, links, boxes, numbers and merged cells",
        "DocxParser",
        "lease.docx",
        _rich_docx,
        contains=(
            "The rent is 1200, see [the annex](https://example.org/a)", "Boxed words", "1. first\n2. second",
            "Between.", "3. third", "| Room | Area |\n| --- | --- |\n| Kitchen | 12 m |\n| Kitchen | 3 \\| m |",
        ),
        lacks=("900", "hidden words", "HYPERLINK"),
    ),
    Vector(
        "presentation",
        "PresentationParser",
        "plans.pptx",
        office.pptx_file,
        contains=(
            "Goals 2025", "- Grow\n  - in the north", "Notes: Greet Zoë first.", "Two columns",
            "on top [of it](https://example.org/plan)", "on the left", "on the right", "below both",
            "| Room | Area |\n| --- | --- |\n| Kitchen | 12 m |\n| Kitchen | 3 m |", "Slide 3", "Chart: Sales",
            "|  | Q1 |\n| --- | --- |\n| East | 19.2 |",
        ),
        pages=(("Greet Zoë", 1), ("on the left", 2), ("East", 3)),
        page_unit="slide",
        headings=((1, "Goals 2025"), (1, "Two columns"), (1, "Slide 3")),
        empty_pages=(4,),
        metadata=(("title", "Plans"),),
        warnings=("Hidden in the show, and read all the same: slide 3.",),
    ),
    Vector(
        "OpenDocument presentation",
        "PresentationParser",
        "plans.odp",
        lambda path: office.odf_file(path, "presentation", _ODP, styles=_ODP_STYLES),
        contains=("Goals", "in a shape", "- Grow\n- Rest", "Notes: Greet Zoë.", "Slide 2", "later plans"),
        pages=(("Greet Zoë", 1), ("later plans", 2)),
        page_unit="slide",
        headings=((1, "Goals"), (1, "Slide 2")),
        metadata=(("title", "Lease"), ("author", "Ada")),
        warnings=("slide 2",),
    ),
    Vector(
        "workbook with merged names, two tables, an error and a hidden sheet",
        "ExcelParser",
        "sales.xlsm",
        office.rich_xlsx_file,
        contains=("Sales", "Annual report", "Region: North", "Sales (table 2)", "Staff: Zoë", "Rates", "Key: v1"),
        lacks=("#REF!", "estimated"),
        headings=((1, "Sales"), (2, "Annual report"), (2, "Sales (table 2)"), (1, "Rates")),
        rows=(
            "Region: North; 2024 Q1: 1; 2024 Q2: 2; 2025 Q1: 3; 2025 Q2: 4",
            "Region: North; 2024 Q1: 5; 2024 Q2: 6; 2025 Q1: 7", "Staff: Zoë; Role: Cook", "Key: v1",
        ),
        parts=(("sheet", "Sales", "Staff: Zoë"), ("sheet", "Rates", "Key: v1")),
        warnings=("Sheet 'Rates' is hidden", "Sheet 'Sales': cells left out"),
    ),
    Vector(
        "notes on cells, on request",
        "ExcelParser",
        "sales.xlsx",
        office.rich_xlsx_file,
        contains=("2024 Q1: 1 (note: estimated)",),
        headings=((1, "Sales"), (2, "Annual report"), (2, "Sales (table 2)")),
        rows=(
            "Region: North; 2024 Q1: 1 (note: estimated); 2024 Q2: 2; 2025 Q1: 3; 2025 Q2: 4",
            "Region: North; 2024 Q1: 5; 2024 Q2: 6; 2025 Q1: 7", "Staff: Zoë; Role: Cook",
        ),
        warnings=("Sheet 'Sales'",),
        options={"extract_comments": True, "sheets": ["Sales"]},
    ),
    Vector(
        "Excel 97 workbook",
        "ExcelParser",
        "staff.xls",
        lambda path: office.xls_file(path, _STAFF, hidden="Sites"),
        contains=("Staff", "Zoë", "Sites", "City: Bern"),
        headings=((1, "Staff"), (1, "Sites")),
        rows=_STAFF_ROWS,
        parts=(("sheet", "Staff", "Ben"), ("sheet", "Sites", "Bern")),
        metadata=(("sheet_names", "Staff, Sites"),),
        warnings=("Sheet 'Sites' is hidden",),
    ),
    Vector(
        "OpenDocument workbook",
        "ExcelParser",
        "staff.ods",
        lambda path: office.odf_file(
            path,
            "spreadsheet",
            office.ods_sheet("Staff", _STAFF["Staff"]) + office.ods_sheet("Sites", _STAFF["Sites"], style="ta2"),
            styles=_HIDDEN_STYLE,
        ),
        contains=("Staff", "Zoë", "Sites", "City: Bern"),
        headings=((1, "Staff"), (1, "Sites")),
        rows=_STAFF_ROWS,
        parts=(("sheet", "Staff", "Ben"), ("sheet", "Sites", "Bern")),
        metadata=(("sheet_names", "Staff, Sites"), ("author", "Ada")),
        warnings=("Sheet 'Sites' is hidden",),
    ),
    Vector(
        "OpenDocument text",
        "OpenDocumentParser",
        "lease.odt",
        lambda path: office.odf_file(
            path, "text", _ODT, styles=_ODT_STYLES, margins="<style:header><text:p>Draft</text:p></style:header>"
        ),
        contains=(
            "Draft", "Lease", "Term", "Two  years[^1] for [all rooms](https://example.org/x).\n[^1]: From May on.",
            "1. rent\n  - monthly\n2. deposit",
            "| Room | Area |\n| --- | --- |\n| Kitchen | 12 m |\n| Kitchen | 3 m |", "See the note", "Boxed words",
            "Signed in Genève.",
        ),
        lacks=("deleted words", "Contents", "Ask again"),
        headings=((1, "Lease"), (2, "Term")),
        metadata=(("title", "Lease"), ("author", "Ada")),
    ),
    Vector(
        "rich text",
        "RTFParser",
        "harbour.rtf",
        lambda path: office.rtf_file(path, _RTF, head=_RTF_HEAD),
        contains=(
            "Confidential", "Mooring", "the north quay – café, €uro, 😀 too.[^1]\n[^1]: Only in summer.", "Привет",
            "日本", "[the rules](https://example.org/r)", "- rope\n  2. hook",
            "| Berth | Price |\n| --- | --- |\n| A1 | 12 € |", "Fees", "After the table.",
        ),
        lacks=("hidden words", "removed words", "89504e47", "Page foot", "Arial", "Riched20", "HYPERLINK"),
        headings=((1, "Mooring"), (2, "Fees")),
        metadata=(("title", "Harbour rules"), ("author", "Zoë")),
    ),
    *[
        Vector(
            f"book with {kind}",
            "EPUBParser",
            "tales.epub",
            lambda path, kind=kind: office.epub_file(path, navigation=kind),
            contains=("The Mast", "It is tall.", "Wood", "oak", "The Rope", "tied with a bowline", "More about ropes."),
            lacks=("Cover words", "Contents"),
            headings=((1, "The Mast"), (2, "Wood"), (1, "The Rope")),
            parts=(("chapter", "The Mast", "oak"), ("chapter", "The Rope", "bowline"), ("chapter", "The Rope", "More")),
            metadata=(("title", "Sea Tales"), ("author", "Ada")),
        )
        for kind in ("nav", "ncx")
    ],
]  # fmt: skip
