"""Hits that say what a better one said already, in other files: copies, versions, texts with another header."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rag.types import Hit

SAME_WORDS = 0.9
"""Share of runs of three words that two texts have in common, of all that either has: one changed word in sixty."""
SAME_MEANING = 0.98
"""Cosine of the vectors; below, the texts need not be compared word by word."""
RUN_WORDS = 3

_WORD = re.compile(r"\w+")
_TELLING = frozenset(
    "no not nor never none without cannot nicht kein keine keinen nie ohne ne pas non jamais sans".split()  # noqa: SIM905
)


def collapse(hits: Iterable[Hit]) -> list[Hit]:
    """Leave out a hit that nearly repeats an earlier one of another file; the order stays.

    Two texts that name different numbers or codes, or of which one says "not", are never the same: forms and series of
    reports differ in nothing else.
    """
    kept: dict[tuple[str, ...], list[_Text]] = {}
    distinct: list[Hit] = []
    for hit in hits:
        text = _Text(hit)
        alike = kept.setdefault(text.marks, [])
        if not any(text.repeats(other) for other in alike):
            alike.append(text)
            distinct.append(hit)
    return distinct


@dataclass
class _Text:
    hit: Hit

    @cached_property
    def words(self) -> list[str]:
        return _WORD.findall(self.hit.text.casefold())

    @cached_property
    def marks(self) -> tuple[str, ...]:
        """What tells this text from others that are written alike."""
        return tuple(word for word in self.words if word in _TELLING or not word.isalpha())

    @cached_property
    def runs(self) -> set[tuple[str, ...]]:
        count = max(1, len(self.words) - RUN_WORDS + 1)
        return {tuple(self.words[start : start + RUN_WORDS]) for start in range(count)}

    def repeats(self, other: "_Text") -> bool:
        if self.hit.file_key == other.hit.file_key:
            return False
        if self.words == other.words:
            return bool(self.words) or self.hit.text.split() == other.hit.text.split()
        fewer, more = sorted((len(self.words), len(other.words)))
        return fewer >= SAME_WORDS * more and self._is_near(other.hit) and self._overlap(other) >= SAME_WORDS

    def _is_near(self, other: Hit) -> bool:
        if self.hit.vector is None or other.vector is None:
            return True
        lengths = float(np.linalg.norm(self.hit.vector) * np.linalg.norm(other.vector))
        return float(self.hit.vector @ other.vector) >= SAME_MEANING * lengths

    def _overlap(self, other: "_Text") -> float:
        return len(self.runs & other.runs) / len(self.runs | other.runs)
