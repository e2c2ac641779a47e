"""Regular expressions with a name. Every repetition is bounded and most begin behind a look-behind, so that each is
linear in the text whatever it holds."""

import re
from collections.abc import Iterator

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_ISO_DATE = r"(?:1\d|20|21)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_DAY = r"\d{1,2}(?P<between>[./-])\d{1,2}(?P=between)(?:\d{4}|\d\d)(?!\d|(?P=between)\d)"
_SEGMENT = r"[\w.@+%-]{1,120}"

_SOURCES = {
    "email": r"(?<![\w.%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
    "phone": (
        rf"(?<![\w.+/-])(?<!\d[ .-])(?!\d{{3}}-\d\d-\d{{4}}(?!\d))(?!{_DAY})(?:"
        rf"\+(?:[ ()./-]{{0,2}}(?!{_ISO_DATE})\d){{7,15}}+"  # international
        r"|(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d(?P<mark>[ .-]))\d{3}(?(mark)(?P=mark)|[ .-])\d{4}"  # North American
        r"|(?:\(0{1,2}[1-9]?\d{0,4}\) ?|0{1,2}[1-9]\d{0,4}[ ./-])"
        rf"\d{{1,8}}(?:[ ./-](?!{_ISO_DATE})\d{{2,8}}){{0,5}}+"
        r"|0[1-9]\d{8,10}"  # with an area code, by itself or in one run
        r")(?![\w]|[.,:/-]\d)"
    ),
    "url": r"(?<!\w)(?:https?|ftp)://[^\s<>\"'`{}|\\^]{1,2000}(?<![.,;:!?)\]])",
    "ip": rf"(?<![\w.])(?:{_BYTE}\.){{3}}{_BYTE}(?!\.?\w)",
    "ssn": r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])",
    "credit_card": r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])",
    "iban": r"(?<![\w-])(?a:[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?![\w-])",
    "zip_code": r"(?<![\w.-])\d{5}(?:-\d{4})?(?![\w-])",
    "file_path": (
        rf"(?<![\w/:.~\\])(?:[A-Za-z]:\\(?:{_SEGMENT}\\){{0,30}}{_SEGMENT}|(?:~|\.{{1,2}})?/(?:{_SEGMENT}/){{0,30}}{_SEGMENT})"
        r"(?<![.])"
    ),
    "version": r"(?<![\w.])v?\d{1,5}\.\d{1,5}\.\d{1,5}(?:[-+][0-9A-Za-z.-]{1,40})?(?!\.?\w)",
    "date": (
        rf"(?<!\w)(?:{_ISO_DATE}|\d{{1,2}}[/.]\d{{1,2}}[/.](?:\d{{4}}|\d{{2}})"
        rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{1,2}}(?:st|nd|rd|th)? {_MONTH},? \d{{4}})(?!\w)"
    ),
    "date_iso": rf"(?<![\w-]){_ISO_DATE}(?![\w-])",
    "time_24h": r"(?<![\w:])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?![\w:])",
    "isbn": r"(?<![\w-])(?:97[89][ -]?)?\d(?:[ -]?\d){8}[ -]?[\dXx](?![\w-])",
    "doi": r"(?<![\w.])10\.\d{4,9}/[-.;()/:\w]{1,200}(?<![.;:)])",
    "uuid": r"(?<![\w-])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![\w-])",
    "hashtag": r"(?<![\w#&/])#[^\W\d]\w{0,138}",
    "mention": r"(?<![\w@.])@[A-Za-z_]\w{0,38}(?![\w@])",
    "currency": (
        r"(?<!\w)(?:[$€£¥]|USD |EUR |GBP )\d{1,3}(?:[,\d]{0,15})(?:\.\d{1,2})?(?: (?:million|billion|trillion)\b)?"
        r"|(?<![\w.,])\d{1,15}(?:\.\d{1,2})? (?:dollars|euros|pounds|USD|EUR|GBP)\b"
    ),
    "percentage": r"(?<![\w.,])\d{1,9}(?:[.,]\d{1,6})? ?(?:%|percent\b|per cent\b)",
}
_SAME = {"ip_address": "ip", "social_security": "ssn"}

NAMES = (*_SOURCES, *_SAME)
GROUPS = {"pii": ("email", "phone", "ssn", "credit_card", "iban", "ip")}
"""Names that stand for several patterns."""


def named_pattern(name: str, *, case_sensitive: bool = True) -> re.Pattern[str]:
    return re.compile(_SOURCES[_SAME.get(name, name)], 0 if case_sensitive else re.IGNORECASE)


def find_named(name: str, text: str) -> list[str]:
    """Distinct matches in order of appearance."""
    return list(dict.fromkeys(match.group() for match in named_matches(name, text)))


def named_matches(name: str, text: str, *, case_sensitive: bool = True) -> Iterator[re.Match[str]]:
    """Matches; numbers of cards, accounts and books only where their check digits hold."""
    check = _CHECKS.get(name)
    for match in named_pattern(name, case_sensitive=case_sensitive).finditer(text):
        if check is None or check(match.group()):
            yield match


def _has_card_check(number: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1)."""
    digits = [int(char) for char in number if char.isdigit()][::-1]
    return sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0


def _has_account_check(number: str) -> bool:
    """Check digits of an IBAN (ISO 13616, modulo 97)."""
    plain = number.replace(" ", "").upper()
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def _has_isbn_check(number: str) -> bool:
    digits = [10 if char in "Xx" else int(char) for char in number if char not in " -"]
    if len(digits) == 13:
        return sum(digit * (3 if index % 2 else 1) for index, digit in enumerate(digits)) % 10 == 0
    return len(digits) == 10 and sum(digit * (10 - index) for index, digit in enumerate(digits)) % 11 == 0


def _has_phone_length(number: str) -> bool:
    return 7 <= sum(map(str.isdigit, number)) <= 15


_CHECKS = {
    "credit_card": _has_card_check,
    "iban": _has_account_check,
    "isbn": _has_isbn_check,
    "phone": _has_phone_length,
}
