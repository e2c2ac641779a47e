"""Strategies that a llamafarm.yaml may name and that need a database we do not have: nearest vectors and a note."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict

from rag.embedders.base import Embedder
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.basic import BasicSimilarityStrategy, SearchOptions
from rag.stores.base import Store


class GraphRetriever:
    needs = "a graph database"

    class Options(SearchOptions):
        model_config = ConfigDict(extra="ignore")  # options of something that does not exist cannot be checked

        @classmethod
        def remarks(cls, values: Mapping[str, Any]) -> list[str]:
            return ["it needs a database that is not supported; nearest vectors are used instead"]

    def __init__(self, options: Options, *, embedder: Embedder, store: Store) -> None:
        self._basic = BasicSimilarityStrategy(options, embedder=embedder, store=store)

    def retrieve(self, query: Query) -> Retrieval:
        note = f"{type(self).__name__} needs {self.needs}, which is not supported; nearest vectors were used instead"
        return Retrieval(self._basic.retrieve(query).hits, (note,))


class ElasticRetriever(GraphRetriever):
    needs = "an Elasticsearch server"
