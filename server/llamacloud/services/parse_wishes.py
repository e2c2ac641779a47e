"""Parse parameters of an index or a pipeline → options of its dataset's parsers, and what has no effect there.

An index keeps whole parsed texts, which its offsets count in: what would only change how a result is written (pages
that are left out, formats, prompts) has no place in it. Parsing jobs honour far more.
"""

from collections.abc import Iterator, Mapping
from typing import Any

LANGUAGES = {
    "af": "afr", "ar": "ara", "be": "bel", "bg": "bul", "bn": "ben", "bs": "bos", "ca": "cat", "ch_sim": "chi_sim",
    "ch_tra": "chi_tra", "cs": "ces", "cy": "cym", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "es": "spa",
    "et": "est", "fa": "fas", "fi": "fin", "fr": "fra", "ga": "gle", "he": "heb", "hi": "hin", "hr": "hrv",
    "hu": "hun", "id": "ind", "is": "isl", "it": "ita", "ja": "jpn", "ko": "kor", "la": "lat", "lt": "lit",
    "lv": "lav", "mk": "mkd", "ms": "msa", "mt": "mlt", "nl": "nld", "no": "nor", "pl": "pol", "pt": "por",
    "ro": "ron", "ru": "rus", "sk": "slk", "sl": "slv", "sq": "sqi", "sr": "srp", "sv": "swe", "sw": "swa",
    "ta": "tam", "te": "tel", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "chi_sim",
}  # fmt: skip
"""The vendor's codes → Tesseract's."""
_LANGUAGE_KEYS = ("language", "languages", "processing_options.ocr_parameters.languages")
_UNSAID: tuple[Any, ...] = (None, False, "", [], {})


def parse_options(parameters: Mapping[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """Options of the parsers, and the names of those without effect."""
    options: dict[str, Any] = {}
    ignored: list[str] = []
    for key, value in _flat(parameters or {}):
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
    found = [LANGUAGES.get(each) if isinstance(each, str) else None for each in listed]
    return "+".join(dict.fromkeys(each for each in found if each)) if found and all(found) else None


def _flat(parameters: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value
