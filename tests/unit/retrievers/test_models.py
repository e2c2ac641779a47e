"""Strategies that ask a model: what they send, what they make of the answer, and what happens without one."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rag.embedders.hash import HashEmbedder
from rag.errors import UpstreamError
from rag.rerankers.base import Reranker
from rag.rerankers.remote import RemoteReranker
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.models import NoModels
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity
from rag.types import Record
from tests.fixtures.fake_reranker import FakeReranker, fake_reranker

EMBEDDER = HashEmbedder(HashEmbedder.Options(dimension=64))
TEXTS = [
    "hay for llamas",
    "hay for horses and their stables",
    "wool of alpacas",
    "the price of wool at the market",
    "stables are cleaned on Mondays",
]
LONG = "what does wool cost at the market, and when are the stables cleaned?"


@pytest.fixture
def server() -> Iterator[FakeReranker]:
    with fake_reranker() as opened:
        yield opened


@pytest.fixture
def store() -> Store:
    built = stores.build("MemoryStore", {}, identity=StoreIdentity("o", "p", "d", EMBEDDER.model_id, 64))
    vectors = EMBEDDER.embed_documents(TEXTS)
    built.upsert([Record(f"{n}", text, vectors[n], f"set/{n}", "g") for n, text in enumerate(TEXTS)])
    return built


@pytest.fixture
def many() -> Store:
    built = stores.build("MemoryStore", {}, identity=StoreIdentity("o", "p", "many", EMBEDDER.model_id, 64))
    texts = [f"wool and hay, lot {number} at {number * 17} crowns" for number in range(40)]
    vectors = EMBEDDER.embed_documents(texts)
    built.upsert([Record(f"{n:02d}", text, vectors[n], f"set/{n}", "g") for n, text in enumerate(texts)])
    return built


class Models(NoModels):
    """The rerank server at `url`, and a chat model that always says `answer`."""

    def __init__(self, url: str = "", answer: str = "") -> None:
        self.url = url
        self.answer = answer
        self.asked: list[str] = []

    def reranker(self, name: str, *, timeout_s: float) -> Reranker:
        return RemoteReranker(RemoteReranker.Options(model=name, base_url=self.url, timeout_s=timeout_s))

    def ask(
        self,
        name: str | None,
        instruction: str,
        question: str,
        *,
        timeout_s: float,
        schema: Mapping[str, Any] | None = None,
    ) -> str:
        self.asked.append(question)
        return self.answer


def retrieve(store: Store, name: str, query: Query, models: Any, **config: Any) -> Retrieval:
    options = {"model_name": "some-model", **config}
    return retrievers.build(name, options, embedder=EMBEDDER, store=store, models=models).retrieve(query)


class TestRemoteReranker:
    @pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
    def test_scores_come_in_the_order_of_the_texts(self, server: FakeReranker, suffix: str) -> None:
        options = RemoteReranker.Options(model="m", base_url=server.url + suffix, api_key="k-1")
        assert RemoteReranker(options).rerank("wool market", TEXTS) == [0.0, 0.0, 4.0, 10.0, 0.0]
        assert server.requests == [
            {"model": "m", "query": "wool market", "documents": TEXTS, "return_documents": False}
        ]
        assert server.keys == ["Bearer k-1"]

    def test_the_shape_of_other_servers_is_understood(self, server: FakeReranker) -> None:
        server.answer = 200, {"results": [{"index": 1, "relevance_score": 2}, {"index": 0, "relevance_score": -1.5}]}
        options = RemoteReranker.Options(model="m", base_url=server.url)
        assert RemoteReranker(options).rerank("q", ["a", "b"]) == [-1.5, 2.0]

    def test_no_texts_ask_nobody(self) -> None:
        options = RemoteReranker.Options(model="m", base_url="http://127.0.0.1:9")
        assert RemoteReranker(options).rerank("q", []) == []

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            ((500, "broken"), "answered 500: broken"),
            ((200, "<html>"), "not JSON"),
            ((200, {"data": []}), "0 usable scores for 2 texts"),
            ((200, {"data": [{"index": 0, "relevance_score": 1}]}), "1 usable scores for 2 texts"),
            ((200, [1, 2]), "0 usable scores"),
            ((200, {"data": [3, {"index": "x"}, {"index": 0, "relevance_score": None}]}), "0 usable scores"),
        ],
        ids=lambda each: str(each)[:40],
    )
    def test_every_failure_names_the_server(self, server: FakeReranker, answer: Any, text: str) -> None:
        server.answer = answer
        with pytest.raises(UpstreamError, match=text) as caught:
            RemoteReranker(RemoteReranker.Options(model="m", base_url=server.url)).rerank("q", ["a", "b"])
        assert server.url in caught.value.message

    def test_a_server_that_is_away_is_an_upstream_error(self) -> None:
        options = RemoteReranker.Options(model="m", base_url="http://127.0.0.1:9")
        with pytest.raises(UpstreamError, match="does not answer"):
            RemoteReranker(options).rerank("q", ["a"])


class TestCrossEncoder:
    def test_the_model_decides_the_order(self, store: Store, server: FakeReranker) -> None:
        query = Query("hay market", top_k=2)
        found = retrieve(store, "CrossEncoderRerankedStrategy", query, Models(server.url))
        assert found.hits[0].text == "the price of wool at the market"
        assert len(found.hits) == 2
        assert found.notes == ()
        assert found.hits[0].scores["relevance"] == 1.0
        assert len(server.requests[0]["documents"]) == len(TEXTS)

    def test_scores_stay_between_those_of_the_search(self, store: Store, server: FakeReranker) -> None:
        query = Query("hay market", top_k=5)
        plain = retrievers.build("vector", {}, embedder=EMBEDDER, store=store).retrieve(query).hits
        found = retrieve(store, "CrossEncoderRerankedStrategy", query, Models(server.url)).hits
        assert (found[0].score, found[-1].score) == pytest.approx((plain[0].score, plain[-1].score))
        assert {hit.id for hit in found} == {hit.id for hit in plain}

    def test_what_the_model_finds_irrelevant_is_left_out(self, store: Store, server: FakeReranker) -> None:
        query = Query("hay market", top_k=5)
        found = retrieve(store, "CrossEncoderRerankedStrategy", query, Models(server.url), relevance_threshold=0.3)
        assert {hit.text for hit in found.hits} == {TEXTS[0], TEXTS[1], TEXTS[3]}

    def test_without_the_model_the_base_strategy_answers_with_a_note(self, store: Store, server: FakeReranker) -> None:
        server.answer = 503, "loading"
        query = Query("hay market", top_k=3)
        found = retrieve(store, "CrossEncoderRerankedStrategy", query, Models(server.url))
        plain = retrievers.build("vector", {}, embedder=EMBEDDER, store=store).retrieve(query)
        assert [hit.id for hit in found.hits] == [hit.id for hit in plain.hits]
        assert "reranker 'some-model' was skipped" in found.notes[0]
        assert "answered 503: loading" in found.notes[0]

    def test_so_many_candidates_are_sent_as_are_configured(self, many: Store, server: FakeReranker) -> None:
        config = {"initial_k": 12, "base_strategy_config": {"score_threshold": 0.0}}
        retrieve(many, "CrossEncoderRerankedStrategy", Query("wool", top_k=3), Models(server.url), **config)
        assert len(server.requests[0]["documents"]) == 12

    def test_a_server_that_takes_too_long_is_not_waited_for(self, store: Store) -> None:
        class Slow(Models):
            def reranker(self, name: str, *, timeout_s: float) -> Reranker:
                time.sleep(min(timeout_s, 5))
                raise UpstreamError("late")

        query = Query("hay market", top_k=3, deadline=time.monotonic() + 0.2)
        started_at = time.monotonic()
        found = retrieve(store, "CrossEncoderRerankedStrategy", query, Slow())
        assert time.monotonic() - started_at < 2
        assert "was skipped" in found.notes[0]
        assert len(found.hits) == 3


class TestMultiTurn:
    def test_its_limits_hold(self, many: Store, server: FakeReranker) -> None:
        models = Models(server.url, answer='["short", "what does wool cost?", "who sells hay?", "who buys the hay?"]')
        config = {
            "max_sub_queries": 2, "min_query_length": 12, "sub_query_top_k": 20, "enable_reranking": True,
            "reranker_config": {"model_name": "ranker", "initial_k": 11},
        }  # fmt: skip
        found = retrieve(many, "MultiTurnRAGStrategy", Query(LONG, top_k=15), models, **config)
        assert found.notes == ("also asked: what does wool cost?; who sells hay?",)
        assert len(server.requests[0]["documents"]) == 11
        assert len(found.hits) == 15

    def test_a_long_question_is_split_and_the_answers_are_merged(self, store: Store) -> None:
        models = Models(answer='Here: ["what does wool cost at the market?", "when are the stables cleaned?"]')
        found = retrieve(store, "MultiTurnRAGStrategy", Query(LONG, top_k=3), models)
        assert models.asked == [LONG]
        assert {TEXTS[3], TEXTS[4]} <= {hit.text for hit in found.hits}
        assert found.notes == ("also asked: what does wool cost at the market?; when are the stables cleaned?",)

    def test_a_short_question_asks_no_model(self, store: Store) -> None:
        models = Models(answer="[]")
        assert retrieve(store, "MultiTurnRAGStrategy", Query("hay", top_k=1), models).notes == ()
        assert models.asked == []

    @pytest.mark.parametrize("answer", ["I cannot", "[1, 2]", '["too short"]', '["', "{}", ""])
    def test_an_answer_without_questions_is_noted(self, store: Store, answer: str) -> None:
        found = retrieve(store, "MultiTurnRAGStrategy", Query(LONG, top_k=3), Models(answer=answer))
        assert found.notes == ("model 'some-model' gave no list of questions; the question was asked as it is",)
        assert len(found.hits) == 3

    def test_hits_that_say_the_same_are_one(self, store: Store) -> None:
        again = EMBEDDER.embed_documents(["hay for llamas!"])
        store.upsert([Record("again", "hay for llamas!", again[0], "set/x", "g")])
        models = Models(answer='["which animals get hay to eat?", "is there hay for llamas?"]')
        found = retrieve(store, "MultiTurnRAGStrategy", Query("hay for llamas " * 4, top_k=6), models)
        assert sum(hit.text.startswith("hay for llamas") for hit in found.hits) == 1

    def test_the_merged_hits_can_be_reranked(self, store: Store, server: FakeReranker) -> None:
        models = Models(server.url, answer='["what does wool cost at the market?"]')
        config = {"enable_reranking": True, "reranker_config": {"model_name": "ranker"}}
        found = retrieve(store, "MultiTurnRAGStrategy", Query(LONG, top_k=3), models, **config)
        assert server.requests[0]["model"] == "ranker"
        assert found.hits[0].scores["relevance"] == 1.0
