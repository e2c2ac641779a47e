"""Nearest vectors, put in another order by what can be computed from a chunk and its metadata."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from rag.embedders.base import Embedder
from rag.registry import ComponentOptions
from rag.retrievers import fuse
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import nearest
from rag.retrievers.cut import cut
from rag.stores.base import Store
from rag.stores.lexical import STOP_WORDS
from rag.types import Hit, Scalar

_LEAST_SECONDS = 100_000_000
DATE_KEYS = ("modified", "modified_at", "date", "created", "created_at", "timestamp", "date_ingested")
DESCRIBING_KEYS = ("filename", "title", "heading_path", "section", "keywords", "subject")
FULL_LENGTH_WORDS = 120
"""A chunk of so many words says enough; shorter ones are often a heading or a line of a list."""
HALF_LIFE_DAYS = 365.0
_WORD = re.compile(r"[^\W_]+")


class RerankFactors(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    similarity_weight: float = Field(0.7, ge=0, le=1)
    recency_weight: float = Field(0.1, ge=0, le=1)
    length_weight: float = Field(0.1, ge=0, le=1)
    metadata_weight: float = Field(0.1, ge=0, le=1)

    @property
    def weights(self) -> list[float]:
        return [self.similarity_weight, self.recency_weight, self.length_weight, self.metadata_weight]


class RerankedStrategy:
    """The new order is placed between the lowest and the highest similarity, so that thresholds keep their meaning."""

    class Options(ComponentOptions):
        initial_k: int = Field(30, ge=10, le=1000, description="Candidates that are put in a new order.")
        final_k: int = Field(10, ge=1, le=100, description="Hits to return when the request names no number.")
        rerank_factors: RerankFactors = Field(RerankFactors(), description="Weights of the four factors.")
        normalize_scores: bool = Field(True, description="Stretch each factor to [0, 1] over the candidates first.")
        score_threshold: float | None = Field(None, ge=0, le=1, description="Hits below it are left out.")

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._embedder = embedder
        self._store = store

    def retrieve(self, query: Query) -> Retrieval:
        options = self._options
        limit = options.final_k if query.top_k is None else query.top_k
        hits = nearest(query, self._embedder, self._store, limit=max(options.initial_k, limit))
        reranked = query.trace.timed("factors", lambda: self._reranked(query.text, hits), given=len(hits))
        return Retrieval(cut(reranked, query, limit=limit, threshold=options.score_threshold))

    def _reranked(self, text: str, hits: Sequence[Hit]) -> list[Hit]:
        similarity = {hit.id: hit.score for hit in hits}
        recency, length, metadata = recencies(hits), lengths(hits), metadata_matches(text, hits)
        factors = [similarity, recency, length, metadata]
        if self._options.normalize_scores:
            factors = [fuse.min_max(factor) for factor in factors]
        values = fuse.min_max(fuse.weighted_mean(factors, self._options.rerank_factors.weights))
        low, high = min(similarity.values(), default=0.0), max(similarity.values(), default=0.0)
        detailed = [
            replace(hit, scores={**hit.scores, "recency": recency[hit.id], "metadata": metadata[hit.id]})
            for hit in hits
        ]
        return fuse.merge([detailed], fuse.on_scale(values, low, high), stage="rerank")


def recencies(hits: Sequence[Hit]) -> dict[str, float]:
    """Halved for each year that a chunk is older than the newest candidate; 0.5 for one without a date."""
    dates = {hit.id: _date(hit.metadata) for hit in hits}
    newest = max((date for date in dates.values() if date is not None), default=None)
    if newest is None:
        return dict.fromkeys(dates, 0.5)
    return {
        chunk_id: 0.5 if date is None else 0.5 ** ((newest - date).total_seconds() / 86_400 / HALF_LIFE_DAYS)
        for chunk_id, date in dates.items()
    }


def lengths(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.id: min(1.0, len(hit.text.split()) / FULL_LENGTH_WORDS) for hit in hits}


def metadata_matches(text: str, hits: Sequence[Hit]) -> dict[str, float]:
    """The share of the question's telling words that occur in a chunk's file name, title or headings."""
    wanted = {word.lower() for word in _WORD.findall(text)} - STOP_WORDS
    found = {hit.id: _describing_words(hit.metadata) & wanted for hit in hits}
    return {chunk_id: len(words) / len(wanted) if wanted else 0.0 for chunk_id, words in found.items()}


def _describing_words(metadata: Mapping[str, Scalar]) -> set[str]:
    return {word.lower() for key in DESCRIBING_KEYS for word in _WORD.findall(str(metadata.get(key, "")))}


def _date(metadata: Mapping[str, Scalar]) -> datetime | None:
    for key in DATE_KEYS:
        date = _read_date(metadata.get(key))
        if date is not None:
            return date
    return None


def _read_date(value: Scalar | None) -> datetime | None:
    """ISO 8601 or seconds since 1970; anything else is no date, nor is a year or a day written as a number."""
    try:
        if isinstance(value, str):
            date = datetime.fromisoformat(value)
            return date if date.tzinfo else date.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > _LEAST_SECONDS:
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
