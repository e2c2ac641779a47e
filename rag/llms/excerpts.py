"""Shortens what is too long to be quoted, around the words of the question."""

from collections.abc import Iterable, Mapping

from rag.llms.quote_words import WORD, terms

MAX_QUOTE_CHARS = 600
LEAD_SHARE = 0.25
"""How much of an excerpt stands before the word it is cut around: answers mostly follow."""
EXCERPT_STEP = 20


def excerpt(text: str, weights: Mapping[str, float]) -> str:
    """The whole text, or as much of it around the question's words as a quote may hold; gaps show as `…`."""
    if len(text) <= MAX_QUOTE_CHARS:
        return text
    anchors = _anchors(text, weights) or [0]
    for width in range(MAX_QUOTE_CHARS, 0, -EXCERPT_STEP):
        spans = _windows(anchors, width, len(text))
        if sum(end - start for start, end in spans) <= MAX_QUOTE_CHARS:
            break
    parts = [_whole_words(text, start, end) for start, end in spans]
    before, after = "… " if spans[0][0] else "", " …" if spans[-1][1] < len(text) else ""
    return before + " … ".join(parts) + after


def _anchors(text: str, weights: Mapping[str, float]) -> list[int]:
    """One place of each wanted word, in order: the one that is nearest to the rarest word."""
    places: dict[str, list[int]] = {}
    for match in WORD.finditer(text):
        for term in terms(match.group()):
            if term in weights:
                places.setdefault(term, []).append(match.start())
    if not places:
        return []
    rarest = min(places, key=lambda term: (len(places[term]), -weights[term]))
    centre = places[rarest][0]
    return sorted({min(starts, key=lambda start: abs(start - centre)) for starts in places.values()})


def _windows(anchors: Iterable[int], width: int, length: int) -> list[tuple[int, int]]:
    """Spans of `width` around the anchors, those that touch made one."""
    spans: list[tuple[int, int]] = []
    for anchor in anchors:
        start = max(0, min(anchor - int(width * LEAD_SHARE), length - width))
        end = min(length, start + width)
        if spans and start <= spans[-1][1]:
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def _whole_words(text: str, start: int, end: int) -> str:
    """Leave out the word that each end of the span cuts, unless there is no other."""
    part = text[start:end]
    if start and not text[start - 1].isspace():
        part = part.partition(" ")[2] or part
    if end < len(text) and not text[end].isspace():
        part = part.rpartition(" ")[0] or part
    return part.strip()
