"""Any strategy with optional stages around it: transform → retrieve → collapse → rerank → cut → expand.

No optional stage costs the answer: one that fails, or takes longer than it may, is left out, and a note says so.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from rag.errors import RagError
from rag.expanders.base import Expander
from rag.rerankers.base import Reranker, RerankerOptions
from rag.retrievers import fuse
from rag.retrievers.base import Query, Retrieval, Retriever
from rag.retrievers.cut import cut
from rag.retrievers.rerank import reranked
from rag.time_box import within
from rag.transforms.base import Transform, Transformed
from rag.types import Hit

MAX_QUERIES = 12
"""That one question becomes, at most."""
MAX_THREADS = 4
USUAL_LIMIT = 10
"""Hits of a strategy that has no number of its own."""
MERGED_DEPTH = 30
"""Hits of each query that are merged, at least."""
SPARE_HITS = 10
"""Looked for beyond what is wanted where near copies are left out: a second search for what they leave is rare."""
OTHER_WEIGHT = 0.9
"""Of what is searched for beside the question: of two hits that are as good, the question's own comes first."""

Collapse = Callable[[Sequence[Hit]], list[Hit]]
"""Leaves out hits that say what a better one said."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many hits a strategy returns: the number of the request, else `usual`, and never more than `most`."""

    usual: int = USUAL_LIMIT
    most: int | None = None

    @classmethod
    def of(cls, options: Any) -> "Limits":
        """Those of a strategy's own options."""
        names = ("final_k", "final_top_k", "top_k")
        usual = next((getattr(options, name) for name in names if hasattr(options, name)), USUAL_LIMIT)
        return cls(usual, getattr(options, "max_results", None))

    def limit(self, query: Query) -> int:
        wanted = self.usual if query.top_k is None else query.top_k
        return wanted if self.most is None else min(wanted, self.most)


@dataclass(frozen=True, slots=True)
class Stages:
    """What stands around a strategy; each part may be missing. Names are those of the configuration."""

    transforms: tuple[tuple[str, Transform], ...] = ()
    reranker: tuple[str, Reranker, RerankerOptions] | None = None
    collapse: Collapse | None = None
    expand: tuple[str, Expander] | None = None


