"""The parsers, under the names users write in llamafarm.yaml."""

from rag.parsers.base import Parser
from rag.registry import Registry

parsers = Registry[Parser](
    "parser",
    {
        "PDFParser": "rag.parsers.pdf:PDFParser",
        "DocxParser": "rag.parsers.docx:DocxParser",
        "ExcelParser": "rag.parsers.xlsx:ExcelParser",
        "CSVParser": "rag.parsers.csv:CSVParser",
        "HTMLParser": "rag.parsers.html:HTMLParser",
        "MarkdownParser": "rag.parsers.markdown:MarkdownParser",
        "JSONParser": "rag.parsers.json:JSONParser",
        "TextParser": "rag.parsers.text:TextParser",
        "UniversalParser": "rag.parsers.auto:UniversalParser",
    },
    aliases={
        "PDFParser_PyPDF2": "PDFParser",
        "PDFParser_LlamaIndex": "PDFParser",
        "DocxParser_PythonDocx": "DocxParser",
        "DocxParser_LlamaIndex": "DocxParser",
        "ExcelParser_OpenPyXL": "ExcelParser",
        "ExcelParser_Pandas": "ExcelParser",
        "ExcelParser_LlamaIndex": "ExcelParser",
        "CSVParser_Pandas": "CSVParser",
        "CSVParser_Python": "CSVParser",
        "CSVParser_LlamaIndex": "CSVParser",
        "MarkdownParser_Python": "MarkdownParser",
        "MarkdownParser_LlamaIndex": "MarkdownParser",
        "TextParser_Python": "TextParser",
        "TextParser_LlamaIndex": "TextParser",
        "auto": "UniversalParser",
    },
)
