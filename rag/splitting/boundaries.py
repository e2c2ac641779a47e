"""How likely a new document begins with a page: by page numbers and reference numbers in print, by salutations and
closings, and by sentences that go on."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rag.splitting.labels import Page

HEAD_LINES = 15
FOOT_LINES = 8
LINE_CHARS = 200
_OF = re.compile(
    r"(?:page|seite|p[áa]gina|p\.)\s{0,3}(\d{1,4})\s{0,3}(?:of|von|sur|de|/)\s{0,3}(\d{1,4})\b", re.IGNORECASE
)
_BARE_OF = re.compile(r"(\d{1,4})\s{0,3}(?:of|von|sur|/)\s{0,3}(\d{1,4})", re.IGNORECASE)
_ALONE = re.compile(r"[-–—\s]{0,4}(?:page|seite|p[áa]gina|p\.)?\s{0,3}(\d{1,4})[-–—\s]{0,4}", re.IGNORECASE)
_REFERENCE = re.compile(
    r"\b(invoice|order|contract|reference|ref|case|claim|account|receipt|policy|rechnung|facture)\b"
    r"[ .:#]{0,4}(?:no|nr|number|num|id|nummer)?[ .:#]{1,4}([A-Z0-9/-]{0,12}\d[A-Z0-9/-]{0,20})",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"(?:dear\b|sehr geehrte|cher |ch[èe]re |estimad[oa]|to whom it may concern|abstract\b|curriculum)", re.IGNORECASE
)
_CLOSING = re.compile(
    r"(?:yours )?(?:sincerely|faithfully|truly)|(?:kind|best) regards|mit freundlichen gr|cordialement|atentamente",
    re.IGNORECASE,
)
FIRST_OF, LATER_OF = 4.0, -5.0
FIRST_ALONE, FIRST_AGAIN, NEXT_NUMBER = 2.0, 3.5, -4.0
OTHER_REFERENCE, SAME_REFERENCE = 4.0, -2.0
OPENS, CLOSED = 1.5, 1.5
SAME_FIRST_LINE, GOES_ON = -0.5, -2.0
OTHERWISE = -1.5


@dataclass(frozen=True)
class _Look:
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return [line.strip()[:LINE_CHARS] for line in self.text.splitlines() if line.strip()]

    @cached_property
    def margins(self) -> list[str]:
        return [*self.lines[:3], *self.lines[-3:]]

    @cached_property
    def number_of(self) -> tuple[int, int] | None:
        """`Page 2 of 5` → (2, 5)."""
        found = [_OF.search(line) or _BARE_OF.fullmatch(line) for line in reversed(self.margins)]
        numbers = [(int(each[1]), int(each[2])) for each in found if each]
        return next((each for each in numbers if 1 <= each[0] <= each[1]), None)

    @cached_property
    def number_alone(self) -> int | None:
        """A margin's line that is a page number and nothing else."""
        found = [_ALONE.fullmatch(line) for line in (*self.lines[-1:], *self.lines[:1])]
        return next((int(each[1]) for each in found if each), None)

    @cached_property
    def references(self) -> dict[str, str]:
        found = [match for line in self.lines[:HEAD_LINES] for match in _REFERENCE.finditer(line)]
        return {match[1].lower(): match[2] for match in reversed(found)}

    @property
    def opens(self) -> bool:
        return any(_OPENING.match(line) for line in self.lines[:HEAD_LINES])

    @property
    def closes(self) -> bool:
        return any(_CLOSING.match(line) for line in self.lines[-FOOT_LINES:])


def starts(pages: Sequence[Page]) -> list[float]:
    """For each page the chance, in (0, 1), that a document begins with it; 1 for the first."""
    looks = [_Look(page.text) for page in pages]
    return [1.0, *(_chance(one, next_) for one, next_ in pairwise(looks))][: len(pages)]


def _chance(before: _Look, page: _Look) -> float:
    if not page.lines:
        return 0.1
    score = OTHERWISE + _by_numbers(before, page) + _by_references(before, page)
    score += OPENS * page.opens + CLOSED * before.closes
    if before.lines:
        score += SAME_FIRST_LINE * (page.lines[0] == before.lines[0])
        score += GOES_ON * (before.lines[-1][-1].islower() and page.lines[0][0].islower())
    return 1 / (1 + math.exp(-score))


def _by_numbers(before: _Look, page: _Look) -> float:
    if page.number_of is not None:
        return FIRST_OF if page.number_of[0] == 1 else LATER_OF
    if page.number_alone is None:
        return 0.0
    if page.number_alone == 1:
        return FIRST_ALONE if before.number_alone is None else FIRST_AGAIN
    return NEXT_NUMBER if before.number_alone == page.number_alone - 1 else 0.0


def _by_references(before: _Look, page: _Look) -> float:
    shared = before.references.keys() & page.references.keys()
    if not shared:
        return 0.0
    return (
        SAME_REFERENCE if all(before.references[each] == page.references[each] for each in shared) else OTHER_REFERENCE
    )
