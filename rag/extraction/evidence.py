"""Where in a text a value stands: the exact quote and its position, or nothing.

Words are compared without case, accents of compatibility, kinds of quotes and dashes, and white space; numbers and
days by what they mean, so that `1,234.50 EUR` is evidence for 1234.5 and `31 March 2024` for `2024-03-31`.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Literal, TypeAlias

from rag.extraction.numbers_and_dates import as_number, days, months, numbers

Kind: TypeAlias = Literal["verbatim", "normalised", "scattered"]

CONFIDENCE: dict[Kind, float] = {"verbatim": 1.0, "normalised": 0.9, "scattered": 0.6}
WINDOW_FACTOR = 3
"""Words of a value count as scattered when they stand within so many times their number of words, and a few."""
WINDOW_MORE = 8
MAX_SCATTERED_WORDS = 60
MAX_PLACES = 10_000
MIN_CONTENT_CHARS = 4
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "−": "-", "\u00ad": ""})
_WITH_UNIT = re.compile(
    r"(?:(?P<before>[^\W\d_]{1,4}(?=\s)|[€$£¥₹])\s?)?(?P<number>[-+]?\d[\d.,' ]*)"
    r"(?:\s?(?P<after>[^\W\d_]{1,4}|[€$£¥₹%°]))?"
)
_SYMBOLS = {"eur": "€", "usd": "$", "gbp": "£", "jpy": "¥", "inr": "₹"}
_SYMBOLS |= {symbol: code for code, symbol in _SYMBOLS.items()}
_IN_CODE_BEFORE, _IN_CODE_AFTER = re.compile(r"\w[-/_#:]"), re.compile(r"[-/_:]\w")
_TOKEN = re.compile(r"\w+")
_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Place:
    """Characters `start` up to but excluding `end` of the searched text."""

    start: int
    end: int
    kind: Kind


class EvidenceText:
    """A text that is searched for many values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._known: dict[str | Decimal, list[Place]] = {}

    def places(self, value: object) -> list[Place]:
        """Where a value is borne out, in order, at most `MAX_PLACES`: those of the best kind of place that there is."""
        sought = value if isinstance(value, str) else as_number(value)
        if sought is None:
            return []
        if sought not in self._known:
            self._known[sought] = self._places_of_text(sought) if isinstance(sought, str) else self._number(sought)
        return self._known[sought]

    def share_of_words(self, value: str) -> float:
        """How many of the words that carry meaning occur anywhere in the text, from 0 to 1."""
        words = {each for each in _words(value) if len(each) >= MIN_CONTENT_CHARS}
        return len(words & self._vocabulary) / len(words) if words else 0.0

    def _places_of_text(self, value: str) -> list[Place]:
        needle = _folded(value)[0].strip()
        if not _TOKEN.search(needle):
            return []
        return (
            self._verbatim(value.strip(), self.text, range(len(self.text)))
            or self._verbatim(needle, *self._folded)
            or self._in_words(needle)
            or self._day(value.strip())
            or self._written_number(value)
            or self._scattered(needle)
        )

    def _verbatim(self, needle: str, text: str, origins: Sequence[int]) -> list[Place]:
        """Args:
        origins: for each character of `text`, the one of the searched text that it comes of.
        """
        found: list[Place] = []
        at = text.find(needle)
        while at >= 0 and len(found) < MAX_PLACES:
            end = at + len(needle)
            if _stands_alone(text, at, end):
                found.append(Place(origins[at], origins[end - 1] + 1, "verbatim"))
            at = text.find(needle, at + 1)
        return found

    def _in_words(self, needle: str) -> list[Place]:
        """The same words in the same order, whatever stands between them."""
        words = _words(needle)
        found: list[Place] = []
        at = self._joined.find(f" {' '.join(words)} ") if words else -1
        first = seen = 0
        while at >= 0 and len(found) < MAX_PLACES:
            first, seen = first + self._joined.count(" ", seen, at), at
            found.append(self._span(first, first + len(words) - 1, "normalised"))
            at = self._joined.find(f" {' '.join(words)} ", at + 1)
        return found

    def _scattered(self, needle: str) -> list[Place]:
        """All of its words close together, in any order: `Doe, Jane` for `Jane Doe`."""
        words = set(_words(needle))
        if " " not in needle:  # a code is one piece
            return []
        if not 2 <= len(words) <= MAX_SCATTERED_WORDS or not words <= self._vocabulary:
            return []
        reach = len(words) * WINDOW_FACTOR + WINDOW_MORE
        seen: dict[str, int] = {}
        best: tuple[int, int] | None = None
        for index, (word, _, _) in enumerate(self._tokens):
            if word not in words:
                continue
            seen[word] = index
            first = min(seen.values())
            if (
                len(seen) == len(words)
                and index - first < reach
                and (best is None or index - first < best[1] - best[0])
            ):
                best = (first, index)
        return [] if best is None else [self._span(*best, "scattered")]

    def _number(self, wanted: Decimal) -> list[Place]:
        found = self._numbers.get(wanted, [])
        plain = [each for each in found if not self._is_doubtful(each)]
        return (plain or found)[:MAX_PLACES]

    def _is_doubtful(self, place: Place) -> bool:
        """Whether a number is a word, or part of a code or a day: the 17 of `INV-17`, the 31 of `31 March 2024`."""
        if self.text[place.start].isalpha():
            return True
        before, after = self.text[max(0, place.start - 2) : place.start], self.text[place.end : place.end + 2]
        if _IN_CODE_BEFORE.fullmatch(before) or _IN_CODE_AFTER.fullmatch(after):
            return True
        at = bisect_right(self._days, place.start, key=lambda day: day[0]) - 1
        return at >= 0 and place.end <= self._days[at][1]

    def _written_number(self, value: str) -> list[Place]:
        """Texts that are a number with a unit or a currency beside it, which has to stand in the text as well."""
        found = _WITH_UNIT.fullmatch(value.strip())
        if not found or not all(self._has_unit(each) for each in (found["before"], found["after"]) if each):
            return []
        readings = sorted(each for _, _, values in numbers(found["number"]) for each in values)
        return next((places for each in readings if (places := self._number(each))), [])

    def _has_unit(self, unit: str) -> bool:
        text, folded = self._folded[0], unit.casefold()
        return folded in text or _SYMBOLS.get(folded, folded) in text

    def _day(self, value: str) -> list[Place]:
        month = _MONTH.fullmatch(value)
        if month:
            year_and_month = (int(month[1]), int(month[2]))
            return [Place(start, end, "normalised") for start, end, each in self._months if each == year_and_month]
        wanted = _as_day(value)
        return [] if wanted is None else [Place(*each[:2], "normalised") for each in self._days if wanted in each[2]]

    def _span(self, first: int, last: int, kind: Kind) -> Place:
        return Place(self._tokens[first][1], self._tokens[last][2], kind)

    @cached_property
    def _folded(self) -> tuple[str, list[int]]:
        return _folded(self.text)

    @cached_property
    def _tokens(self) -> list[tuple[str, int, int]]:
        folded, origins = self._folded
        return [(each[0], origins[each.start()], origins[each.end() - 1] + 1) for each in _TOKEN.finditer(folded)]

    @cached_property
    def _joined(self) -> str:
        return f" {' '.join(word for word, _, _ in self._tokens)} "

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        return frozenset(word for word, _, _ in self._tokens)

    @cached_property
    def _numbers(self) -> dict[Decimal, list[Place]]:
        found: dict[Decimal, list[Place]] = {}
        for start, end, values in numbers(self.text):
            for each in values:
                found.setdefault(each, []).append(Place(start, end, "normalised"))
        return found

    @cached_property
    def _days(self) -> list[tuple[int, int, frozenset[date]]]:
        return sorted(days(self.text), key=lambda each: each[:2])

    @cached_property
    def _months(self) -> list[tuple[int, int, tuple[int, int]]]:
        return list(months(self.text))


