"""Hybrid search finds at least what its two halves find, with the real model, on collections of several kinds."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.collections import Collection, docstrings, forms, ndcg, sentences
from rag.chunkers import chunkers
from rag.embedders.base import Embedder
from rag.embedders.sentence_transformer import SentenceTransformerEmbedder
from rag.retrievers import retrievers
from rag.retrievers.base import Query
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity
from rag.types import Document, Record, Vector

NOISE = 0.01
"""nDCG@10 by which two orders of a hundred questions differ by chance."""

Found = Callable[[str], dict[str, list[str]]]
"""A strategy → the names of the documents it finds for each question, best first."""


class KnownQueries:
    """An embedder with the questions embedded beforehand, all at once."""

    def __init__(self, inner: SentenceTransformerEmbedder, texts: list[str]) -> None:
        self._vectors = dict(zip(texts, inner.embed_queries(texts), strict=True))

    def embed_query(self, text: str) -> Vector:
        return self._vectors[text]


def filled(collection: Collection, embedder: SentenceTransformerEmbedder) -> Store:
    chunker = chunkers.build("auto", {}, counter=embedder.token_counter)
    pieces = [
        (name, chunk.text)
        for name, text in collection.documents.items()
        for chunk in chunker.chunk(Document(text, "TextParser"))
    ]
    vectors = embedder.embed_documents([text for _, text in pieces])
    identity = StoreIdentity("o", "p", collection.name, embedder.model_id, embedder.dimension)
    store = stores.build("MemoryStore", {}, identity=identity)
    store.upsert([
        Record(f"{number:05d}", text, vectors[number], f"docs/{name}", "g", {"filename": f"{name}.txt"})
        for number, (name, text) in enumerate(pieces)
    ])  # fmt: skip
    return store


@pytest.fixture(scope="module")
def model() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(SentenceTransformerEmbedder.Options())


def searched(collection: Collection, model: SentenceTransformerEmbedder) -> Found:
    store = filled(collection, model)
    embedder: Embedder = KnownQueries(model, list(collection.queries.values()))  # type: ignore[assignment]  # no more is asked of it

    def found(strategy: str) -> dict[str, list[str]]:
        retriever = retrievers.build(strategy, {}, embedder=embedder, store=store)
        return {
            key: list(dict.fromkeys(hit.file_key.removeprefix("docs/") for hit in retriever.retrieve(Query(text)).hits))
            for key, text in collection.queries.items()
        }

    return found


@pytest.mark.parametrize("make", [lambda: docstrings(150, 80), sentences], ids=["docstrings", "sentences"])
def test_hybrid_is_no_worse_than_vectors_or_words_alone(
    make: Callable[[], Collection], model: SentenceTransformerEmbedder
) -> None:
    collection = make()
    if collection.name == "sentences":  # the first pages will do
        names = sorted(collection.documents, key=lambda name: len(collection.documents[name]))[:45]
        keys = [key for key, judged in collection.judged.items() if judged <= set(names)]
        collection = Collection(
            collection.name,
            {name: collection.documents[name] for name in names},
            {key: collection.queries[key] for key in keys},
            {key: collection.judged[key] for key in keys},
        )
    found = searched(collection, model)
    quality = {
        name: np.mean([ndcg(ranked, collection.judged[key]) for key, ranked in found(name).items()])
        for name in ("semantic", "keyword", "hybrid")
    }
    assert len(collection.queries) >= 80
    assert quality["hybrid"] >= quality["semantic"] - NOISE
    assert quality["hybrid"] >= quality["keyword"] - NOISE


def test_what_is_asked_for_by_its_form_is_first_among_reports_that_look_alike(
    model: SentenceTransformerEmbedder,
) -> None:
    collection = forms(42)
    missed = [
        f"{key}: {collection.queries[key]} → {ranked[0]}"
        for key, ranked in searched(collection, model)("hybrid").items()
        if ranked[0] not in collection.judged[key]
    ]
    assert missed == []
    assert len(collection.queries) == 42 * 11
