"""Where the parts of a text are: paragraphs, lines, fields of a row, words. All linear in the text."""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.chunkers import sentences

Positions: TypeAlias = NDArray[np.int64]
Spans: TypeAlias = NDArray[np.int64]
"""Shape (count, 2): start and end of each span, in order and without overlap."""

Finder: TypeAlias = Callable[[str], Spans]
"""Finds parts that together cover every character of a text that is not white space."""

_PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*+\n\s*+|[\f\u2029]\s*+")
_FIELD_BREAK = re.compile(r"(?<=;) ")
_LINE = re.compile(r"\S[^\n]*+")

# Scripts written without blanks: a cut may fall after each character, but not before closing punctuation.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff"
_WORD = re.compile(rf"[{_UNSPACED}][。，、．：；！？」』）】〉》ー]*+|[^\s{_UNSPACED}]++")


def as_spans(pairs: Sequence[tuple[int, int]]) -> Spans:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def paragraph_spans(text: str) -> Spans:
    """Parts between blank lines, form feeds or paragraph separators."""
    return _between(text, _PARAGRAPH_BREAK)


def field_spans(text: str) -> Spans:
    """Parts of a table row that end in `; `."""
    return _between(text, _FIELD_BREAK)


def sentence_spans(text: str) -> Spans:
    return as_spans(sentences.sentence_spans(text))


def line_spans(text: str) -> Spans:
    return _matches(text, _LINE)


def word_spans(text: str) -> Spans:
    return _matches(text, _WORD)


def gaps_filled(text: str, spans: Spans) -> Spans:
    """Add what lies before, between and after `spans`, so that nothing of the text is left out."""
    edges = np.concatenate([[0], np.clip(spans, 0, len(text)).ravel(), [len(text)]])
    edges = np.maximum.accumulate(edges)
    return trimmed(text, np.stack([edges[:-1], edges[1:]], axis=1))


def trimmed(text: str, spans: Spans) -> Spans:
    """Take the white space off both ends of each span; blank ones are left out."""
    result = []
    for start, end in spans.tolist():
        part = text[start:end]
        body = part.lstrip()
        if body:
            first = end - len(body)
            result.append((first, first + len(body.rstrip())))
    return as_spans(result)


def parted(spans: Spans, cuts: Positions) -> Spans:
    """Part each span at the positions of `cuts` that lie inside it; `spans` are in order and do not overlap."""
    if not len(spans) or not len(cuts):
        return spans
    holder = np.searchsorted(spans[:, 0], cuts, "right") - 1
    inside = cuts[(holder >= 0) & (spans[holder, 0] < cuts) & (cuts < spans[holder, 1])]
    starts, ends = (np.sort(np.concatenate([spans[:, side], inside])) for side in (0, 1))
    return np.stack([starts, ends], axis=1)


def _matches(text: str, pattern: re.Pattern[str]) -> Spans:
    edges = (edge for match in pattern.finditer(text) for edge in match.span())
    return np.fromiter(edges, dtype=np.int64).reshape(-1, 2)


def _between(text: str, separator: re.Pattern[str]) -> Spans:
    edges = [0]
    for match in separator.finditer(text):
        edges.extend(match.span())
    edges.append(len(text))
    return trimmed(text, np.array(edges, dtype=np.int64).reshape(-1, 2))
