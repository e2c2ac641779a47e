"""Token positions of a whole text, taken once: the token count of any part of it is then a subtraction."""

from itertools import chain

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.chunkers.packing import Measure
from rag.chunkers.spans import Positions, Spans
from rag.chunkers.tokens import EstimatedCounter, TokenizerCounter, split_at_blanks

BLOCK_SIZE_CHARS = 1_048_576
"""Text per call of the counter: its list of spans takes some hundred bytes per token while it lives."""

LONG_TOKEN_CHARS = 100
"""A longer token is a word that the tokenizer gave up on; a part of it may well count as several tokens."""

LONG_TOKEN_STEP_CHARS = 16

_BLANKS = frozenset(" \t\r\n")


class TokenRuler:
    def __init__(self, text: str, counter: TokenCounter) -> None:
        self._text = text
        self._adds_up = isinstance(counter, TokenizerCounter | EstimatedCounter) and counter.adds_up
        spans = _token_spans(text, counter)
        is_long = spans[:, 1] - spans[:, 0] > LONG_TOKEN_CHARS
        self._long_starts = spans[is_long, 0]
        spans = _without_long(spans, np.flatnonzero(is_long).tolist())
        self._starts = np.maximum.accumulate(spans[:, 0])
        self._ends = np.maximum.accumulate(spans[:, 1])

    def measure(self, spans: Spans, limit: int, overlap: int) -> Measure:
        return Measure(
            low=np.searchsorted(self._ends, spans[:, 0], "right").astype(np.int64),
            high=np.searchsorted(self._starts, spans[:, 1], "left").astype(np.int64),
            limit=limit,
            overlap=overlap,
        )

    def exact_counts(self, spans: Spans) -> Positions:
        """Token count of each span as the counter itself would give it, or -1 where only the counter can tell."""
        if not self._adds_up:
            return np.full(len(spans), -1, dtype=np.int64)
        counts = self.measure(spans, 0, 0).sizes
        has_long = np.searchsorted(self._long_starts, spans[:, 1]) > np.searchsorted(self._long_starts, spans[:, 0])
        loose = np.array([not self._is_between_blanks(start, end) for start, end in spans.tolist()], dtype=np.bool_)
        return np.where(has_long | loose, -1, counts)

    def _is_between_blanks(self, start: int, end: int) -> bool:
        text = self._text
        return (start == 0 or text[start - 1] in _BLANKS) and (end == len(text) or text[end] in _BLANKS)


def _token_spans(text: str, counter: TokenCounter) -> Spans:
    blocks: list[Spans] = [np.empty((0, 2), dtype=np.int64)]
    offset = 0
    for block in split_at_blanks(text, BLOCK_SIZE_CHARS):
        spans = counter.spans(block)
        flat = np.fromiter(chain.from_iterable(spans), dtype=np.int64, count=2 * len(spans))
        blocks.append(flat.reshape(-1, 2) + offset)
        offset += len(block)
    return np.concatenate(blocks)


def _without_long(spans: Spans, long_indexes: list[int]) -> Spans:
    parts: list[Spans] = []
    done = 0
    for index in long_indexes:
        parts.append(spans[done:index])
        start, end = spans[index].tolist()
        edges = np.append(np.arange(start, end, LONG_TOKEN_STEP_CHARS, dtype=np.int64), end)
        parts.append(np.stack([edges[:-1], edges[1:]], axis=1))
        done = index + 1
    parts.append(spans[done:])
    return np.concatenate(parts)
