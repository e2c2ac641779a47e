"""Puts the section around each hit in its place."""

from collections.abc import Sequence

from pydantic import Field

from rag.expanders.runs import Piece, Run, RunFinder, grown, merged
from rag.filters import Filter
from rag.registry import ComponentOptions
from rag.stores.base import Store
from rag.types import Hit


class ParentExpander:
    """For chunks cut with `parent_child`, which carry `parent_start` and `parent_end`; others stay as they are."""

    class Options(ComponentOptions):
        max_chars: int = Field(
            8000, ge=50, le=200_000, description="Characters of the longest text returned; more is left out around it."
        )

    def __init__(self, options: Options, *, store: Store) -> None:
        self._options = options
        self._store = store

    def expand(self, hits: Sequence[Hit], *, limit: int, where: Filter) -> list[Hit]:
        runs = RunFinder(self._store, where).runs(hits, _is_of_parent)
        return [grown(self._shortened(run)) for run in merged(runs)[: max(0, limit)]]

    def remark(self, hits: Sequence[Hit]) -> str | None:
        if any("parent_start" in hit.metadata for hit in hits):
            return None
        return "none of the hits has a parent; chunks have one when they are cut with chunk_strategy parent_child"

    def _shortened(self, run: Run) -> Run:
        """The run without the pieces farthest from the match, as far as it is too long."""
        pieces = list(run.pieces)
        start, end = run.hit.metadata.get("char_start"), run.hit.metadata.get("char_end")
        while len(pieces) > 1 and pieces[-1].end - pieces[0].start > self._options.max_chars:
            assert isinstance(start, int)
            assert isinstance(end, int)
            pieces.pop(-1 if pieces[-1].end - end >= start - pieces[0].start else 0)
        return Run(run.hit, pieces)


def _is_of_parent(own: Piece, piece: Piece) -> bool:
    parent = [own.metadata.get(key) for key in ("parent_start", "parent_end")]
    return None not in parent and parent == [piece.metadata.get(key) for key in ("parent_start", "parent_end")]
