"""What a slide is to the presentation parser, whatever file it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Place = tuple[int, int]
"""Top and left, in English Metric Units."""

_ROW_EMU: Final = 300_000


@dataclass(frozen=True, slots=True)
class Slide:
    title: str
    blocks: tuple[str, ...]
    notes: str
    comments: tuple[str, ...]
    is_hidden: bool


def in_reading_order(shapes: Sequence[Any], places: Sequence[Place]) -> list[Any]:
    """Row by row from the top, each from the left; less than a third of an inch apart is beside each other."""
    placed = sorted(zip(places, range(len(shapes)), strict=True))
    rows: list[list[tuple[Place, int]]] = []
    for place, number in placed:
        if not rows or place[0] - rows[-1][0][0][0] > _ROW_EMU:
            rows.append([])
        rows[-1].append((place, number))
    return [shapes[number] for row in rows for _place, number in sorted(row, key=lambda each: (each[0][1], each[1]))]
