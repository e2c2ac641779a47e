"""What each parser must make of files of known content: one row per file.

The rows of a large family stand in a file of their own and join below.
"""

from tests.contracts.nested_vectors import NESTED_VECTORS
from tests.contracts.office_vectors import OFFICE_VECTORS
from tests.contracts.pdf_vectors import PDF_VECTORS
from tests.contracts.vector import Vector
from tests.fixtures import make_files as make

__all__ = ["VECTORS", "Vector"]

_MARKDOWN = """
    ---
    title: Handbook
    tags: [a, b]
    ---
    # Leave #

    Every employee has 27 days.

    ```sh
    # not a heading
    ```
    Sick leave
    ----------
    ### C#
    """

_HTML = """
    <script>track()</script><style>p { color: red }</style>
    <h1>Opening <em>hours</em></h1><p>Monday &amp; Tuesday<br>9 to 5</p>
    <ul><li>North gate<ul><li>Lift</li></ul></li><li>South gate</li></ul>
    <h2>Prices</h2><table><tr><th>Ticket</th><th>Price</th></tr><tr><td>Adult</td><td>12 €</td></tr></table>
    """

_SITE = """
    <header><a href="/">Menu entry home</a></header><nav><ul><li>Menu entry</li></ul></nav>
    <main><header><h1>Harbour rules</h1></header>
    <p>See the <a href="https://a.example/tariff">tariff</a> or mail
    <a href="mailto:office@a.example">office@a.example</a>. <a href="javascript:void(0)">Print</a></p>
    <p hidden>Shown to nobody</p><div style="color: red; display: none">Shown to nobody</div>
    <table><tr><th>Ship</th><th>Fee</th></tr><tr><td>Brig</td><td>12</td></tr></table>
    <article><footer>Signed by the keeper</footer></article></main><footer>Imprint</footer>
    """

_DOCX = [
    ("header", "Confidential draft"),
    ("h1", "Lease"),
    "The term is two years.",
    ("h2", "Deposit"),
    ("bullet", "two months' rent"),
    ("number", "paid in advance"),
    ("table", [["Room", "Area"], ["Kitchen", "12 m"]]),
    "Signed in Genève.",
    ("footer", "Page footer"),
]

