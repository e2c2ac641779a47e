"""From pieces to chunks: what all chunkers share once they know where their pieces are."""

from collections.abc import Callable, Sequence

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.chunkers.packing import Measure, Rule, pack, refine
from rag.chunkers.places import Places, heading_starts, join_headings
from rag.chunkers.rulers import TokenRuler
from rag.chunkers.spans import Finder, Positions, Spans, parted, trimmed
from rag.errors import InvalidInputError
from rag.types import Chunk, Document

MAX_TOKENS_PER_CHAR = 4
"""No tokenizer gives more tokens than a character has UTF-8 bytes: a limit in characters can make counting needless."""

Group = Callable[[Positions], Positions]
"""Rising group numbers of positions; a chunk stays inside one group."""


class Cutter:
    """Cuts one document; used once."""

    def __init__(self, document: Document, counter: TokenCounter) -> None:
        self._document = document
        self._text = document.text
        self._counter = counter
        self._ruler: TokenRuler | None = None

    def characters(self, size: int, overlap: int) -> list[Rule]:
        """Limits a chunk to `size` characters and to the embedder's window."""
        rules: list[Rule] = [lambda spans: Measure(spans[:, 0], spans[:, 1], size, overlap)]
        if size * MAX_TOKENS_PER_CHAR > self._counter.max_tokens:
            rules.append(self.tokens(self._counter.max_tokens, self._counter.max_tokens))
        return rules

    def tokens(self, size: int, overlap: int) -> Rule:
        """Limits a chunk to `size` tokens, or to the embedder's window where that is less."""
        ruler = self._ruler or TokenRuler(self._text, self._counter)
        self._ruler = ruler
        return lambda spans: ruler.measure(spans, min(size, self._counter.max_tokens), overlap)

    def cut(
        self, pieces: Spans, finders: Sequence[Finder], rules: Sequence[Rule], *, group: Group | None = None
    ) -> list[Chunk]:
        """Pack `pieces` into chunks. None reaches over the end of a page or a part: a citation names one, not a range.

        Args:
            pieces: cover all text that is not white space; ideally none is parted.
            finders: coarse to fine, for pieces over a limit.
            rules: the limits of a chunk. Whatever they say, none is larger than the embedder's window.
            group: where chunks must end besides.
        """
        groups = [each for each in (group, self._place_group()) if each is not None]
        join = self._joiner(groups)
        pieces = refine(self._text, join(parted(pieces, self._borders())), finders, rules, join)
        if not len(pieces):
            return []
        measures = [rule(pieces) for rule in rules]
        measures += [Measure(numbers, numbers, 0, 0) for each in groups for numbers in [each(pieces[:, 0])]]
        runs = np.array(pack(measures), dtype=np.int64)
        return self._chunks(np.stack([pieces[runs[:, 0], 0], pieces[runs[:, 1], 1]], axis=1))

    def _borders(self) -> Positions:
        """Where pages begin and parts begin or end."""
        document = self._document
        edges = [edge for part in document.parts for edge in (part.start, part.end)]
        return np.unique(np.array([page.start for page in document.pages] + edges, dtype=np.int64))

    def _place_group(self) -> Group | None:
        borders = self._borders()
        if not len(borders):
            return None
        return lambda positions: np.searchsorted(borders, positions, "right").astype(np.int64)

    def _joiner(self, groups: Sequence[Group]) -> Callable[[Spans], Spans]:
        starts = heading_starts(self._document)

        def join(spans: Spans) -> Spans:
            # Every group's numbers rise, so their sum is equal for two neighbours only where each of them is.
            numbers = np.sum([each(spans[:, 0]) for each in groups], axis=0) if groups else None
            return join_headings(self._text, spans, starts, numbers)

        return join

    def _chunks(self, spans: Spans) -> list[Chunk]:
        places = Places(self._document)
        chunks: list[Chunk] = []
        reached = -1
        for start, end, token_count in self._fitted(spans):
            if end <= reached:  # a half of a chunk that had to be parted, and that its neighbour's overlap holds too
                continue
            reached = end
            first_page, last_page = places.pages(start, end)
            chunks.append(
                Chunk(
                    index=len(chunks),
                    text=self._text[start:end],
                    start=start,
                    end=end,
                    token_count=token_count,
                    page_start=first_page,
                    page_end=last_page,
                    heading_path=places.heading_path(start),
                )
            )
        return chunks

    def _fitted(self, spans: Spans) -> list[tuple[int, int, int]]:
        """(start, end, token count) in order; spans that the counter finds too large are halved until they fit."""
        fitted: list[tuple[int, int, int]] = []
        spans = trimmed(self._text, spans)
        while len(spans):
            counts = self._counts(spans)
            fits = counts <= self._counter.max_tokens
            fitted.extend(zip(*spans[fits].T.tolist(), counts[fits].tolist(), strict=True))
            halves = [self._halves(start, end) for start, end in spans[~fits].tolist()]
            spans = trimmed(self._text, np.concatenate(halves)) if halves else spans[:0]
        return sorted(fitted, key=lambda span: (span[0], -span[1]))

    def _counts(self, spans: Spans) -> Positions:
        unknown = np.full(len(spans), -1, dtype=np.int64)
        counts = unknown if self._ruler is None else self._ruler.exact_counts(spans)
        open_indexes = np.flatnonzero(counts < 0)
        texts = [self._text[start:end] for start, end in spans[open_indexes].tolist()]
        counts[open_indexes] = self._counter.count_batch(texts)
        return counts

    def _halves(self, start: int, end: int) -> Spans:
        if end - start < 2:
            window = self._counter.max_tokens
            raise InvalidInputError(f"the embedder's window of {window} tokens does not hold a single character")
        middle = (start + end) // 2
        floor = start + (end - start) // 4
        cut = max(self._text.rfind(" ", floor, middle), self._text.rfind("\n", floor, middle))
        cut = cut if cut > start else middle
        return np.array([[start, cut], [cut, end]], dtype=np.int64)
