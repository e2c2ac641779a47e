"""Adds the chunks before and after each hit."""

from collections.abc import Sequence

from pydantic import Field

from rag.expanders.runs import Piece, RunFinder, grown, merged
from rag.filters import Filter
from rag.registry import ComponentOptions
from rag.stores.base import Store
from rag.types import Hit


class NeighboursExpander:
    """For answers that stand beside what was asked for; works with every way of cutting."""

    class Options(ComponentOptions):
        before: int = Field(1, ge=0, le=20, description="Chunks before the hit.")
        after: int = Field(1, ge=0, le=20, description="Chunks after the hit.")

    def __init__(self, options: Options, *, store: Store) -> None:
        self._options = options
        self._store = store

    def expand(self, hits: Sequence[Hit], *, limit: int, where: Filter) -> list[Hit]:
        options = self._options

        def is_near(own: Piece, piece: Piece) -> bool:
            return own.index - options.before <= piece.index <= own.index + options.after

        # One more than wanted, so that the walk ends by itself and nothing is looked up twice.
        reach = max(options.before, options.after) + 1
        runs = RunFinder(self._store, where).runs(hits, is_near, reach)
        return [grown(run) for run in merged(runs)[: max(0, limit)]]

    def remark(self, hits: Sequence[Hit]) -> str | None:
        return None
