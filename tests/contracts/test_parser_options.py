"""Every parser name and option of the configuration contract does what it says, or is named in a warning."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from config.options import option_names
from config.processing import ProcessingPlan, chunk_keys, plan_processing
from config.rag_section import DataProcessingStrategy, EmbeddingStrategy
from rag.chunkers.tokens import EstimatedCounter
from rag.errors import InvalidInputError
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.types import Document
from tests.fixtures import make_files as make
from tests.fixtures import make_pdfs as pdfs

CONTRACT: Mapping[str, Mapping[str, Any]] = {
    "auto": {"chunk_size": 500, "chunk_overlap": 50},
    "PDFParser_PyPDF2": {
        "chunk_size": 500, "chunk_overlap": 50, "chunk_strategy": "sentences", "extract_metadata": False,
        "preserve_layout": False, "extract_page_info": False, "clean_text": False, "extract_annotations": True,
        "extract_links": False, "extract_form_fields": True, "extract_outlines": True, "extract_images": True,
        "extract_xmp_metadata": True, "combine_pages": True, "page_separator": "--", "min_text_length": 3,
        "include_page_numbers": False,
    },
    "PDFParser_LlamaIndex": {
        "chunk_size": 500, "chunk_overlap": 50, "chunk_strategy": "pages", "extract_metadata": False,
        "extract_images": True, "extract_tables": False, "fallback_strategies": ["direct_pymupdf"],
    },
    "CSVParser_Pandas": {
        "chunk_size": 500, "chunk_strategy": "columns", "extract_metadata": False, "encoding": "latin-1",
        "delimiter": ";", "na_values": ["-"],
    },
    "CSVParser_Python": {"chunk_size": 500, "encoding": "latin-1", "delimiter": ";", "quotechar": "'"},
    "CSVParser_LlamaIndex": {
        "chunk_size": 500, "chunk_strategy": "semantic", "field_mapping": {"a": "b"}, "extract_metadata": False,
        "combine_fields": False, "skiprows": 1, "na_values": ["-"], "content_fields": ["a"], "metadata_fields": ["a"],
        "id_field": "a", "content_separator": " / ",
    },
    "ExcelParser_OpenPyXL": {
        "chunk_size": 500, "extract_formulas": True, "extract_metadata": False, "sheets": ["A"], "data_only": False,
    },
    "ExcelParser_Pandas": {
        "chunk_size": 500, "sheets": ["A"], "extract_metadata": False, "skiprows": 1, "na_values": ["-"],
    },
    "ExcelParser_LlamaIndex": {
        "chunk_size": 500, "chunk_strategy": "rows", "sheets": ["A"], "combine_sheets": True,
        "extract_metadata": False, "extract_formulas": True, "header_row": 1, "skiprows": 1, "na_values": ["-"],
    },
    "DocxParser_PythonDocx": {
        "chunk_size": 500, "chunk_strategy": "sentences", "extract_metadata": False, "extract_tables": False,
        "extract_headers": False, "extract_footers": True, "extract_comments": True, "chunk_overlap": 50,
    },
    "DocxParser_LlamaIndex": {
        "chunk_size": 500, "chunk_overlap": 50, "chunk_strategy": "semantic", "extract_metadata": False,
        "extract_tables": False, "preserve_formatting": False, "extract_images": True, "include_header_footer": True,
    },
    "MarkdownParser_Python": {
        "chunk_size": 500, "chunk_strategy": "paragraphs", "extract_metadata": False, "extract_code_blocks": False,
        "extract_links": False,
    },
    "MarkdownParser_LlamaIndex": {
        "chunk_size": 500, "chunk_overlap": 50, "chunk_strategy": "sentences", "extract_metadata": False,
        "extract_code_blocks": False, "extract_tables": False, "extract_links": False, "preserve_structure": False,
    },
    "TextParser_Python": {
        "chunk_size": 500, "chunk_overlap": 50, "chunk_strategy": "paragraphs", "encoding": "latin-1",
        "clean_text": False, "extract_metadata": False,
    },
    "TextParser_LlamaIndex": {
        "chunk_size": 500, "chunk_overlap": 50, "chunk_strategy": "semantic", "encoding": "latin-1",
        "clean_text": False, "extract_metadata": False, "semantic_buffer_size": 2,
        "semantic_breakpoint_percentile_threshold": 80, "token_model": "gpt-4", "preserve_code_structure": False,
        "detect_language": False, "include_prev_next_rel": False,
    },
    "MsgParser": {
        "chunk_size": 500, "chunk_overlap": 50, "chunk_strategy": "sentences", "extract_metadata": False,
        "extract_attachments": False, "extract_headers": False, "include_attachment_content": False,
        "clean_text": False, "preserve_formatting": True, "encoding": "latin-1",
    },
    "MsgParser_ExtractMsg": {"chunk_size": 500, "chunk_strategy": "email_sections"},
    "UniversalParser": {
        "chunk_size": 500, "chunk_overlap": 50, "chunk_strategy": "semantic", "use_ocr": False,
        "ocr_endpoint": "http://127.0.0.1:1/ocr", "extract_metadata": False, "min_chunk_size": 20,
        "max_chunk_size": 2000,
    },
}  # fmt: skip
"""Name → each of its keys with a value that is not the default."""

WARNED = {
    ("PDFParser_PyPDF2", "extract_page_info"), ("PDFParser_PyPDF2", "extract_images"),
    ("PDFParser_PyPDF2", "combine_pages"), ("PDFParser_PyPDF2", "page_separator"),
    ("PDFParser_PyPDF2", "include_page_numbers"), ("PDFParser_LlamaIndex", "extract_images"),
    ("PDFParser_LlamaIndex", "fallback_strategies"), ("CSVParser_Pandas", "columns"),
    ("MarkdownParser_Python", "extract_code_blocks"), ("MarkdownParser_LlamaIndex", "extract_code_blocks"),
    ("MarkdownParser_LlamaIndex", "extract_tables"), ("MarkdownParser_LlamaIndex", "preserve_structure"),
    ("TextParser_LlamaIndex", "token_model"), ("TextParser_LlamaIndex", "preserve_code_structure"),
    ("TextParser_LlamaIndex", "detect_language"), ("TextParser_LlamaIndex", "include_prev_next_rel"),
    ("UniversalParser", "ocr_endpoint"),
}  # fmt: skip
"""What cannot be done here, and is said."""


def plan(name: str, config: Mapping[str, Any]) -> ProcessingPlan:
    strategy = {"name": "s", "parsers": [{"type": name, "config": dict(config)}]}
    embedding = EmbeddingStrategy(name="e", type="HashEmbedder")
    return plan_processing(DataProcessingStrategy.model_validate(strategy), embedding, EstimatedCounter(512))


@pytest.mark.parametrize(("name", "config"), CONTRACT.items(), ids=list(CONTRACT))
def test_every_key_of_the_contract_is_an_option_or_is_named_in_a_warning(name: str, config: Mapping[str, Any]) -> None:
    known = option_names(parsers, name) | chunk_keys()
    warnings = plan(name, config).warnings
    told = {key for owner, key in WARNED if owner == name}
    assert [key for key in config if key not in known | told] == []
    assert [key for key in told if not any(f"'{name}'" in each and key in each for each in warnings)] == []
    assert len(warnings) == len(told), warnings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("extract_images", False), ("extract_page_info", True), ("combine_pages", False),
        ("include_page_numbers", True), ("fallback_strategies", ["pypdf2_fallback"]),
    ],
)  # fmt: skip
def test_a_value_that_asks_for_what_is_done_anyway_is_not_warned_about(key: str, value: object) -> None:
    assert plan("PDFParser_PyPDF2", {key: value}).warnings == ()


def test_a_reader_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match=r"fallback_strategies.*guess_reader"):
        plan("PDFParser_LlamaIndex", {"fallback_strategies": ["guess_reader"]})


@pytest.mark.parametrize(
    ("name", "strategy", "size"),
    [
        ("auto", "auto", 1000), ("PDFParser_PyPDF2", "paragraphs", 1000), ("PDFParser_LlamaIndex", "sentences", 1000),
        ("CSVParser_Pandas", "rows", 1000), ("CSVParser_Python", "rows", 1000), ("CSVParser_LlamaIndex", "rows", 1000),
        ("ExcelParser_OpenPyXL", "rows", 1000), ("DocxParser_PythonDocx", "paragraphs", 1000),
        ("DocxParser_LlamaIndex", "paragraphs", 1000), ("MarkdownParser_Python", "headings", 1000),
        ("MarkdownParser_LlamaIndex", "headings", 1000), ("TextParser_Python", "sentences", 1000),
        ("TextParser_LlamaIndex", "semantic", 1000), ("MsgParser", "email_sections", 1000),
        ("UniversalParser", "auto", 1024),
    ],
)  # fmt: skip
def test_a_name_has_its_own_way_and_size_of_cutting(name: str, strategy: str, size: int) -> None:
    route = plan(name, {}).parse_routes[0]
    assert (route.chunk_strategy, route.chunk_size) == (strategy, size)


def test_a_small_size_alone_does_not_collide_with_the_overlap_of_a_name() -> None:
    assert plan("auto", {"chunk_size": 100}).parse_routes[0].chunk_size == 100


Seen = Callable[[Document], object]
CSV = [["Id", "Name", "Note"], ["7", "Ada", "n/s"], ["8", "Ben", "late"]]
MARKDOWN = "---\ntitle: T\n---\nSee [the rules](https://a.example/r) and\n```\n[x](https://b.example)\n```\n"

EFFECTS: list[tuple[str, str, str, Any, Any, Callable[[Path], Path], Seen]] = [
    ("CSVParser_Python", "a.csv", "quotechar", '"', "'",
     lambda path: make.text_file(path, "Name,Note\n'a,b',c\n"), lambda found: "Name: a,b" in found.text),
    ("CSVParser_Python", "a.csv", "delimiter", ",", ";",
     lambda path: make.text_file(path, "a;b,c\n1;2,3\n"), lambda found: found.text),
    ("CSVParser_Pandas", "a.csv", "na_values", [], ["n/s"], lambda path: make.csv_file(path, CSV),
     lambda found: "n/s" not in found.text),
    ("CSVParser_Pandas", "a.csv", "encoding", "utf-8", "cp437",
     lambda path: make.text_file(path, "Name\nZoë\n", encoding="cp437"), lambda found: "Zoë" in found.text),
    ("CSVParser_LlamaIndex", "a.csv", "content_fields", [], ["Name"], lambda path: make.csv_file(path, CSV),
     lambda found: found.text == "Name: Ada\nName: Ben"),
    ("CSVParser_LlamaIndex", "a.csv", "content_separator", "; ", " / ", lambda path: make.csv_file(path, CSV),
     lambda found: "Id: 7 / Name: Ada" in found.text),
    ("CSVParser_LlamaIndex", "a.csv", "combine_fields", True, False, lambda path: make.csv_file(path, CSV),
     lambda found: "Id: 7\nName: Ada" in found.text),
    ("CSVParser_LlamaIndex", "a.csv", "id_field", None, "Id", lambda path: make.csv_file(path, CSV),
     lambda found: [values.get("row_id") for values in found.row_values] == [7, 8]),
    ("CSVParser_LlamaIndex", "a.csv", "metadata_fields", [], ["Name"], lambda path: make.csv_file(path, CSV),
     lambda found: [values.get("Name") for values in found.row_values] == ["Ada", "Ben"]),
    ("CSVParser_LlamaIndex", "a.csv", "field_mapping", {}, {"Name": "Person"}, lambda path: make.csv_file(path, CSV),
     lambda found: "Person: Ada" in found.text),
    ("CSVParser_LlamaIndex", "a.csv", "skiprows", 0, 1, lambda path: make.text_file(path, "Title\na,b\n1,2\n"),
     lambda found: "a: 1; b: 2" in found.text),
    ("CSVParser_LlamaIndex", "a.csv", "extract_metadata", True, False, lambda path: make.csv_file(path, CSV),
     lambda found: not found.metadata),
    ("MarkdownParser_Python", "a.md", "extract_links", True, False, lambda path: make.markdown_file(path, MARKDOWN),
     lambda found: "See the rules and" in found.text and "[x](https://b.example)" in found.text),
    ("MarkdownParser_Python", "a.md", "extract_metadata", True, False, lambda path: make.markdown_file(path, MARKDOWN),
     lambda found: not found.metadata),
    ("TextParser_Python", "a.txt", "clean_text", True, False, lambda path: make.text_file(path, "a  \n\n\n\n\nb"),
     lambda found: found.text),
    ("TextParser_Python", "a.txt", "extract_metadata", True, False, lambda path: make.text_file(path, "a"),
     lambda found: not found.metadata),
    ("HTMLParser", "a.html", "extract_links", True, False,
     lambda path: make.html_file(path, '<p>See <a href="https://a.example/r">rules</a></p>'),
     lambda found: "example" not in found.text),
    ("HTMLParser", "a.html", "main_content_only", True, False,
     lambda path: make.html_file(path, "<nav>Menu</nav><p>Words</p>"), lambda found: "Menu" in found.text),
    ("PDFParser_PyPDF2", "a.pdf", "clean_text", True, False, pdfs.with_extras, lambda found: found.text),
    ("PDFParser_PyPDF2", "a.pdf", "extract_metadata", True, False, pdfs.with_extras, lambda found: not found.metadata),
    ("PDFParser_PyPDF2", "a.pdf", "preserve_layout", True, False, pdfs.with_extras,
     lambda found: "sentence goes on" in found.text),
    ("PDFParser_PyPDF2", "a.pdf", "extract_links", True, False, pdfs.with_extras,
     lambda found: "https://a.example/rules" not in found.text),
    ("PDFParser_PyPDF2", "a.pdf", "extract_annotations", False, True, pdfs.with_extras,
     lambda found: "Note: please check" in found.text),
    ("PDFParser_PyPDF2", "a.pdf", "extract_form_fields", False, True, pdfs.with_extras,
     lambda found: "customer: Ada Lovelace" in found.text),
    ("PDFParser_PyPDF2", "a.pdf", "extract_outlines", False, True, pdfs.with_extras,
     lambda found: found.metadata.get("outline") == "Terms of sale; Delivery"),
    ("PDFParser_PyPDF2", "a.pdf", "extract_xmp_metadata", False, True, pdfs.with_extras,
     lambda found: found.metadata.get("xmp_keywords") == "sale, terms"),
    ("PDFParser_PyPDF2", "a.pdf", "min_text_length", 0, 5,
     lambda path: make.pdf_file(path, ["x", "Many words"]), lambda found: found.empty_pages == (1,)),
    ("PDFParser_LlamaIndex", "a.pdf", "extract_tables", True, False, pdfs.ruled_table,
     lambda found: "|" not in found.text),
    ("PDFParser", "a.pdf", "remove_headers_footers", True, False, pdfs.report,
     lambda found: found.text.count("Annual report of the harbour") == 5),
]  # fmt: skip
"""(name, filename, key, one value, another value, file, what the other value shows)."""


def read(name: str, path: Path, filename: str, options: Mapping[str, Any]) -> Document:
    options = {"use_ocr": False, **options} if filename.endswith(".pdf") else options
    return parsers.build(name, options).parse(probe_file(path, filename), ParseLimits())


@pytest.mark.parametrize("effect", EFFECTS, ids=[f"{effect[0]}-{effect[2]}" for effect in EFFECTS])
def test_an_option_does_what_it_says(effect: Any, tmp_path: Path) -> None:
    name, filename, key, one, other, write, seen = effect
    path = write(tmp_path / "stored")
    without, with_it = read(name, path, filename, {key: one}), read(name, path, filename, {key: other})
    assert seen(with_it) != seen(without)
    assert seen(with_it)
