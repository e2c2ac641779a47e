"""Numbers and days in a text, however they are written there."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation

MAX_DIGITS = 40
_NUMBER = re.compile(r"(?<![\w.,])[-+−]?\(?[-−]?\d[\d., '’\u00a0\u202f]{0,60}")
_SCALE = re.compile(r"[\s-]{0,2}(thousand|million|billion|trillion|mio|mrd|bn|tsd|[kmb])\b\.?|\s?(%)", re.IGNORECASE)
_FACTORS = {
    "thousand": 10**3, "tsd": 10**3, "k": 10**3, "million": 10**6, "mio": 10**6, "m": 10**6, "billion": 10**9,
    "bn": 10**9, "mrd": 10**9, "b": 10**9, "trillion": 10**12,
}  # fmt: skip
_FIRST_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_WORDS = {word: number for number, word in enumerate(_FIRST_WORDS)}
_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)
_GROUPED = re.compile(r"\d{1,3}(?:([., '’\u00a0\u202f])\d{3})(?:\1\d{3})*")

_MONTHS = {
    "jan": 1, "ene": 1, "gen": 1, "feb": 2, "fev": 2, "fév": 2, "mar": 3, "mär": 3, "mae": 3, "apr": 4, "avr": 4,
    "abr": 4, "may": 5, "mai": 5, "mag": 5, "jun": 6, "giu": 6, "juin": 6, "jul": 7, "juil": 7, "lug": 7, "aug": 8,
    "aoû": 8, "ago": 8, "sep": 9, "set": 9, "oct": 10, "okt": 10, "ott": 10, "nov": 11, "dec": 12, "dez": 12,
    "déc": 12, "dic": 12,
}  # fmt: skip
_NAME = r"([^\W\d_]{3,10})\.?"
_DAYS = (
    (re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), "ymd"),
    (re.compile(r"(?<!\d)(\d{1,2})[-/.] ?(\d{1,2})[-/.] ?(\d{4}|\d{2})(?!\d)"), "numbers"),
    (
        re.compile(rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|er|\.)?(?: of| de)?[ -]{_NAME}(?: de)?,?[ -](\d{{4}})(?!\d)"),
        "dmy",
    ),
    (re.compile(rf"\b{_NAME} (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})(?!\d)"), "mdy"),
)
_MONTH_OF_YEAR = re.compile(rf"\b{_NAME},? (\d{{4}})(?!\d)")


def numbers(text: str) -> Iterator[tuple[int, int, frozenset[Decimal]]]:
    """(start, end, what it may mean): `1.234` is one and a bit here and more than a thousand there."""
    for found in _NUMBER.finditer(text):
        written = found[0].rstrip("., '’\u00a0\u202f")
        end = found.start() + len(written)
        for start, stop in _pieces(written):
            values = _readings(written[start:stop].lstrip("+-−("))
            scale = _SCALE.match(text, found.start() + stop)
            if scale is not None:
                values |= _scaled(values, scale)
            at = found.start() + start + (written[start:stop].startswith("("))
            yield at, (scale.end() if scale else min(end, found.start() + stop)), frozenset(values)
    for word in _WORD.finditer(text):
        yield word.start(), word.end(), frozenset({Decimal(_WORDS[word[0].lower()])})


def as_number(value: object) -> Decimal | None:
    """Without its sign: a loss of 50 is written as 50."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        found = abs(Decimal(str(value)))
    except (InvalidOperation, ValueError):
        return None
    return found.normalize() if found.is_finite() else None


def days(text: str) -> Iterator[tuple[int, int, frozenset[date]]]:
    """(start, end, which days it may mean): `03/04/2024` is in March or in April."""
    for pattern, kind in _DAYS:
        for found in pattern.finditer(text):
            if values := frozenset(_day_readings(kind, found.groups())):
                yield found.start(), found.end(), values


def months(text: str) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """(start, end, (year, month)) of `March 2024`."""
    for found in _MONTH_OF_YEAR.finditer(text):
        month = _month(found[1])
        if month is not None:
            yield found.start(), found.end(), (int(found[2]), month)


def _pieces(written: str) -> Iterator[tuple[int, int]]:
    """Blanks separate thousands, or numbers: the whole where it is grouped well, else each by itself."""
    blanks = re.compile(r"[ \u00a0\u202f]+")
    plain = written.lstrip("+-−(")
    if not blanks.search(plain) or _is_grouped(plain):
        yield 0, len(written)
        return
    start = 0
    for gap in blanks.finditer(written):
        if gap.start() > start:
            yield start, gap.start()
        start = gap.end()
    yield start, len(written)


def _is_grouped(plain: str) -> bool:
    whole = re.split(r"[.,](?=\d{1,2}$)", plain)[0]
    return _GROUPED.fullmatch(whole) is not None


def _readings(plain: str) -> set[Decimal]:
    digits = re.sub(r"[ '’\u00a0\u202f]", "", plain)
    if not digits or len(digits) > MAX_DIGITS:
        return set()
    candidates = {digits.replace(",", ""), digits.replace(".", "").replace(",", ".")}
    if re.search(r"[.,]\d{3}$", digits):
        candidates.add(re.sub(r"[.,]", "", digits))
    values = set()
    for each in candidates:
        try:
            values.add(Decimal(each).normalize())
        except InvalidOperation:
            continue
    return values


def _scaled(values: set[Decimal], scale: re.Match[str]) -> set[Decimal]:
    if scale[2]:
        return {(each / 100).normalize() for each in values}
    factor = _FACTORS[scale[1].lower()]
    return {(each * factor).normalize() for each in values}


def _day_readings(kind: str, parts: tuple[str, ...]) -> Iterator[date]:
    if kind == "ymd":
        yield from _real(int(parts[0]), int(parts[1]), int(parts[2]))
    elif kind == "numbers":
        year = int(parts[2]) + (0 if len(parts[2]) == 4 else 1900 if int(parts[2]) > 68 else 2000)  # as strptime does
        yield from _real(year, int(parts[1]), int(parts[0]))
        yield from _real(year, int(parts[0]), int(parts[1]))
    else:
        day, name = (parts[0], parts[1]) if kind == "dmy" else (parts[1], parts[0])
        month = _month(name)
        if month is not None:
            yield from _real(int(parts[2]), month, int(day))


def _real(year: int, month: int, day: int) -> Iterator[date]:
    try:
        yield date(year, month, day)
    except ValueError:
        return


def _month(name: str) -> int | None:
    lowered = name.casefold()
    return _MONTHS.get(lowered[:4]) or _MONTHS.get(lowered[:3])
