"""The names users write in llamafarm.yaml."""

import pytest

from rag.errors import UnknownComponentError
from rag.parsers import parsers


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("PDFParser_PyPDF2", "PDFParser"), ("PDFParser_LlamaIndex", "PDFParser"), ("CSVParser_Pandas", "CSVParser"),
        ("CSVParser_Python", "CSVParser"), ("CSVParser_LlamaIndex", "CSVParser"),
        ("ExcelParser_OpenPyXL", "ExcelParser"), ("ExcelParser_Pandas", "ExcelParser"),
        ("ExcelParser_LlamaIndex", "ExcelParser"), ("DocxParser_PythonDocx", "DocxParser"),
        ("DocxParser_LlamaIndex", "DocxParser"), ("MarkdownParser_Python", "MarkdownParser"),
        ("MarkdownParser_LlamaIndex", "MarkdownParser"), ("TextParser_Python", "TextParser"),
        ("TextParser_LlamaIndex", "TextParser"), ("auto", "UniversalParser"), ("JSONParser", "JSONParser"),
        ("PPTXParser", "PresentationParser"), ("ODPParser", "PresentationParser"), ("ODTParser", "OpenDocumentParser"),
        ("ODSParser", "ExcelParser"),
    ],
)  # fmt: skip
def test_known_names_lead_to_our_parsers(name: str, canonical: str) -> None:
    assert parsers.canonical(name) == canonical
    assert parsers.build(name, {})


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownComponentError, match="PDFParser_PyPDF2"):
        parsers.canonical("HTMLParser_X")
