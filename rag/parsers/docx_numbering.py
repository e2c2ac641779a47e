"""The numbers that Word writes before list items and numbered headings; the file holds only their rules."""

import re
from dataclasses import dataclass
from typing import Any, Final

from rag.parsers.docx_xml import W, number, value
from rag.parsers.numerals import numeral

BULLET: Final = "-"
_PLACE: Final = re.compile(r"%([1-9])")


@dataclass(frozen=True, slots=True)
class _Level:
    start: int
    form: str
    text: str


class Numbering:
    """Counts while paragraphs pass by in order."""

    def __init__(self, root: Any | None) -> None:
        abstract = (
            {} if root is None else {each.get(f"{W}abstractNumId"): each for each in root.iter(f"{W}abstractNum")}
        )
        self._nums = {} if root is None else {each.get(f"{W}numId"): each for each in root.iter(f"{W}num")}
        self._levels = {key: _levels(each) for key, each in abstract.items()}
        self._counts: dict[str | None, dict[int, int]] = {}
        self._begun: set[str] = set()

    def label(self, num_id: str, depth: int) -> str:
        """The mark of the next item: `3.`, `2.1`, `b)`, or a hyphen for bullets; "" where the level has none."""
        num = self._nums.get(num_id)
        abstract_id = None if num is None else value(num, "abstractNumId")
        levels = self._levels.get(abstract_id, {})
        level = levels.get(depth)
        if level is None or level.form == "bullet":
            return BULLET
        if level.form == "none":
            return ""
        counts = self._counts.setdefault(abstract_id, {})
        self._restart(num_id, num, counts)
        counts[depth] = counts.get(depth, level.start - 1) + 1
        for deeper in [each for each in counts if each > depth]:
            del counts[deeper]
        return _PLACE.sub(lambda found: _shown(int(found[1]) - 1, counts, levels), level.text).strip()

    def _restart(self, num_id: str, num: Any, counts: dict[int, int]) -> None:
        """A list that begins anew says so at its first item."""
        if num_id in self._begun:
            return
        self._begun.add(num_id)
        for override in num.iter(f"{W}lvlOverride"):
            start = value(override, "startOverride")
            if start is not None:
                counts[number(override.get(f"{W}ilvl"))] = number(start) - 1


def _levels(abstract: Any) -> dict[int, _Level]:
    return {
        number(each.get(f"{W}ilvl")): _Level(
            number(value(each, "start") or "1"), value(each, "numFmt") or "decimal", value(each, "lvlText") or ""
        )
        for each in abstract.iter(f"{W}lvl")
    }


def _shown(depth: int, counts: dict[int, int], levels: dict[int, _Level]) -> str:
    level = levels.get(depth)
    return numeral(counts.get(depth, level.start if level else 1), level.form if level else "decimal")
