"""The last step of every strategy: order, threshold, number."""

from collections.abc import Iterable

from rag.retrievers.base import Query
from rag.types import Hit


def cut(hits: Iterable[Hit], query: Query, *, limit: int, threshold: float | None) -> tuple[Hit, ...]:
    """Best first, at most `limit`, none below the threshold; the query's threshold wins over the strategy's own."""
    least = threshold if query.score_threshold is None else query.score_threshold
    kept = [hit for hit in hits if least is None or hit.score >= least]
    return tuple(sorted(kept, key=lambda hit: (-hit.score, hit.id))[:limit])
