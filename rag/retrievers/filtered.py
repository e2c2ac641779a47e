"""Nearest vectors among the chunks that match a filter of the configuration."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator

from rag.embedders.base import Embedder
from rag.errors import InvalidInputError
from rag.filters import parse_filter
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import BasicSimilarityStrategy, SearchOptions
from rag.stores.base import Store


class MetadataFilteredStrategy:
    """Request filters merge over the configured ones: where both name a key, the request's counts."""

    class Options(SearchOptions):
        filters: Mapping[str, Any] = Field(
            {}, description="Metadata a chunk must have: a value, a list of values, or operators such as $gte."
        )
        default_filters: Mapping[str, Any] = Field({}, description="As `filters`, which win where both name a key.")
        filter_mode: Literal["pre", "post"] = Field(
            "pre", description="Accepted; the filter is always applied before hits are counted."
        )
        fallback_multiplier: int = Field(3, ge=1, le=10, description="Accepted; belongs to filter_mode post.")

        @field_validator("filters", "default_filters")
        @classmethod
        def _readable(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
            try:
                parse_filter(value)
            except InvalidInputError as error:
                raise ValueError(str(error)) from error
            return value

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._where = parse_filter(options.default_filters).merged(parse_filter(options.filters))
        self._basic = BasicSimilarityStrategy(options, embedder=embedder, store=store)

    def retrieve(self, query: Query) -> Retrieval:
        return self._basic.retrieve(replace(query, where=self._where.merged(query.where)))
