"""Strategies that a llamafarm.yaml may name and that need a database we do not have: nearest vectors and a note."""

from pydantic import ConfigDict

from rag.embedders.base import Embedder
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import BasicSimilarityStrategy, SearchOptions
from rag.stores.base import Store


class GraphRetriever:
    needs = "a graph database"

    class Options(SearchOptions):
        model_config = ConfigDict(extra="ignore")  # options of something that does not exist cannot be checked

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._basic = BasicSimilarityStrategy(options, embedder=embedder, store=store)

    def retrieve(self, query: Query) -> Retrieval:
        note = f"{type(self).__name__} needs {self.needs}, which is not supported; nearest vectors were used instead"
        return Retrieval(self._basic.retrieve(query).hits, (note,))


class ElasticRetriever(GraphRetriever):
    needs = "an Elasticsearch server"
