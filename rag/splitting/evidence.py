"""How well each page fits each label: by the words that it shares with it, and by what both mean.

The weights below were set on documents put together from invoices, letters, reports and others, see
tests/unit/splitting/test_quality.py; they hold for any embedder, because only differences within one page count.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag.llms.quote_words import WORD, terms
from rag.splitting.labels import Category, Page, cued, description_terms, name_terms, others
from rag.types import Matrix

Scores: TypeAlias = NDArray[np.float64]
Embed: TypeAlias = Callable[[list[str]], Matrix]
"""Texts → unit vectors, in their order; every text is short enough for the model."""

TITLE = 3.5
"""The label's name stands in the first lines."""
NAME = 1.5
"""It stands anywhere."""
WORDS = 4.0
"""Times the share of the label's words, weighted by rarity, that the page has."""
MEANING = 14.0
"""Times how much nearer the label is to the page than labels are on the average."""
TITLE_LINES = 5
TITLE_CHARS = 300
MAX_TERMS_CHARS = 20_000
PAGES_AT_ONCE = 64
EXCERPT_CHARS = 1_000
NAME_WEIGHT = 1.5
MANY = 1.0
"""What the best of the others loses, because there are so many of them."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    Args:
        scores: natural logarithms of odds, shape (pages, categories + 1); the last column is "none of them".
        similarity: of each page and category, in [-1, 1]; 0 for pages without text.
    """

    scores: Scores
    similarity: Scores


class Labels:
    """Categories, and what stands beside them."""

    def __init__(self, categories: Sequence[Category]) -> None:
        self.categories = list(categories)
        self.all = [*categories, *others(categories)]
        self._names = [name_terms(each) for each in self.all]
        spread = Counter(term for each in self.all for term in {*name_terms(each), *description_terms(each)})
        self._weights = [self._weighted(each, spread) for each in self.all]
        self._sums = [sum(each.values()) for each in self._weights]

    def _weighted(self, label: Category, spread: Counter[str]) -> dict[str, float]:
        rarity = {term: math.log(1 + len(self.all) / count) for term, count in spread.items()}
        found = {term: rarity[term] for term in description_terms(label)}
        found |= {term: NAME_WEIGHT * rarity[term] for term in name_terms(label)}
        return found

    def by_words(self, text: str) -> list[float]:
        """Scores of one page."""
        lines = [line.strip() for line in text[:MAX_TERMS_CHARS].splitlines() if line.strip()]
        title = set(terms(" ".join(lines[:TITLE_LINES])[:TITLE_CHARS]))
        words = set(terms(text[:MAX_TERMS_CHARS])) | cued(text[:MAX_TERMS_CHARS])
        return [self._score(place, title, words) for place in range(len(self.all))]

    def shared_words(self, place: int, text: str) -> list[str]:
        """Words of a label that a text has, as they stand there, the rarest first."""
        weights, found = self._weights[place], dict[str, str]()
        for word in dict.fromkeys(WORD.findall(text[:MAX_TERMS_CHARS])):
            forms = terms(word)
            for term in forms:
                if term in weights:
                    found.setdefault(term, word if len(forms) == 1 else term)  # a word without spaces is many
        shown = [found[each] for each in sorted(found, key=lambda each: -weights[each])]
        return list({each.casefold(): each for each in reversed(shown)}.values())[::-1]

    def _score(self, place: int, title: set[str], words: set[str]) -> float:
        names, weights = self._names[place], self._weights[place]
        has_title = bool(names) and title.issuperset(names)
        has_name = bool(names) and words.issuperset(names)
        share = sum(weight for term, weight in weights.items() if term in words) / (self._sums[place] or 1.0)
        return TITLE * has_title + NAME * has_name + WORDS * share

    def gathered(self, scores: Scores) -> Scores:
        """Scores of all labels → of categories, and of the best of the others as "none of them"."""
        count = len(self.categories)
        rest = scores[:, count:].max(axis=1, keepdims=True) - MANY
        return np.hstack([scores[:, :count], rest])


def weigh(
    pages: Sequence[Page],
    labels: Labels,
    embed: Embed,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Evidence:
    """Look at every page by itself. Pages without text get no evidence for anything.

    Args:
        embed: is given excerpts of pages and the texts of labels, `PAGES_AT_ONCE` at a time.
        on_progress: told (pages done, pages) after each group.
    """
    meaning = embed([each.text for each in labels.all])
    count = len(labels.categories)
    scores = np.zeros((len(pages), count + 1))
    similarity = np.zeros((len(pages), count))
    for start in range(0, len(pages), PAGES_AT_ONCE):
        places = [at for at in range(start, min(start + PAGES_AT_ONCE, len(pages))) if pages[at].text.strip()]
        if places:
            vectors = embed([excerpt(pages[at].text) for at in places])
            near = np.asarray(vectors, dtype=np.float64) @ np.asarray(meaning, dtype=np.float64).T
            words = np.array([labels.by_words(pages[at].text) for at in places])
            centred = near - near.mean(axis=1, keepdims=True)
            scores[places] = labels.gathered(words + MEANING * centred)
            similarity[places] = near[:, :count]
        on_progress(min(start + PAGES_AT_ONCE, len(pages)), len(pages))
    return Evidence(scores, similarity)


def excerpt(text: str) -> str:
    return " ".join(text[: 2 * EXCERPT_CHARS].split())[:EXCERPT_CHARS]
