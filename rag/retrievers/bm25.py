"""Words only: the store's BM25."""

from rag.embedders.base import Embedder
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import SearchOptions
from rag.retrievers.cut import cut
from rag.stores.base import Store


class BM25Retriever:
    searches_words = True

    Options = SearchOptions

    def __init__(self, options: SearchOptions, *, embedder: Embedder, store: Store) -> None:
        self._options = options
        self._store = store

    def retrieve(self, query: Query) -> Retrieval:
        limit = self._options.limit(query)
        hits = query.trace.timed(
            "words",
            lambda: self._store.search_text(query.lexical, limit=limit, where=query.where),
            query=query.lexical,
        )
        return Retrieval(cut(hits, query, limit=limit, threshold=self._options.threshold))
