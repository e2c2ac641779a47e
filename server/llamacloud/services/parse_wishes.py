"""Parse parameters of an index or a pipeline → options of its dataset's parsers, and what has no effect there.

An index keeps whole parsed texts, which its offsets count in: what would only change how a result is written (pages
that are left out, formats, prompts) has no place in it. Parsing jobs honour far more.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rag.parsing.languages import TESSERACT, ocr_codes

_LANGUAGE_KEYS = ("language", "languages", "processing_options.ocr_parameters.languages")
_MAX_DEPTH = 20
_UNSAID: tuple[Any, ...] = (None, False, "", [], {})


def parse_options(parameters: Mapping[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """Options of the parsers, and the names of those without effect."""
    options: dict[str, Any] = {}
    ignored: list[str] = []
    for key, value in flat(parameters or {}):
        codes = _codes(value) if key in _LANGUAGE_KEYS else None
        if codes:
            options["ocr_languages"] = codes
        elif key == "disable_ocr" and value is True:
            options["use_ocr"] = False
        elif key not in ("product_type", "class_name") and value not in _UNSAID:
            ignored.append(key)
    return options, ignored


def _codes(value: Any) -> str | None:
    """None where a language is not known: a wrong code would fail every picture."""
    listed = value if isinstance(value, list) else [value]
    is_known = all(isinstance(each, str) and each in TESSERACT for each in listed)
    return ocr_codes(listed) if is_known else None


def flat(parameters: Mapping[str, Any], place: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Leaves with their whole names, such as `output_options.markdown.annotate_links`."""
    for key, value in parameters.items():
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from flat(value, f"{place}{key}.", depth + 1)
        else:
            yield f"{place}{key}", value
