"""Chunks that end where the text turns to another subject."""

from bisect import bisect

import numpy as np
from pydantic import Field

from rag.chunkers.base import Distances, TokenCounter
from rag.chunkers.cutting import Cutter
from rag.chunkers.distances import word_distances
from rag.chunkers.options import SizeOptions
from rag.chunkers.spans import Positions, Spans, line_spans, word_spans
from rag.types import Chunk, Document


class SemanticChunker:
    """What stands before and after each sentence's end is embedded; a chunk ends where the two are unusually far
    apart. It takes several times the embedding of other ways of cutting, and is done by the workers that embed.
    """

    class Options(SizeOptions):
        semantic_buffer_size: int = Field(
            1, ge=1, le=10, description="Sentences that are embedded together with the one beside a possible break."
        )
        semantic_breakpoint_percentile_threshold: float = Field(
            95,
            ge=50,
            le=99,
            description="Percentage of sentences' ends that are no break: lower gives more, smaller chunks.",
        )
        min_chunk_size: int = Field(100, ge=1, description="Characters below which a chunk takes the next subject too.")
        max_chunk_size: int | None = Field(
            None, ge=1, description="Characters per chunk, at most, where that is less than `chunk_size`."
        )

    def __init__(self, options: Options, *, counter: TokenCounter, distances: Distances = word_distances) -> None:
        """Args:
        distances: the words of a text stand for its meaning unless an embedder's vectors are given, see `by`.
        """
        self._options = options
        self._counter = counter
        self._distances = distances

    def by(self, distances: Distances) -> "SemanticChunker":
        return SemanticChunker(self._options, counter=self._counter, distances=distances)

    def chunk(self, document: Document) -> list[Chunk]:
        cutter = Cutter(document, self._counter)
        options = self._options
        size = min(options.chunk_size, options.max_chunk_size or options.chunk_size)
        rules = cutter.characters(size, min(options.overlap, size - 1))
        pieces = _with_words(document.text, cutter.sentences())
        breaks = self._breaks(document.text, pieces)

        def subject_numbers(positions: Positions) -> Positions:
            return np.searchsorted(breaks, positions, "right").astype(np.int64)

        return cutter.cut(pieces, (line_spans, word_spans), rules, group=subject_numbers)

    def _breaks(self, text: str, pieces: Spans) -> Positions:
        """Where new subjects begin: the widest steps first, none too near to another."""
        width = self._options.semantic_buffer_size + 1
        if len(pieces) < 2 * width:
            return np.empty(0, dtype=np.int64)
        steps = self._distances(self._windows(text, pieces, width), width)
        threshold = np.percentile(steps, self._options.semantic_breakpoint_percentile_threshold)
        taken = [int(pieces[0, 0]), int(pieces[-1, 1])]
        for index in np.argsort(-steps, kind="stable")[: int((steps > threshold).sum())].tolist():
            start = int(pieces[index + width, 0])
            place = bisect(taken, start)
            if min(start - taken[place - 1], taken[place] - start) >= self._options.min_chunk_size:
                taken.insert(place, start)
        return np.array(taken[1:-1], dtype=np.int64)

    def _windows(self, text: str, pieces: Spans, width: int) -> list[str]:
        """For each piece but the last ones: `width` pieces from there, or as many as the embedder's window holds."""
        starts, ends = pieces[: len(pieces) - width + 1, 0], pieces[: len(pieces) - width + 1, 1].copy()
        open_indexes = np.arange(len(starts))
        for more in range(1, width):
            wider = pieces[open_indexes + more, 1]
            texts = [text[start:end] for start, end in zip(starts[open_indexes].tolist(), wider.tolist(), strict=True)]
            fits = np.array(self._counter.count_batch(texts)) <= self._counter.max_tokens
            open_indexes = open_indexes[fits]
            ends[open_indexes] = wider[fits]
        windows = [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        for index in np.flatnonzero(np.array(self._counter.count_batch(windows)) > self._counter.max_tokens).tolist():
            # A piece joined with one without words, or one whose tokens are more than its ruler showed.
            while self._counter.count(windows[index]) > self._counter.max_tokens:
                windows[index] = windows[index][: len(windows[index]) // 2]
        return windows


def _with_words(text: str, pieces: Spans) -> Spans:
    """Pieces with those that hold no letter or digit joined to the one before: such a piece means nothing."""
    if len(pieces) < 2:
        return pieces
    means = np.array([any(char.isalnum() for char in text[start:end]) for start, end in pieces.tolist()])
    is_begin = np.concatenate([[True], means[1:]])
    is_end = np.append(is_begin[1:], True)
    return np.stack([pieces[is_begin, 0], pieces[is_end, 1]], axis=1)
