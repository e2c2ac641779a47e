"""What each parser must make of files of known content: one row per file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures import make_files as make


@dataclass(frozen=True)
class Vector:
    """A file and what its Document must show.

    Args:
        parser: the canonical name that reads it.
        filename: as the uploader would call it.
        write: makes the file.
        contains: phrases of the text, in this order.
        lacks: phrases that must not be in the text.
        pages: phrase → 1-based page it stands on.
        headings: (level, title) of every heading, in order.
        rows: the text of every row, in order.
        empty_pages: pages without a text layer.
        metadata: facts that must be among the metadata.
    """

    id: str
    parser: str
    filename: str
    write: Callable[[Path], Path]
    contains: tuple[str, ...]
    lacks: tuple[str, ...] = ("\x00", "\r", "\ufeff", "\ufffe")
    pages: tuple[tuple[str, int], ...] = ()
    headings: tuple[tuple[int, str], ...] = ()
    rows: tuple[str, ...] = ()
    empty_pages: tuple[int, ...] = ()
    metadata: tuple[tuple[str, str | int], ...] = ()


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
    Vector(
        "born-digital pdf",
        "PDFParser",
        "report.pdf",
        lambda path: make.pdf_file(
            path, ["First page\nof the report", "Second page: café"], title="Report", author="Ada"
        ),
        contains=("First page\nof the report", "Second page: café"),
        pages=(("of the report", 1), ("café", 2)),
        metadata=(("title", "Report"), ("author", "Ada")),
    ),
    Vector(
        "pdf with a scanned page",
        "PDFParser",
        "mixed.pdf",
        lambda path: make.mixed_pdf_file(path, ["Covering letter", None, "Signature"]),
        contains=("Covering letter", "Signature"),
        pages=(("Covering letter", 1), ("Signature", 3)),
        empty_pages=(2,),
    ),
    Vector(
        "pdf restricted by an owner password",
        "PDFParser",
        "restricted.pdf",
        lambda path: make.owner_only_pdf_file(path, ["Anyone may read this"]),
        contains=("Anyone may read this",),
        pages=(("Anyone", 1),),
    ),
    Vector(
        "word file",
        "DocxParser",
        "lease.docx",
        lambda path: make.docx_file(path, _DOCX, title="Lease", author="Ada"),
        contains=(
            "Confidential draft", "The term is two years.", "- two months' rent\n- paid in advance", "| Room | Area |",
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
