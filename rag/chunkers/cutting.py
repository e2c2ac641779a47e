"""From pieces to chunks: what all chunkers share once they know where their pieces are."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from rag.chunkers.base import TokenCounter
from rag.chunkers.packing import Measure, Rule, pack, refine
from rag.chunkers.places import HeadingHomes, Places, heading_starts, is_bare_heading, join_headings
from rag.chunkers.rulers import TokenRuler
from rag.chunkers.spans import Finder, Positions, Spans, line_spans, parted, sentence_spans, trimmed, word_spans
from rag.chunkers.tables import TableMap, row_pieces, rows_whole
from rag.errors import InvalidInputError
from rag.types import Chunk, Document, PageSpan, Part, with_table_header

MAX_TOKENS_PER_CHAR = 4
"""No tokenizer gives more tokens than a character has UTF-8 bytes: a limit in characters can make counting needless."""

Group = Callable[[Positions], Positions]
"""Rising group numbers of positions; a chunk stays inside one group."""


class Cutter:
    """Cuts one document; used once.

    Args:
        keeps_headings: whether a heading stays with what follows, at the price of coarser cuts below it.
    """

    def __init__(self, document: Document, counter: TokenCounter, *, keeps_headings: bool = True) -> None:
        self._document = document
        self._text = document.text
        self._counter = counter
        self._ruler: TokenRuler | None = None
        self._kept_headings = (
            heading_starts(document) if keeps_headings else heading_starts(replace(document, headings=()))
        )
        self._tables = TableMap(document.text, counter)

    def characters(self, size: int, overlap: int) -> list[Rule]:
        """Limits a chunk to `size` characters and to the embedder's window."""
        rules: list[Rule] = [lambda spans: Measure(spans[:, 0], spans[:, 1], size, overlap)]
        if size * MAX_TOKENS_PER_CHAR + self._tables.largest_header > self._counter.max_tokens:
            rules.append(self.tokens(self._counter.max_tokens, self._counter.max_tokens))
        return rules

    def tokens(self, size: int, overlap: int) -> Rule:
        """Limits a chunk to `size` tokens, or to the embedder's window where that is less.

        The header that is repeated over rows of a table does not count as the chunk's own, but takes of the window.
        """
        ruler = self._ruler or TokenRuler(self._text, self._counter)
        self._ruler = ruler
        window = self._counter.max_tokens
        limit = min(size, window)

        def rule(spans: Spans) -> Measure:
            reserve = np.maximum(self._tables.header_sizes(spans[:, 0]) - (window - limit), 0)
            return replace(ruler.measure(spans, limit, overlap), reserve=reserve)

        return rule

    def sentences(self) -> Spans:
        """Sentences and whole rows of tables, each within the embedder's window."""
        rules = [self.tokens(self._counter.max_tokens, 0)]
        pieces = rows_whole(sentence_spans(self._text), self._tables.rows)
        return refine(self._text, pieces, (sentence_spans, line_spans, word_spans), rules, lambda spans: spans)

    def cut(
        self,
        pieces: Spans,
        finders: Sequence[Finder],
        rules: Sequence[Rule],
        *,
        group: Group | None = None,
        is_firm: bool = False,
    ) -> list[Chunk]:
        """Pack `pieces` into chunks. None reaches over the end of a page or a part: a citation names one, not a range.

        Args:
            pieces: cover all text that is not white space; ideally none is parted.
            finders: coarse to fine, for pieces over a limit.
            rules: the limits of a chunk. Whatever they say, none is larger than the embedder's window.
            group: where chunks must end besides, except that a heading goes with what it stands over.
            is_firm: whether there is no such exception.
        """
        groups = self._groups(group, is_firm)
        join = self._joiner(groups)
        if len(self._tables.rows):
            pieces, finders = rows_whole(pieces, self._tables.rows), (row_pieces, *finders, word_spans)
        pieces = refine(self._text, join(parted(pieces, self._borders())), finders, rules, join)
        if not len(pieces):
            return []
        measures = [rule(pieces) for rule in rules]
        numbers = groups(pieces)
        measures.append(Measure(numbers, numbers, 0, 0))
        runs = np.array(pack(measures), dtype=np.int64)
        return self._chunks(np.stack([pieces[runs[:, 0], 0], pieces[runs[:, 1], 1]], axis=1))

    def _borders(self) -> Positions:
        """Where pages begin and parts begin or end; a bare heading before them belongs to what they begin with."""
        document = self._document
        pieces: list[PageSpan | Part] = [*document.pages, *document.parts]
        ends = sorted(each.end for each in pieces)
        starts = {each.start for each in pieces}
        heads = heading_starts(document)
        kept = [start for start in starts if not self._follows_bare_heading(start, heads, ends)]
        return np.unique(np.array([*kept, *(part.end for part in document.parts)], dtype=np.int64))

    def _follows_bare_heading(self, start: int, heads: Positions, ends: list[int]) -> bool:
        """Whether only a heading stands between `start` and the end of whatever came before it."""
        index = int(np.searchsorted(heads, start, "left")) - 1
        if index < 0 or bisect_right(ends, int(heads[index])) < bisect_right(ends, start):
            return False
        head = self._text[int(heads[index]) : start].rstrip()
        return is_bare_heading(head, 0, len(head))

    def _groups(self, group: Group | None, is_firm: bool) -> Callable[[Spans], Positions]:
        """Rising numbers of spans: of the pages and parts that they begin in, and within them of `group`."""
        borders = self._borders()
        homes = HeadingHomes(self._text, self._kept_headings[:0] if is_firm else self._kept_headings, borders)

        def numbers(spans: Spans) -> Positions:
            hard = np.searchsorted(borders, spans[:, 0], "right").astype(np.int64)
            return hard if group is None else hard + group(homes.of(spans[:, 0]))

        return numbers

    def _joiner(self, groups: Callable[[Spans], Positions]) -> Callable[[Spans], Spans]:
        return lambda spans: join_headings(self._text, spans, self._kept_headings, groups(spans))

    def _chunks(self, spans: Spans) -> list[Chunk]:
        places = Places(self._document)
        chunks: list[Chunk] = []
        reached = -1
        for start, end, token_count, table_header in self._headed(self._fitted(spans)):
            if end <= reached:  # a half of a chunk that had to be parted, and that its neighbour's overlap holds too
                continue
            reached = end
            first_page, last_page = places.pages(start, end)
            heading_path, section_titles = places.sections(start, end)
            chunks.append(
                Chunk(
                    index=len(chunks),
                    text=self._text[start:end],
                    start=start,
                    end=end,
                    token_count=token_count,
                    page_start=first_page,
                    page_end=last_page,
                    heading_path=heading_path,
                    table_header=table_header,
                    section_titles=section_titles,
                )
            )
        return chunks

    def _headed(self, spans: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int, str]]:
        """Spans with the table header to repeat, which is left out where the window does not hold it besides."""
        headers = [self._tables.header_at(start) for start, _, _ in spans]
        texts = [
            with_table_header(self._text[start:end], header)
            for header, (start, end, _) in zip(headers, spans, strict=True)
            if header
        ]
        counts = iter(self._counter.count_batch(texts) if texts else [])
        for (start, end, token_count), header in zip(spans, headers, strict=True):
            with_header = next(counts) if header else 0
            fits = 0 < with_header <= self._counter.max_tokens
            yield (start, end, with_header, header) if fits else (start, end, token_count, "")

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
