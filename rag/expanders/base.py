"""The expander role: small hits that were easy to find → the larger pieces of text that answer better."""

from collections.abc import Sequence
from typing import Protocol

from rag.filters import Filter
from rag.types import Hit


class Expander(Protocol):
    """Built as `Class(options, store=…)`, and asks nothing but that store.

    Hits come and go best first and keep id, score and scores. Where two of them grow into each other they become
    one, under the better one's name, so that no text comes twice. A hit that grew has the span of all its text, its
    pages as `page_start` and `page_end` beside the `page_number` of what was found, `expanded: true`, and
    `match_start` and `match_end`: the characters that were found. Nothing grows over the border of a part (a sheet,
    an attachment …), nor over a chunk that `where` leaves out.
    """

    def expand(self, hits: Sequence[Hit], *, limit: int, where: Filter) -> list[Hit]:
        """The best `limit` of what the hits grow into: give more hits than that if some may merge.

        Raises:
            UpstreamError: the store does not answer.
        """
        ...

    def remark(self, hits: Sequence[Hit]) -> str | None:
        """Why none of these hits can grow, where that is known without looking."""
        ...
