"""The retriever role: a query → hits."""

import time
from dataclasses import dataclass, field, replace
from typing import Protocol

from rag.embedders.base import Embedder
from rag.filters import Filter
from rag.retrievers.trace import NO_TRACE, Stage, Trace
from rag.types import Hit, Vector


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a database.

    Args:
        top_k: wanted hits; None means the strategy's own.
        score_threshold: hits below it are cut, in every mode; None means the strategy's own.
        hybrid_alpha: weight of the vector side in [0, 1], where the strategy fuses; None means the strategy's own.
        candidates: hits taken from each side, where the strategy fuses; None means the strategy's own.
        history: (role, text) of the conversation before the question, oldest first.
        words: what is searched for by words, where that is not `text`.
        vector: what is searched for by meaning, where that is not the vector of `text`.
        deadline: moment (`time.monotonic`) after which nobody waits for the answer any more.
        trace: told what each stage does.
    """

    text: str
    top_k: int | None = None
    where: Filter = field(default_factory=Filter)
    score_threshold: float | None = None
    hybrid_alpha: float | None = None
    candidates: int | None = None
    history: tuple[tuple[str, str], ...] = ()
    words: str | None = None
    vector: Vector | None = field(default=None, compare=False)
    deadline: float | None = None
    trace: Trace = field(default=NO_TRACE, compare=False, repr=False)

    @property
    def lexical(self) -> str:
        return self.text if self.words is None else self.words

    def vector_by(self, embedder: Embedder) -> Vector:
        return embedder.embed_query(self.text) if self.vector is None else self.vector

    def for_candidates(self, count: int) -> "Query":
        """The query as a strategy inside another one is asked: a threshold of the request is for the final scores."""
        return replace(self, top_k=count, score_threshold=None if self.score_threshold is None else 0.0)

    def time_left(self, at_most_s: float) -> float:
        """Seconds that a stage may take which the answer does not depend on: at most half of what is left."""
        if self.deadline is None:
            return at_most_s
        return max(0.0, min(at_most_s, (self.deadline - time.monotonic()) / 2))


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Hits, best first, and sentences about stages that were skipped or fell back; `stages` if the query traces."""

    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()


class Retriever(Protocol):
    """Built as `Class(options, embedder=…, store=…)`. Applies filters before top_k and thresholds after scoring."""

    def retrieve(self, query: Query) -> Retrieval: ...
