"""What every retrieval strategy promises, under each of its names."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.embedders.hash import HashEmbedder
from rag.errors import EmbeddingError, InvalidInputError, UnknownComponentError, UpstreamError
from rag.filters import parse_filter
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.trace import Trace
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity
from rag.types import Record
from tests.fixtures import chroma

chroma_process = chroma.chroma_process

DIMENSION = 64
REQUIRED: dict[str, dict[str, Any]] = {
    "CrossEncoderRerankedStrategy": {"model_name": "reranker"},
    "MultiTurnRAGStrategy": {"model_name": "chat"},
}
TOPICS = ("wing lift", "boundary layer", "heat transfer", "shock wave", "propeller slipstream", "panel flutter")
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, REQUIRED.get(name, {})) for name in retrievers.names),
    *(("MultiQueryStrategy", {"aggregation_method": each}) for each in ("max", "mean", "reciprocal_rank")),
    ("RerankedStrategy", {"normalize_scores": False}),
    ("HybridRetriever", {"fusion": "rank"}),
    ("HybridRetriever", {"feedback": 0.0, "breadth_after": 1}),
    ("HybridRetriever", {"feedback": 1.0}),
    ("HybridUniversalStrategy", {"dense_weight": 0.4, "sparse_weight": 0.6}),
    ("HybridUniversalStrategy", {"diversity_boost": 0.2}),
    ("MetadataFilteredStrategy", {"filter_mode": "post", "filters": {"number": {"$gte": 0}}}),
    *(
        ("HybridUniversalStrategy", {"combination_method": method, "normalize_scores": stretch, "strategies": [
            {"type": "basic", "weight": 0.6}, {"type": "BM25Retriever", "weight": 0.4}, {"type": "reranked"}]})
        for method in ("weighted_average", "rank_fusion", "score_fusion") for stretch in (True, False)
    ),
]  # fmt: skip


def record(number: int) -> Record:
    topic = TOPICS[number % len(TOPICS)]
    text = f"{topic} measured in experiment {number} with code ZX-{number}-Q"
    file_key = f"set/{number // 10}"
    vector = EMBEDDER.embed_documents([text])[0]
    metadata = {"number": number, "topic": topic, "filename": f"{file_key}.txt", "date": f"20{10 + number % 14}-01-01"}
    return Record(f"{number:04d}", text, vector, file_key, "g1", metadata)


EMBEDDER = HashEmbedder(HashEmbedder.Options(dimension=DIMENSION))
IDENTITY = StoreIdentity("org", "retrieval", "papers", EMBEDDER.model_id, DIMENSION)


@pytest.fixture(
    scope="module",
    params=["memory", pytest.param("chroma", marks=[pytest.mark.chroma, pytest.mark.xdist_group("chroma")])],
)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    url = request.getfixturevalue("chroma_process").url if request.param == "chroma" else ""
    name = "ChromaStore" if url else "MemoryStore"
    data_dir: Path = tmp_path_factory.mktemp("data")
    built = stores.build(name, {}, identity=IDENTITY, url=url, data_dir=data_dir)
    built.upsert([record(number) for number in range(120)])
    yield built
    built.close()


@pytest.fixture(params=VARIANTS, ids=lambda each: f"{each[0]}-{list(each[1].values())[:2]}")
def make_retriever(request: pytest.FixtureRequest, store: Store):
    name, config = request.param

    def make(**more: Any):
        return retrievers.build(name, {**config, **more}, embedder=EMBEDDER, store=store)

    return make


def check(found: Retrieval) -> None:
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert len({hit.id for hit in found.hits}) == len(scores)


def test_hits_are_in_order_with_scores_in_range_and_as_many_as_wanted(make_retriever) -> None:
    for top_k in (1, 5, 40):
        found = make_retriever().retrieve(Query("what was measured about the boundary layer?", top_k=top_k))
        check(found)
        assert len(found.hits) == top_k
    assert found.hits[0].metadata["topic"] == "boundary layer"
    assert all(hit.scores for hit in found.hits)


def test_the_same_question_has_the_same_answer(make_retriever) -> None:
    query = Query("heat transfer experiment", top_k=8)
    first, second = make_retriever().retrieve(query), make_retriever().retrieve(query)
    assert [(hit.id, hit.score) for hit in first.hits] == [(hit.id, hit.score) for hit in second.hits]


def test_without_a_number_the_strategy_has_its_own(make_retriever) -> None:
    assert len(make_retriever().retrieve(Query("shock wave experiment")).hits) == 10


def test_filters_are_applied_before_the_number(make_retriever) -> None:
    where = parse_filter({"number": {"$gte": 90}, "topic": ["wing lift", "panel flutter"]})
    found = make_retriever().retrieve(Query("boundary layer experiment", top_k=10, where=where))
    assert len(found.hits) == 10
    assert all(where.matches(hit.metadata) for hit in found.hits)


def test_a_threshold_cuts_after_scoring(make_retriever) -> None:
    everything = make_retriever().retrieve(Query("propeller slipstream experiment", top_k=30)).hits
    threshold = everything[9].score
    found = make_retriever().retrieve(Query("propeller slipstream experiment", top_k=30, score_threshold=threshold))
    assert [hit.id for hit in found.hits] == [hit.id for hit in everything if hit.score >= threshold]
    assert make_retriever().retrieve(Query("propeller", top_k=30, score_threshold=1.0)).hits == ()


def test_a_better_match_has_a_higher_score_whatever_the_question(make_retriever) -> None:
    """Scores are comparable between questions: fusing does not make the best of a bad lot a 1."""
    good = make_retriever().retrieve(Query("panel flutter measured in experiment 5 with code ZX-5-Q", top_k=1))
    bad = make_retriever().retrieve(Query("completely unrelated cookery with experiment", top_k=1))
    assert good.hits[0].score > bad.hits[0].score + 0.1


def test_an_empty_database_gives_nothing(make_retriever, request: pytest.FixtureRequest) -> None:
    empty = stores.build("MemoryStore", {}, identity=IDENTITY)
    name, config = request.node.callspec.params["make_retriever"]
    assert retrievers.build(name, config, embedder=EMBEDDER, store=empty).retrieve(Query("anything")).hits == ()


def test_an_unknown_option_is_an_error(make_retriever, request: pytest.FixtureRequest) -> None:
    name, _ = request.node.callspec.params["make_retriever"]
    if name in ("GraphRetriever", "ElasticRetriever"):
        assert make_retriever(no_such_option=1).retrieve(Query("wing", top_k=1)).hits
    else:
        with pytest.raises(InvalidInputError, match="no_such_option"):
            make_retriever(no_such_option=1)


def test_every_option_is_described(make_retriever, request: pytest.FixtureRequest) -> None:
    name, _ = request.node.callspec.params["make_retriever"]
    options = retrievers.load(name).Options  # type: ignore[attr-defined]
    assert all(field.description for field in options.model_fields.values())
    assert "embedder" in inspect.signature(retrievers.load(name)).parameters


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UnknownComponentError, match=r"BasicSimilarityStrategy.*hybrid.*mmr"):
        retrievers.build("NoSuchStrategy", {})


def built(store: Store, name: str, **config: Any):
    return retrievers.build(name, config, embedder=EMBEDDER, store=store)


@pytest.mark.parametrize(
    ("name", "config", "word"),
    [
        ("CrossEncoderRerankedStrategy", {"model_name": "my-reranker"}, "my-reranker"),
        ("MultiTurnRAGStrategy", {"model_name": "my-model"}, "my-model"),
        ("GraphRetriever", {}, "graph database"),
        ("ElasticRetriever", {"index": "x"}, "Elasticsearch"),
    ],
)
def test_what_cannot_be_done_is_said(store: Store, name: str, config: dict[str, Any], word: str) -> None:
    query = Query("what was found out about wing lift in all of the experiments?", top_k=3)
    found = built(store, name, **config).retrieve(query)
    assert word in " ".join(found.notes)
    assert [hit.id for hit in found.hits] == [hit.id for hit in built(store, "vector").retrieve(query).hits]


@pytest.mark.parametrize("name", ["hybrid", "bm25"])
def test_an_exact_identifier_is_found_first(store: Store, name: str) -> None:
    assert built(store, name).retrieve(Query("ZX-77-Q", top_k=3)).hits[0].id == "0077"


class BlindEmbedder(HashEmbedder):
    """As a real model sees codes: all texts are about equally near, and which is the nearest means nothing."""

    def _sum_of_words(self, text: str) -> np.ndarray:
        return (self._direction("everything") + 0.2 * self._direction(text)).astype(np.float32)


@pytest.fixture(scope="module")
def reports() -> Iterator[Store]:
    embedder = BlindEmbedder(HashEmbedder.Options(dimension=DIMENSION))
    built = stores.build("MemoryStore", {}, identity=StoreIdentity("o", "p", "reports", embedder.model_id, DIMENSION))
    texts = {
        f"{number:02d}": f"Report DOC-{number:03d}-KX on the {TOPICS[number % 6]}, order BLA {761_000 + number}. "
        f"Room {200 + number} is run by Maire Flynn{number}."
        for number in range(60)
    }
    texts |= {f"b{number}": f"Reference ID: {5_111_200 + number}" for number in range(20)}
    vectors = embedder.embed_documents(list(texts.values()))
    built.upsert([
        Record(key, text, vector, f"set/{key}", "g1", {"filename": f"{key}.txt"})
        for (key, text), vector in zip(texts.items(), vectors, strict=True)
    ])  # fmt: skip
    yield built
    built.close()


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("hybrid", {}),
        ("hybrid", {"alpha": 0.95}),
        ("hybrid", {"fusion": "rank"}),
        ("HybridUniversalStrategy", {}),
        ("HybridUniversalStrategy", {"dense_weight": 0.9, "sparse_weight": 0.1, "combination_method": "rank_fusion"}),
    ],
)
@pytest.mark.parametrize(
    "question",
    ["DOC-{0:03d}-KX", "doc-{0:03d}-kx", "what is DOC-{0:03d}-KX about?", "BLA {1}", "who paid for order {1}?",
     "{2}", 'who sits in "room {2}" now?'],
)  # fmt: skip
def test_what_only_words_can_tell_apart_is_found_first(reports: Store, name: str, config: dict, question: str) -> None:
    retriever = retrievers.build(
        name, config, embedder=BlindEmbedder(HashEmbedder.Options(dimension=64)), store=reports
    )
    for number in range(60):
        query = Query(question.format(number, 761_000 + number, 200 + number), top_k=5)
        found = retriever.retrieve(query)
        check(found)
        assert found.hits[0].id == f"{number:02d}", query.text


def test_with_alpha_one_only_vectors_count(reports: Store) -> None:
    embedder = BlindEmbedder(HashEmbedder.Options(dimension=DIMENSION))
    query = Query("DOC-007-KX", top_k=20, hybrid_alpha=1.0)
    hybrid, vector = (retrievers.build(each, {}, embedder=embedder, store=reports) for each in ("hybrid", "vector"))
    assert [hit.id for hit in hybrid.retrieve(query).hits] == [hit.id for hit in vector.retrieve(query).hits]


def test_alpha_moves_between_vectors_and_words(store: Store) -> None:
    question = "experiment about the boundary layer ZX-77-Q"
    for alpha, name in ((1.0, "vector"), (0.0, "bm25")):
        expected = built(store, name).retrieve(Query(question, top_k=5)).hits
        found = built(store, "hybrid").retrieve(Query(question, top_k=5, hybrid_alpha=alpha)).hits
        assert found[0].id == expected[0].id
        configured = built(store, "hybrid", alpha=alpha).retrieve(Query(question, top_k=5)).hits
        assert [(hit.id, hit.score) for hit in configured] == [(hit.id, hit.score) for hit in found]


class BrokenEmbedder(HashEmbedder):
    def embed_query(self, text: str) -> np.ndarray:
        raise EmbeddingError("the model server is down")


def test_hybrid_answers_by_words_when_vectors_fail_and_says_so(store: Store) -> None:
    broken = BrokenEmbedder(HashEmbedder.Options(dimension=DIMENSION))
    hybrid = retrievers.build("hybrid", {}, embedder=broken, store=store)
    found = hybrid.retrieve(Query("ZX-77-Q", top_k=3))
    check(found)
    assert found.hits[0].id == "0077"
    assert "the model server is down" in found.notes[0]
    with pytest.raises(UpstreamError):
        hybrid.retrieve(Query("nothingmatches", top_k=3))


def test_configured_filters_give_way_to_those_of_the_request(store: Store) -> None:
    retriever = built(
        store, "MetadataFilteredStrategy", filters={"topic": "wing lift"}, default_filters={"number": {"$lt": 60}}
    )
    found = retriever.retrieve(Query("experiment", top_k=50)).hits
    assert {hit.metadata["topic"] for hit in found} == {"wing lift"}
    assert len(found) == 10
    other = retriever.retrieve(Query("experiment", top_k=50, where=parse_filter({"topic": "panel flutter"}))).hits
    assert {hit.metadata["topic"] for hit in other} == {"panel flutter"}
    with pytest.raises(InvalidInputError, match="regex"):
        built(store, "MetadataFilteredStrategy", filters={"topic": {"$regex": ".*"}})


def test_mmr_takes_fewer_look_alikes_than_plain_search(store: Store) -> None:
    query = Query("wing lift measured and heat transfer measured in experiment", top_k=8)
    plain = {hit.metadata["topic"] for hit in built(store, "vector").retrieve(query).hits}
    diverse = {hit.metadata["topic"] for hit in built(store, "mmr", relevance_weight=0.3).retrieve(query).hits}
    assert len(diverse) > len(plain)
    assert built(store, "mmr").retrieve(query).hits[0].id == built(store, "vector").retrieve(query).hits[0].id


def test_newer_chunks_come_first_when_recency_is_all_that_counts(store: Store) -> None:
    factors = {"similarity_weight": 0, "recency_weight": 1, "length_weight": 0, "metadata_weight": 0}
    found = built(store, "RerankedStrategy", rerank_factors=factors).retrieve(Query("experiment", top_k=30)).hits
    dates = [str(hit.metadata["date"]) for hit in found]
    assert dates == sorted(dates, reverse=True)


def test_both_names_of_the_threshold_work(store: Store) -> None:
    everything = built(store, "vector", top_k=50).retrieve(Query("wing lift")).hits
    least = everything[20].score
    for option in ("score_threshold", "similarity_threshold"):
        found = built(store, "vector", top_k=50, **{option: least}).retrieve(Query("wing lift")).hits
        assert len(found) == 21


def test_a_filter_after_the_search_drops_hits_and_says_when_too_few_are_left(store: Store) -> None:
    filters = {"topic": "wing lift", "number": {"$lt": 60}}
    few = built(store, "MetadataFilteredStrategy", filters=filters, filter_mode="post", fallback_multiplier=1)
    many = built(store, "MetadataFilteredStrategy", filters=filters, filter_mode="post", fallback_multiplier=10)
    query = Query("heat transfer measured in experiment", top_k=12)
    found, more = few.retrieve(query), many.retrieve(query)
    assert len(found.hits) < len(more.hits)
    assert {hit.metadata["topic"] for hit in more.hits} == {"wing lift"}
    assert "of the 12 nearest chunks match, 12 were wanted" in found.notes[0]
    asked = many.retrieve(Query("heat transfer", top_k=3, where=parse_filter({"topic": "panel flutter"})))
    assert {hit.metadata["topic"] for hit in asked.hits} == {"panel flutter"}


@pytest.mark.parametrize("name", [*retrievers.names, "HybridUniversalStrategy"])
def test_a_vector_and_words_of_the_query_itself_are_what_is_searched_for(store: Store, name: str) -> None:
    """As query transforms make them: what is searched for may differ from what was asked."""
    other = "propeller slipstream measured in experiment 4 with code ZX-4-Q"
    query = Query("completely unrelated cookery", top_k=6, vector=EMBEDDER.embed_query(other), words=other)
    found = built(store, name, **REQUIRED.get(name, {})).retrieve(query)
    check(found)
    assert found.hits[0].metadata["topic"] == "propeller slipstream"


@pytest.mark.parametrize("name", retrievers.names)
def test_a_trace_changes_no_answer_and_tells_of_a_search(store: Store, name: str) -> None:
    retriever = built(store, name, **REQUIRED.get(name, {}))
    text = "what was found out about wing lift in all of the experiments?"
    plain, traced = Query(text, top_k=5), Query(text, top_k=5, trace=Trace())
    assert retriever.retrieve(traced).hits == retriever.retrieve(plain).hits
    stages = {stage.name: stage for stage in traced.trace.stages}
    searched = [stages[each] for each in ("vectors", "words") if each in stages]
    assert searched
    assert all((each.candidates_out or 0) >= 5 and each.queries and each.top for each in searched)
