"""The transform role: a question as it was asked → what is searched for."""

from dataclasses import dataclass
from typing import Protocol

from rag.retrievers.base import Query


@dataclass(frozen=True, slots=True)
class Transformed:
    """What is searched for.

    Args:
        queries: never empty; the first one stands for the question from now on.
        notes: for whoever asked; empty when all went as configured.
    """

    queries: tuple[Query, ...]
    notes: tuple[str, ...] = ()


class Transform(Protocol):
    """Built as `Class(options, models=…, embedder=…, retriever=…)`; `retriever` is the strategy it stands before.

    Thread-safe. Raises RagError when it cannot do its work: the question is then searched for as it is.
    """

    def transform(self, query: Query) -> Transformed: ...
