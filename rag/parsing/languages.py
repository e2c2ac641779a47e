"""Codes of languages as the API has them, and as Tesseract has them."""

from collections.abc import Iterable
from typing import Any, Final

TESSERACT: Final = {
    "af": "afr", "ar": "ara", "as": "asm", "az": "aze", "be": "bel", "bg": "bul", "bn": "ben", "bs": "bos",
    "ca": "cat", "ch_sim": "chi_sim", "ch_tra": "chi_tra", "cs": "ces", "cy": "cym", "da": "dan", "de": "deu",
    "el": "ell", "en": "eng", "es": "spa", "et": "est", "fa": "fas", "fi": "fin", "fr": "fra", "ga": "gle",
    "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun", "id": "ind", "is": "isl", "it": "ita", "ja": "jpn",
    "kn": "kan", "ko": "kor", "ku": "kmr", "la": "lat", "lt": "lit", "lv": "lav", "mi": "mri", "mk": "mkd",
    "mn": "mon", "mr": "mar", "ms": "msa", "mt": "mlt", "ne": "nep", "nl": "nld", "no": "nor", "oc": "oci",
    "pl": "pol", "pt": "por", "ro": "ron", "rs_cyrillic": "srp", "rs_latin": "srp_latn", "ru": "rus", "sa": "san",
    "sk": "slk", "sl": "slv", "sq": "sqi", "sr": "srp", "sv": "swe", "sw": "swa", "ta": "tam", "te": "tel",
    "th": "tha", "tl": "tgl", "tr": "tur", "ug": "uig", "uk": "ukr", "ur": "urd", "uz": "uzb", "vi": "vie",
    "zh": "chi_sim",
}  # fmt: skip
"""Only languages that Tesseract has."""


def ocr_codes(languages: Iterable[Any]) -> str | None:
    """As Tesseract's option takes them; None where there is none of them. Those that it has not are left out."""
    known = (TESSERACT.get(each) for each in languages if isinstance(each, str))
    return "+".join(dict.fromkeys(each for each in known if each)) or None
