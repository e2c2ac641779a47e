"""Hits put in the order that a reranker gives them."""

from collections.abc import Sequence

from rag.rerankers.base import Reranker
from rag.retrievers import fuse
from rag.types import Hit


def reranked(query: str, hits: Sequence[Hit], reranker: Reranker, *, relevance_threshold: float = 0.0) -> list[Hit]:
    """The hits by relevance, best first.

    The new order is placed between the lowest and the highest score of before, so that score thresholds keep their
    meaning; the relevance itself, stretched to [0, 1] over these hits, is in `scores["relevance"]`.

    Args:
        relevance_threshold: hits whose stretched relevance is below it are left out.

    Raises:
        UpstreamError: the reranker does not answer.
    """
    if not hits:
        return []
    given = reranker.rerank(query, [hit.read_text for hit in hits])
    relevance = fuse.min_max({hit.id: value for hit, value in zip(hits, given, strict=True)})
    scores = [hit.score for hit in hits]
    values = fuse.on_scale(relevance, min(scores), max(scores))
    merged = fuse.merge([hits], values, stage="rerank")
    return [
        fuse.with_score(hit, "relevance", relevance[hit.id])
        for hit in merged
        if relevance[hit.id] >= relevance_threshold
    ]