def same_value(value: object) -> object:
    """Equal for values that mean the same."""
    if isinstance(value, str):
        return " ".join(_words(_folded(value)[0])) or value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    number = as_number(value)
    return value if number is None else (number, value < 0)


def _words(text: str) -> list[str]:
    return _TOKEN.findall(_folded(text)[0])


def _folded(text: str) -> tuple[str, list[int]]:
    """The text as it is compared, and for each of its characters the one that it comes of."""
    characters: list[str] = []
    origins: list[int] = []
    for index, character in _plain(text):
        if character == " " and (not characters or characters[-1] == " "):
            continue
        characters.append(character)
        origins.append(index)
    return "".join(characters), origins


def _plain(text: str) -> Iterator[tuple[int, str]]:
    for index, character in enumerate(text):
        if character.isspace():
            yield index, " "
        elif character.isascii():
            yield index, character.lower()
        else:
            for each in unicodedata.normalize("NFKC", character).translate(_SAME).casefold():
                yield index, each


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether it is not a piece of a longer word or number."""
    before, after = text[start - 1 : start], text[end : end + 1]
    is_cut_before = before.isalnum() and text[start].isalnum()
    is_cut_after = after.isalnum() and text[end - 1].isalnum()
    return not is_cut_before and not is_cut_after


def _as_day(value: str) -> date | None:
    try:
        return datetime.fromisoformat(value).date() if len(value) > 7 else None
    except ValueError:
        return next((next(iter(found)) for _, _, found in days(value) if len(found) == 1), None)
