"""The retriever role: a query → hits."""

from dataclasses import dataclass, field
from typing import Protocol

from rag.filters import Filter
from rag.types import Hit


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a database.

    Args:
        top_k: wanted hits; None means the strategy's own.
        score_threshold: hits below it are cut, in every mode; None means the strategy's own.
        hybrid_alpha: weight of the vector side in [0, 1], where the strategy fuses; None means the strategy's own.
    """

    text: str
    top_k: int | None = None
    where: Filter = field(default_factory=Filter)
    score_threshold: float | None = None
    hybrid_alpha: float | None = None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Hits, best first, and sentences about stages that were skipped or fell back."""

    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()


class Retriever(Protocol):
    """Built as `Class(options, embedder=…, store=…)`. Applies filters before top_k and thresholds after scoring."""

    def retrieve(self, query: Query) -> Retrieval: ...
