"""The question with telling words of its own best hits, without any model: pseudo-relevance feedback."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from rag.embedders.base import Embedder
from rag.registry import ComponentOptions
from rag.retrievers.base import Query, Retriever
from rag.retrievers.models import Models
from rag.retrievers.trace import NO_TRACE
from rag.stores.lexical import STOP_WORDS
from rag.transforms.base import Transformed
from rag.types import Hit

_WORD = re.compile(r"[^\W\d_]{3,}")


class Expansion:
    """Asks the strategy once, takes the words that its first hits use more than the further ones, and searches for
    the question with them as well. A strategy that does not search words gets them embedded with the question.

    Source:
        Carpineto, de Mori, Romano and Bigi, "An Information-Theoretic Approach to Automatic Query Expansion",
        ACM TOIS 2001: terms are weighted by their part of the Kullback-Leibler divergence.
    """

    class Options(ComponentOptions):
        feedback_hits: int = Field(5, ge=1, le=50, description="First hits whose words are taken.")
        background_hits: int = Field(50, ge=10, le=500, description="Hits that they are compared with.")
        terms: int = Field(5, ge=1, le=20, description="Words that are added.")

    def __init__(self, options: Options, *, models: Models, embedder: Embedder, retriever: Retriever) -> None:
        self._options = options
        self._retriever = retriever
        self._searches_words = bool(getattr(retriever, "searches_words", False))

    def transform(self, query: Query) -> Transformed:
        options = self._options
        wanted = replace(query, top_k=options.background_hits, score_threshold=0.0, trace=NO_TRACE)
        hits = self._retriever.retrieve(wanted).hits
        terms = telling_terms(query.text, hits, feedback=options.feedback_hits, number=options.terms)
        if not terms:
            return Transformed((query,))
        expanded = f"{query.lexical} {' '.join(terms)}"
        if self._searches_words:
            return Transformed((query, replace(query, words=expanded)))
        return Transformed((query, replace(query, text=expanded, vector=None)))


def telling_terms(question: str, hits: Sequence[Hit], *, feedback: int, number: int) -> list[str]:
    """Words that at least two of the first `feedback` hits use, weighted by p(first) * log(p(first) / p(all)).

    None are taken when there are not more hits than that: nothing tells the first ones apart.
    """
    if len(hits) <= feedback:
        return []
    known = {*_words(question), *STOP_WORDS}
    bodies = [Counter(_words(hit.text)) for hit in hits]
    first, everything = _summed(bodies[:feedback]), _summed(bodies)
    first_total, total = sum(first.values()), sum(everything.values())
    holders = Counter(word for body in bodies[:feedback] for word in body)
    weights = {
        word: (count / first_total) * math.log((count / first_total) / (everything[word] / total))
        for word, count in first.items()
        if word not in known and holders[word] >= min(2, feedback)
    }
    return sorted((word for word in weights if weights[word] > 0), key=lambda word: (-weights[word], word))[:number]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _summed(bodies: Sequence[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for body in bodies:
        total.update(body)
    return total