VECTORS = [
    *PDF_VECTORS,
    *NESTED_VECTORS,
    *OFFICE_VECTORS,
    Vector(
        "word file",
        "DocxParser",
        "lease.docx",
        lambda path: make.docx_file(path, _DOCX, title="Lease", author="Ada"),
        contains=(
            "Confidential draft", "The term is two years.", "- two months' rent\n1. paid in advance", "| Room | Area |",
            "| Kitchen | 12 m |", "Signed in Genève.",
        ),
        lacks=("Page footer",),
        headings=((1, "Lease"), (2, "Deposit")),
        metadata=(("title", "Lease"), ("author", "Ada")),
    ),
    Vector(
        "workbook",
        "ExcelParser",
        "staff.xlsx",
        lambda path: make.xlsx_file(
            path,
            {"Staff": [["Name", "Days"], ["Zoë", 27], [None, None], ["Ben", 2.5]], "Sites": [["City"], ["Bern"]]},
        ),
        contains=("Staff", "Name: Zoë; Days: 27", "Sites", "City: Bern"),
        headings=((1, "Staff"), (1, "Sites")),
        rows=("Name: Zoë; Days: 27", "Name: Ben; Days: 2.5", "City: Bern"),
        metadata=(("sheet_names", "Staff, Sites"),),
    ),
    Vector(
        "semicolon table in a legacy encoding",
        "CSVParser",
        "clients.csv",
        lambda path: make.csv_file(
            path, [["Name", "City"], ["Müller; Söhne", "Zürich"], ["", "NA"]], delimiter=";", encoding="cp1252"
        ),
        contains=("Name: Müller; Söhne; City: Zürich",),
        lacks=("NA",),
        rows=("Name: Müller; Söhne; City: Zürich",),
        metadata=(("columns", "Name, City"), ("row_count", 1)),
    ),
    Vector(
        "tab separated table",
        "CSVParser",
        "clients.tsv",
        lambda path: make.csv_file(path, [["Name", "Note"], ["Ada", "one, two"]], delimiter="\t"),
        contains=("Name: Ada; Note: one, two",),
        rows=("Name: Ada; Note: one, two",),
    ),
    Vector(
        "web page",
        "HTMLParser",
        "visit.html",
        lambda path: make.html_file(path, _HTML, title="Visit us"),
        contains=(
            "Opening hours", "Monday & Tuesday\n9 to 5", "- North gate\n  - Lift\n- South gate", "| Ticket | Price |",
            "| Adult | 12 € |",
        ),
        lacks=("track", "color", "<"),
        headings=((1, "Opening hours"), (2, "Prices")),
        metadata=(("title", "Visit us"),),
    ),
    Vector(
        "web page with menus, links and a table",
        "HTMLParser",
        "site.html",
        lambda path: make.html_file(path, _SITE),
        contains=(
            "Harbour rules", "See the tariff (https://a.example/tariff) or mail office@a.example.",
            "| Ship | Fee |\n| --- | --- |\n| Brig | 12 |", "Signed by the keeper",
        ),
        lacks=("Menu entry", "Shown to nobody", "Imprint", "javascript", "mailto"),
        headings=((1, "Harbour rules"),),
    ),
    Vector(
        "web page in a declared legacy encoding",
        "HTMLParser",
        "page.htm",
        lambda path: make.html_file(path, "<p>日本語のページ</p>", charset="shift_jis"),
        contains=("日本語のページ",),
    ),
    Vector(
        "markdown",
        "MarkdownParser",
        "handbook.md",
        lambda path: make.markdown_file(path, _MARKDOWN),
        contains=("# Leave #", "27 days", "# not a heading", "Sick leave\n----------"),
        headings=((1, "Leave"), (2, "Sick leave"), (3, "C#")),
        metadata=(("title", "Handbook"),),
    ),
    Vector(
        "json",
        "JSONParser",
        "stock.json",
        lambda path: make.json_file(
            path, {"shop": "Nord", "items": [{"id": 12345678901234567890, "tags": ["x", None]}]}
        ),
        contains=("shop: Nord", "items[0].id: 12345678901234567890\nitems[0].tags[0]: x"),
        lacks=("None", "null"),
        rows=("shop: Nord", "items[0].id: 12345678901234567890\nitems[0].tags[0]: x"),
    ),
    Vector(
        "json lines",
        "JSONParser",
        "events.jsonl",
        lambda path: make.jsonl_file(path, [{"at": "noon", "who": {"name": "Zoë"}}, {"at": "night", "ok": True}]),
        contains=("at: noon\nwho.name: Zoë", "at: night\nok: true"),
        rows=("at: noon\nwho.name: Zoë", "at: night\nok: true"),
    ),
    Vector(
        "text in UTF-16 with a mark",
        "TextParser",
        "note.txt",
        lambda path: make.text_file(path, "Größe\r\nund 日本語 😀", encoding="utf-16"),
        contains=("Größe\nund 日本語 😀",),
    ),
    Vector(
        "text in UTF-16 without a mark",
        "TextParser",
        "note.log",
        lambda path: make.text_file(path, "plain words", encoding="utf-16-le"),
        contains=("plain words",),
    ),
    Vector(
        "text in Windows-1252 with a NUL",
        "TextParser",
        "brief.txt",
        lambda path: make.text_file(
            path, "Größe – “élan”\x00 und noch etwas mehr Text dazu, damit es reicht", encoding="cp1252"
        ),
        contains=("Größe – “élan” und",),
    ),
]  # fmt: skip
