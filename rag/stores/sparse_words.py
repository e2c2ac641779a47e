"""Text → a sparse vector whose dot product with a query's is BM25: the words of a store that keeps no word index.

The server knows how many chunks hold a term (`modifier: idf`) and multiplies by it; the rest of BM25 is in the values
that are written here. They hold an average length that is a constant: a tracked one would change with every file,
and each change would mean to write every point again, while the lengths of chunks are what a chunker was told.

Terms are the same that the Tantivy index has (case, accents, English endings, ideographs one by one). Positions do not
fit into a sparse vector: neighbours are terms of their own instead, and so is what is written as one token, such as
`ZX-4471-Q`. A term's index is 32 bits of its hash: with ten million different terms, one in 400 shares its index with
another, and then counts for both.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.stores.lexical import STOP_WORDS, spaced, terms
from rag.stores.tantivy_index import BOOSTS, word_analyzer

K1 = 1.2
B = 0.75
AVERAGE_WORDS: Mapping[str, float] = {"text": 180.0, "place": 8.0}
"""Of a chunk of about 256 tokens, and of a file's name with headings."""

_PARTS = re.compile(r"[^\W_]+")
_TERM = re.compile(r'"(?P<text>[^"]*)"(?:\^(?P<boost>[0-9.]+))?', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sparse:
    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class SparseQuery:
    """`phrases` were asked for as they are written: whoever ranks may look whether a text holds them."""

    indices: list[int]
    values: list[float]
    phrases: tuple[tuple[str, ...], ...]


class SparseWords:
    """Thread-safe."""

    def __init__(self) -> None:
        self._analyzer = word_analyzer()

    def document(self, text: str, place: str) -> Sparse:
        """Args:
        place: file name and headings, which count half of the text.
        """
        weights: dict[int, float] = {}
        for name, content in (("text", text), ("place", place)):
            words = self.words(content)
            length = 1 - B + B * len(words) / AVERAGE_WORDS[name]
            for term, count in Counter(self._terms(content, words)).items():
                value = BOOSTS.get(name, 1.0) * count * (K1 + 1) / (count + K1 * length)
                index = _index(term)
                weights[index] = weights.get(index, 0.0) + value
        return Sparse(list(weights), list(weights.values()))

    def query(self, text: str) -> SparseQuery:
        """No indices: there is nothing to look for."""
        weights: dict[int, float] = {}
        phrases: list[tuple[str, ...]] = []
        for match in map(_TERM.fullmatch, terms(text)):
            if match is None:
                continue
            words, boost = self.words(match["text"]), float(match["boost"] or 1.0)
            found = [f"w {words[0]}"] if len(words) == 1 else [*_neighbours(words), *_whole(words)]
            for term in found if words else []:
                weights[_index(term)] = boost
            if match["boost"] and len(words) > 1:
                phrases.append(tuple(words))
        return SparseQuery(list(weights), list(weights.values()), tuple(phrases))

    def words(self, text: str) -> list[str]:
        return list(self._analyzer.analyze(spaced(text)))

    def holds(self, text: str, phrase: Sequence[str]) -> bool:
        """Whether the words of `phrase` stand in `text` one behind the other."""
        words, first = self.words(text), phrase[0]
        return any(word == first and words[at : at + len(phrase)] == list(phrase) for at, word in enumerate(words))

    def _terms(self, content: str, words: Sequence[str]) -> Iterable[str]:
        yield from (f"w {word}" for word in words)
        yield from _neighbours(words)
        for token in content.split():
            if len(_PARTS.findall(token)) > 1:
                yield from _whole(self.words(token))


def _neighbours(words: Sequence[str]) -> Iterable[str]:
    return (f"n {one} {two}" for one, two in pairwise(words) if one not in STOP_WORDS or two not in STOP_WORDS)


def _whole(words: Sequence[str]) -> Iterable[str]:
    return [f"c {' '.join(words)}"] if len(words) > 1 else []


def _index(term: str) -> int:
    return int.from_bytes(hashlib.blake2b(term.encode(errors="replace"), digest_size=4).digest(), "big")
