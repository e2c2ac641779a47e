"""Parameters of a parsing job → how the file is read, and which of them had an effect."""

from collections.abc import Mapping
from typing import Any, Final

from rag.parsers import ocr
from rag.parsers.tables import TableStyle
from rag.parsing.hooks import unsent_events, will_tell
from rag.parsing.languages import TESSERACT, ocr_codes
from rag.parsing.parameters import TREATMENTS, asked, page_ranges
from rag.types import Document

_PDF_ONLY: Final = frozenset(
    [
        "bbox_bottom",
        "bbox_left",
        "bbox_right",
        "bbox_top",
        "hide_footers",
        "hide_headers",
        "do_not_unroll_columns",
        "skip_diagonal_text",
        "remove_hidden_text",
    ]
)
_ALSO: Final = frozenset({"priority", "page_error_tolerance", "job_timeout_extra_time_per_page_in_seconds"})
"""Of those that are optional: honoured for every format."""
_CROP = ("bbox_left", "bbox_top", "bbox_right", "bbox_bottom")


def parser_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Options of parsers; each takes those that it knows."""
    given = asked(parameters)
    running = [each for each in ("headers", "footers") if given.get(f"hide_{each}")]
    options: dict[str, Any] = {
        "extract_links": bool(given.get("annotate_links")),
        "link_style": "markdown",
        "remove_headers_footers": bool(running),
        "running_lines": running,
        "remove_hidden_text": bool(given.get("remove_hidden_text")),
        "skip_diagonal_text": bool(given.get("skip_diagonal_text")),
        "split_columns": not given.get("do_not_unroll_columns"),
        "hidden_sheets": bool(given.get("spreadsheet_include_hidden_sheets")),
        "use_ocr": not (given.get("disable_ocr") or given.get("fast_mode")),
        "pages": _pages(given),
    }
    if any(name in given for name in _CROP):
        options["crop"] = [float(given.get(name, 0)) for name in _CROP]
    if codes := _ocr_codes(parameters):
        options["ocr_languages"] = codes
    if given.get("replace_failed_page_mode") in ("blank_page", "error_message"):
        options["fallback_strategies"] = []
    return options


def table_style(parameters: Mapping[str, Any]) -> TableStyle:
    return TableStyle(
        as_html=bool(parameters.get("output_tables_as_HTML")),
        is_compact=bool(parameters.get("compact_markdown_table")),
        header_break=parameters.get("markdown_table_multiline_header_separator") or "<br/>",
    )


def wanted_pages(parameters: Mapping[str, Any], page_count: int) -> list[int]:
    """Numbers from 1 of the pages that are asked for and there, in their order."""
    ranges = page_ranges(parameters.get("target_pages") or "")
    found = [
        number
        for number in range(1, page_count + 1)
        if not ranges or any(first <= number - 1 <= last for first, last in ranges)
    ]
    most = int(parameters.get("max_pages") or 0)
    return found[:most] if most else found


def report(parameters: Mapping[str, Any], document: Document | None) -> tuple[list[str], list[str]]:
    """(honoured, ignored) of those that ask for something."""
    honoured: list[str] = []
    ignored: list[str] = []
    for name in sorted(asked(parameters)):
        (honoured if _has_effect(name, parameters, document) else ignored).append(name)
    if parameters.get("disable_ocr") is False and document is not None and _lacks_ocr(document):
        ignored.append("disable_ocr")
    ignored += [f"languages.{each}" for each in _wanted_languages(parameters) if each not in TESSERACT]
    ignored += [f"webhook_configurations.{each}" for each in unsent_events(parameters)]
    return honoured, ignored


def _has_effect(name: str, parameters: Mapping[str, Any], document: Document | None) -> bool:
    treatment = TREATMENTS.get(name)
    if name == "parse_mode":
        return False  # the one that is honoured is the default
    if name in ("languages", "lang"):
        return _ocr_codes(parameters) is not None and (document is None or not _lacks_ocr(document))
    if name == "webhook_configurations":
        return will_tell(parameters)
    if name in _PDF_ONLY:
        return document is None or document.parser == "PDFParser"
    if treatment == "O":
        return name in _ALSO
    return treatment in ("H", "V")


def _lacks_ocr(document: Document) -> bool:
    return bool(document.empty_pages) and not ocr.is_available()


def _pages(given: Mapping[str, Any]) -> list[int] | None:
    """What can be told before it is known how many pages there are."""
    cap = int(given.get("max_pages_enforced") or 0) or 20_000
    if not {"target_pages", "max_pages", "max_pages_enforced"} & set(given):
        return None
    return wanted_pages(given, cap)


def _ocr_codes(parameters: Mapping[str, Any]) -> str | None:
    return ocr_codes(_wanted_languages(parameters))


def _wanted_languages(parameters: Mapping[str, Any]) -> list[Any]:
    return parameters.get("languages") or ([parameters["lang"]] if parameters.get("lang") else [])
