"""Nearest vectors among the chunks that match a filter of the configuration."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator

from rag.embedders.base import Embedder
from rag.errors import InvalidInputError
from rag.filters import Filter, parse_filter
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import BasicSimilarityStrategy, SearchOptions, nearest
from rag.retrievers.cut import cut
from rag.stores.base import Store


class MetadataFilteredStrategy:
    """Request filters merge over the configured ones: where both name a key, the request's counts."""

    class Options(SearchOptions):
        filters: Mapping[str, Any] = Field(
            {}, description="Metadata a chunk must have: a value, a list of values, or operators such as $gte."
        )
        default_filters: Mapping[str, Any] = Field({}, description="As `filters`, which win where both name a key.")
        filter_mode: Literal["pre", "post"] = Field(
            "pre",
            description="pre: search among the chunks that match; post: search among all, then drop those that do not. "
            "The filters of a request come first in both.",
        )
        fallback_multiplier: int = Field(
            3, ge=1, le=10, description="With post: hits to search for, in multiples of those wanted."
        )

        @field_validator("filters", "default_filters")
        @classmethod
        def _readable(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
            try:
                parse_filter(value)
            except InvalidInputError as error:
                raise ValueError(str(error)) from error
            return value

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._embedder = embedder
        self._store = store
        self._where = parse_filter(options.default_filters).merged(parse_filter(options.filters))
        self._options = options
        self._basic = BasicSimilarityStrategy(options, embedder=embedder, store=store)

    def where(self, query: Query) -> Filter:
        """What a hit must match."""
        return self._where.merged(query.where)

    def retrieve(self, query: Query) -> Retrieval:
        where = self.where(query)
        if self._options.filter_mode == "pre":
            return self._basic.retrieve(replace(query, where=where))
        limit = self._options.limit(query)
        wanted = limit * self._options.fallback_multiplier
        found = nearest(query, self._embedder, self._store, limit=wanted)
        kept = query.trace.timed(
            "filter", lambda: [hit for hit in found if where.matches(hit.metadata)], given=len(found)
        )
        notes: tuple[str, ...] = ()
        if len(kept) < limit <= len(found):
            notes = (f"filter_mode post: {len(kept)} of the {len(found)} nearest chunks match, {limit} were wanted",)
        return Retrieval(cut(kept, query, limit=limit, threshold=self._options.threshold), notes)
