"""Where in a text a value stands: the exact quote and its position, or nothing.

Words are compared without case, accents of compatibility, kinds of quotes and dashes, and white space; numbers and
days by what they mean, so that `1,234.50 EUR` is evidence for 1234.5 and `31 March 2024` for `2024-03-31`.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Literal, TypeAlias

from rag.extraction.numbers_and_dates import as_number, days, months, numbers

Kind: TypeAlias = Literal["verbatim", "normalised", "scattered"]

CONFIDENCE: dict[Kind, float] = {"verbatim": 1.0, "normalised": 0.9, "scattered": 0.6}
WINDOW_FACTOR = 3
"""Words of a value count as scattered when they stand within so many times their number of words, and a few."""
WINDOW_MORE = 8
MAX_SCATTERED_WORDS = 60
MAX_TRIES = 50
MIN_CONTENT_CHARS = 4
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "−": "-", "\u00ad": ""})
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

    def find(self, value: object) -> Place | None:
        """The first place that bears a value out; the best kind of place that there is."""
        if isinstance(value, str):
            return self._find_text(value)
        number = as_number(value)
        return None if number is None else self._number(number)

    def share_of_words(self, value: str) -> float:
        """How many of the words that carry meaning occur anywhere in the text, from 0 to 1."""
        words = {each for each in _words(value) if len(each) >= MIN_CONTENT_CHARS}
        return len(words & self._vocabulary) / len(words) if words else 0.0

    def _find_text(self, value: str) -> Place | None:
        needle = _folded(value)[0].strip()
        if not _TOKEN.search(needle):
            return None
        return (
            self._verbatim(needle)
            or self._in_words(needle)
            or self._day(value.strip())
            or self._written_number(value)
            or self._scattered(needle)
        )

    def _verbatim(self, needle: str) -> Place | None:
        folded, origins = self._folded
        at = folded.find(needle)
        for _ in range(MAX_TRIES):
            if at < 0:
                return None
            end = at + len(needle)
            if _stands_alone(folded, at, end):
                return Place(origins[at], origins[end - 1] + 1, "verbatim")
            at = folded.find(needle, at + 1)
        return None

    def _in_words(self, needle: str) -> Place | None:
        """The same words in the same order, whatever stands between them."""
        words = _words(needle)
        at = self._joined.find(f" {' '.join(words)} ") if words else -1
        if at < 0:
            return None
        first = self._joined.count(" ", 0, at)
        return self._span(first, first + len(words) - 1, "normalised")

    def _scattered(self, needle: str) -> Place | None:
        """All of its words close together, in any order: `Doe, Jane` for `Jane Doe`."""
        words = set(_words(needle))
        if not 2 <= len(words) <= MAX_SCATTERED_WORDS or not words <= self._vocabulary:
            return None
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
        return None if best is None else self._span(*best, "scattered")

    def _number(self, wanted: Decimal) -> Place | None:
        found = next((each for each in self._numbers if wanted in each[2]), None)
        return None if found is None else Place(found[0], found[1], "normalised")

    def _written_number(self, value: str) -> Place | None:
        """Texts that are a number with a unit or a currency around it."""
        plain = re.sub(r"[^\d.,-]", "", value)
        if len(re.sub(r"[\d.,\s]", "", value)) > 4:
            return None
        try:
            return self._number(abs(Decimal(plain.replace(",", ""))).normalize())
        except InvalidOperation:
            return None

    def _day(self, value: str) -> Place | None:
        month = _MONTH.fullmatch(value)
        if month:
            year_and_month = (int(month[1]), int(month[2]))
            found = next((each for each in self._months if each[2] == year_and_month), None)
            return None if found is None else Place(found[0], found[1], "normalised")
        wanted = _as_day(value)
        days_found = () if wanted is None else self._days
        return next((Place(start, end, "normalised") for start, end, days in days_found if wanted in days), None)

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
    def _numbers(self) -> list[tuple[int, int, frozenset[Decimal]]]:
        return list(numbers(self.text))

    @cached_property
    def _days(self) -> list[tuple[int, int, frozenset[date]]]:
        return list(days(self.text))

    @cached_property
    def _months(self) -> list[tuple[int, int, tuple[int, int]]]:
        return list(months(self.text))


def same_value(value: object) -> object:
    """Equal for values that mean the same."""
    if isinstance(value, str):
        return " ".join(_words(_folded(value)[0])) or value.strip()
    return as_number(value) if isinstance(value, float) else value


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