class StagedRetriever:
    def __init__(self, strategy: Retriever, stages: Stages, limits: Limits) -> None:
        if stages.reranker is not None and stages.reranker[2].top_n is not None:
            limits = replace(limits, usual=stages.reranker[2].top_n)
        self._strategy = strategy
        self._stages = stages
        self._limits = limits

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._limits.limit(query)
        asked = self._transformed(query)
        found = self._found(asked, limit)
        hits, more = self._in_order(asked.queries[0], found.hits)
        final, told = self._expanded(query, cut(hits, query, limit=self._kept(limit), threshold=None), limit)
        everything = dict.fromkeys([*asked.notes, *found.notes, *more, *told])
        return Retrieval(tuple(final), tuple(everything), query.trace.stages)

    def _transformed(self, query: Query) -> Transformed:
        """Each transform works on what the one before made of the question; what stands beside it stays."""
        queries: tuple[Query, ...] = (query,)
        notes: list[str] = []
        for name, transform in self._stages.transforms:
            started_at = time.perf_counter()
            try:
                made = transform.transform(queries[0])
            except RagError as error:
                note = f"query_transform '{name}' was skipped: {error.message}; the question was asked as it is"
                made = Transformed(queries[:1], (note,))
            said = [*made.notes, *_changes(name, queries[0], made.queries)]
            query.trace.add(name, started_at, queries=[each.lexical for each in made.queries], notes=said)
            queries = (*made.queries, *queries[1:])[:MAX_QUERIES]
            notes += said
        return Transformed(queries, tuple(notes))

    def _found(self, asked: Transformed, limit: int) -> Retrieval:
        """What the strategy finds and what is left of it after collapsing, best first."""
        depth = wanted = self._kept(limit)
        if self._stages.reranker is not None:
            depth = max(wanted, self._stages.reranker[2].candidates)
        if len(asked.queries) > 1:
            depth = max(depth, MERGED_DEPTH)
        if self._stages.collapse is not None and not hasattr(self._strategy, "where"):
            depth += min(limit, SPARE_HITS)  # one that filters says itself when it found fewer than it was asked for
        found = self._searched(asked, depth)
        distinct = self._collapsed(asked.queries[0], found.hits)
        missing = len(found.hits) - len(distinct)
        if len(distinct) < wanted and missing and len(found.hits) >= depth:
            found = self._searched(asked, depth + 2 * missing)
            distinct = self._collapsed(asked.queries[0], found.hits)
        return Retrieval(tuple(distinct), found.notes)

    def _searched(self, asked: Transformed, depth: int) -> Retrieval:
        """Raises what the search for the question itself raises; another one that fails is left out with a note."""
        wanted = [replace(each, top_k=depth) for each in asked.queries]
        if len(wanted) == 1:
            return self._strategy.retrieve(wanted[0])
        with ThreadPoolExecutor(min(MAX_THREADS, len(wanted)), thread_name_prefix="variants") as pool:
            answers = [pool.submit(self._strategy.retrieve, each) for each in wanted]
        first = answers[0].result()
        others, notes = [], list(first.notes)
        for query, answer in zip(wanted[1:], answers[1:], strict=True):
            try:
                others.append(answer.result())
            except RagError as error:
                notes.append(f"'{query.text[:80]}' was not searched for: {error.message}")
            else:
                notes += others[-1].notes
        rankings = [first.hits, *(each.hits for each in others)]
        given = sum(map(len, rankings))
        hits = wanted[0].trace.timed("merge", lambda: _merged(rankings), given=given)
        return Retrieval(tuple(hits), tuple(notes))

    def _collapsed(self, query: Query, hits: Sequence[Hit]) -> Sequence[Hit]:
        collapse = self._stages.collapse
        if collapse is None:
            return hits
        return query.trace.timed("collapse", lambda: collapse(hits), given=len(hits))

    def _in_order(self, query: Query, hits: Sequence[Hit]) -> tuple[Sequence[Hit], list[str]]:
        """The first candidates as the reranker orders them, the rest behind them; as they were when it fails."""
        if self._stages.reranker is None or not hits:
            return hits, []
        name, reranker, options = self._stages.reranker
        head, rest = hits[: options.candidates], hits[options.candidates :]
        least = options.relevance_threshold
        started_at = time.perf_counter()
        try:
            ranked = within(
                query.time_left(options.timeout_s),
                "it",
                lambda: reranked(query.text, head, reranker, relevance_threshold=least),
            )
        except RagError as error:
            note = f"reranker '{name}' was skipped: {error.message}; the order is that of the search"
            query.trace.add("rerank", started_at, given=len(head), found=head, notes=(note,))
            return hits, [note]
        query.trace.add("rerank", started_at, given=len(head), found=ranked)
        return [*ranked, *([] if least else rest)], []

    def _kept(self, limit: int) -> int:
        """Hits before expansion: some may grow into one."""
        return limit if self._stages.expand is None else 2 * limit

    def _expanded(self, query: Query, hits: Sequence[Hit], limit: int) -> tuple[Sequence[Hit], list[str]]:
        if self._stages.expand is None or not hits:
            return hits[:limit], []
        name, expander = self._stages.expand
        where = getattr(self._strategy, "where", None)
        allowed = query.where if where is None else where(query)
        started_at = time.perf_counter()
        try:
            expanded = expander.expand(hits, limit=limit, where=allowed)
        except RagError as error:
            note = f"expand '{name}' was skipped: {error.message}"
            query.trace.add("expand", started_at, given=len(hits), found=hits[:limit], notes=(note,))
            return hits[:limit], [note]
        remark = expander.remark(hits)
        notes = [] if remark is None else [f"expand '{name}': {remark}"]
        query.trace.add("expand", started_at, given=len(hits), found=expanded, notes=notes)
        return expanded, notes


def _changes(name: str, before: Query, made: Sequence[Query]) -> list[str]:
    """What was made of a question, for whoever asked it."""
    others = [f"'{each.lexical[:100]}'" for each in made[1:]]
    said = [f"{name}: also asked {', '.join(others)}"] if others else []
    if made[0].text != before.text:
        said.insert(0, f"{name}: asked '{made[0].text[:200]}'")
    return said


def _merged(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """By the mean of a hit's highest score and its mean score over all rankings.

    The highest alone would let a loose wording bring up what fits it alone; the mean alone (as ranks do) would let what
    fits every wording a little bury the one hit that answers the question, or a part of it.
    """
    scores = [{hit.id: hit.score for hit in ranking} for ranking in rankings]
    highest = fuse.highest(scores, [1.0] * len(scores))
    mean = fuse.weighted_mean(scores, [1.0, *[OTHER_WEIGHT] * (len(scores) - 1)])
    values = fuse.weighted_mean([highest, mean], [1.0, 1.0])
    return fuse.merge(rankings, values, stage="merged")
