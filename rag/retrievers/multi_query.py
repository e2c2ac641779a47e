"""One question asked in several words, all made by rule; the answers are fused."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from rag.embedders.base import Embedder
from rag.retrievers import fuse
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import SearchOptions, nearest
from rag.retrievers.cut import cut
from rag.stores.base import Store
from rag.stores.lexical import STOP_WORDS
from rag.types import Hit

_OPENING = re.compile(
    r"^(please\s+)?((can|could|would|will)\s+you\s+(please\s+)?)?"
    r"((tell|show|give|explain|describe|find|list)\s+(to\s+)?(me|us)?\s*)?"
    r"((about|what|which|who|when|where|why|how|is|are|was|were|do|does|did|the|a|an)\s+)*",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[?;.]\s+|,\s+(?:and|or|but)\s+|\s+(?:and|or|versus|vs\.?)\s+", re.IGNORECASE)


class MultiQueryStrategy:
    class Options(SearchOptions):
        num_queries: int = Field(3, ge=1, le=10, description="Wordings at most, the question itself included.")
        aggregation_method: Literal["max", "mean", "weighted", "reciprocal_rank"] = Field(
            "weighted", description="How the scores of one chunk under several wordings become one."
        )
        query_weights: list[Annotated[float, Field(ge=0, le=1)]] | None = Field(
            None, description="Weights in [0, 1] of the wordings in order, for `weighted`; the last one repeats."
        )
        search_multiplier: int = Field(2, ge=1, le=10, description="Candidates per wording, in multiples of top_k.")

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._embedder = embedder
        self._store = store

    def retrieve(self, query: Query) -> Retrieval:
        options = self._options
        limit = options.limit(query)
        wordings = variants(query.text, options.num_queries)
        depth = limit * options.search_multiplier
        # A vector that was made for the question is not that of its other wordings.
        asked = [query, *(replace(query, text=text, vector=None) for text in wordings[1:])]
        rankings = [nearest(each, self._embedder, self._store, limit=depth) for each in asked]
        hits = query.trace.timed(
            "fusion", lambda: fuse.merge(rankings, self._fused(rankings)), given=sum(map(len, rankings))
        )
        return Retrieval(cut(hits, query, limit=limit, threshold=options.threshold))

    def _fused(self, rankings: Sequence[Sequence[Hit]]) -> Mapping[str, float]:
        scores = [{hit.id: hit.score for hit in ranking} for ranking in rankings]
        equal = [1.0] * len(rankings)
        method = self._options.aggregation_method
        if method == "reciprocal_rank":
            everything = [value for ranking in scores for value in ranking.values()]
            ranks = fuse.reciprocal_rank([list(ranking) for ranking in scores], equal)
            return fuse.on_scale(fuse.min_max(ranks), min(everything, default=0.0), max(everything, default=0.0))
        combine: Callable[[Sequence[Mapping[str, float]], Sequence[float]], fuse.Values] = (
            fuse.highest if method == "max" else fuse.weighted_mean
        )
        return combine(scores, self._weights(len(rankings)) if method == "weighted" else equal)

    def _weights(self, number: int) -> list[float]:
        given = self._options.query_weights
        if not given or not any(given[:number]):
            return [1.0 / (1 + position) for position in range(number)]  # the question itself counts most
        return [given[min(position, len(given) - 1)] for position in range(number)]


def variants(text: str, number: int) -> list[str]:
    """At most `number` different wordings of a question, the question itself first.

    Without its opening ("can you tell me what …"), its telling words only, and each of its clauses.
    """
    question = text.strip()
    bare = _OPENING.sub("", question).strip(" ?!.")
    telling = " ".join(word for word in re.findall(r"[\w'’.-]+", question) if word.lower() not in STOP_WORDS)
    clauses = [clause.strip(" ?!.") for clause in _CLAUSE.split(question)]
    parts = [clause for clause in clauses if len(clause.split()) > 1] if len(clauses) > 1 else []
    candidates = [question, bare, telling, *parts]
    distinct = {each.lower(): each for each in reversed(candidates) if each}
    return [each for each in dict.fromkeys(candidates) if distinct.get(each.lower()) == each][:number] or [text]
