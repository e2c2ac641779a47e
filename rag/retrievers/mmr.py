"""Near the question, but not near each other: maximal marginal relevance over stored vectors."""

import numpy as np
from pydantic import Field

from rag.embedders.base import Embedder
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import SearchOptions, nearest
from rag.retrievers.cut import cut
from rag.stores.base import Store
from rag.types import Hit, Matrix


class MMRRetriever:
    """Chooses hits by MMR; they are returned with their similarity to the question as score, best first.

    Source:
        Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking", SIGIR 1998.
    """

    class Options(SearchOptions):
        candidates: int = Field(50, ge=1, le=1000, description="Nearest chunks to choose from.")
        relevance_weight: float = Field(
            0.6, ge=0, le=1, description="1 looks at the question only, 0 only at how different the hits are."
        )

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._embedder = embedder
        self._store = store

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.limit(query)
        depth = max(self._options.candidates, 3 * limit)
        hits = nearest(query, self._embedder, self._store, limit=depth)
        weight = self._options.relevance_weight
        chosen = query.trace.timed("mmr", lambda: choose_diverse(hits, limit, weight), given=len(hits))
        return Retrieval(cut(chosen, query, limit=limit, threshold=self._options.threshold))


def choose_diverse(hits: list[Hit], number: int, relevance_weight: float) -> list[Hit]:
    """Greedily take the hit with the best weight * score - (1 - weight) * highest similarity to one taken before.

    Hits come best first; those without a vector are taken last. Similarity is (1 + cosine) / 2, on the scale of scores.
    """
    known = [hit for hit in hits if hit.vector is not None]
    if not known:
        return hits[:number]
    matrix: Matrix = np.stack([hit.vector for hit in known if hit.vector is not None])
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    relevance = np.array([hit.score for hit in known])
    redundancy = np.zeros(len(known))
    left = list(range(len(known)))
    taken: list[Hit] = []
    while left and len(taken) < number:
        value = relevance_weight * relevance[left] - (1 - relevance_weight) * redundancy[left]
        best = left.pop(int(np.argmax(value)))
        taken.append(known[best])
        redundancy = np.maximum(redundancy, (1 + unit @ unit[best]) / 2)
    return taken + [hit for hit in hits if hit.vector is None][: number - len(taken)]
