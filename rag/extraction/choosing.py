"""Of several places where a value stands, the one that it was read from: beside what is known of the same object, or
behind the field's own name."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property

from rag.extraction.evidence import Place
from rag.extraction.schemas import Schema

REACH = 80
"""Characters before a value in which the name of its field counts, on its line and the one before."""
MAX_WEIGHED, MAX_AROUND = 500, 20
"""Places that are compared: of all, and on each side of where an object stands."""
_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+")
MIN_NAME_CHARS = 2


class Lines:
    """Where the lines of a text begin."""

    def __init__(self, text: str) -> None:
        self.text = text

    def of(self, position: int) -> int:
        return bisect_right(self._starts, position)

    def span(self, position: int) -> tuple[int, int]:
        """Where the line of a position begins and ends."""
        line = self.of(position)
        return self._starts[line - 1], self._starts[line] if line < len(self._starts) else len(self.text)

    def before(self, place: Place) -> str:
        """What stands before it on its line and the one before, lower-case."""
        start = self._starts[max(0, self.of(place.start) - 2)]
        return self.text[max(start, place.start - REACH) : place.start].lower()

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(each.end() for each in re.finditer("\n", self.text))]


def label_words(name: str, schema: Schema) -> set[str]:
    """The words that a text may call a field by."""
    title = schema.get("title")
    names = f"{name} {title if isinstance(title, str) else ''}"
    return {each.lower() for each in _NAME.findall(names) if len(each) >= MIN_NAME_CHARS}


class Chooser:
    """For the values of one object, one after the other.

    Args:
        anchor: where the object stands; None for one whose values may stand anywhere.
        floor: where the object before it in a list ends.
    """

    def __init__(self, lines: Lines, anchor: int | None, floor: int) -> None:
        self._lines = lines
        self._anchor = anchor
        self._floor = floor
        self._taken: set[tuple[int, int]] = set()

    def choose(self, places: Sequence[Place], words: set[str]) -> Place:
        """The best one of those that are given in order."""
        chosen = places[0] if len(places) == 1 else self._best(places, words)
        self._taken.add((chosen.start, chosen.end))
        return chosen

    def _best(self, places: Sequence[Place], words: set[str]) -> Place:
        if self._anchor is None:
            return min(
                places[:MAX_WEIGHED],
                key=lambda each: (-self._named(each, words), self._is_taken(each), each.start),
            )
        at, floor = self._anchor, self._floor
        start, end = (bisect_left(places, each, key=lambda place: place.start) for each in self._lines.span(at))
        if start < end:
            beside = places[start : min(end, start + MAX_WEIGHED)]
            return min(beside, key=lambda each: (each.start < floor, self._is_taken(each), abs(each.start - at)))
        around = places[max(0, start - MAX_AROUND) : start + MAX_AROUND]
        return min(
            around,
            key=lambda each: (
                each.start < floor, self._is_taken(each), -self._named(each, words), abs(each.start - at)),
        )  # fmt: skip

    def _named(self, place: Place, words: set[str]) -> int:
        """How many words of the field's name stand before it."""
        before = _NAME.findall(self._lines.before(place)) if words else ()
        return sum(any(other.startswith(each) for other in before) for each in words)

    def _is_taken(self, place: Place) -> bool:
        return (place.start, place.end) in self._taken


def anchor_of(found: Sequence[Sequence[Place]], floor: int) -> int | None:
    """The position of the value that stands at the fewest places; of those, the first one from `floor` on."""
    rarest = min((each for each in found if each), key=len, default=None)
    if rarest is None:
        return None
    return next((each.start for each in rarest if each.start >= floor), rarest[0].start)
