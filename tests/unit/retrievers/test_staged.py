"""Stages around a strategy: what each does, in which order, and what happens when one cannot."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.stages import Needs, around
from rag import time_box
from rag.embedders.hash import HashEmbedder
from rag.errors import InvalidInputError, RagError, UpstreamError
from rag.rerankers.base import RerankerOptions
from rag.retrievers import retrievers
from rag.retrievers.base import Query, Retrieval
from rag.retrievers.collapse import collapse
from rag.retrievers.models import NoModels
from rag.retrievers.staged import Limits, StagedRetriever, Stages
from rag.retrievers.trace import Trace
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity
from rag.transforms.base import Transformed
from rag.types import Hit, Record, record_id

EMBEDDER = HashEmbedder(HashEmbedder.Options(dimension=64))
TEXTS = [
    f"paragraph {number} on {'wool' if number % 3 else 'hay'} and the number {number * 37}" for number in range(40)
]


@pytest.fixture(scope="module")
def store() -> Store:
    """One file in forty chunks, and a copy of the first in another one."""
    built = stores.build("MemoryStore", {}, identity=StoreIdentity("o", "p", "d", EMBEDDER.model_id, 64))
    vectors = EMBEDDER.embed_documents(TEXTS)
    records, at = [], 0
    for number, text in enumerate(TEXTS):
        place = {"chunk_index": number, "char_start": at, "char_end": at + len(text), "filename": "farm.txt"}
        records.append(Record(record_id("set/a", "g", number), text, vectors[number], "set/a", "g", place))
        at += len(text) + 1
    copy = replace(records[0], id=record_id("set/b", "g", 0), file_key="set/b")
    built.upsert([*records, copy])
    return built


class Answering(NoModels):
    """A chat model that gives every key that is asked for what `answers` holds."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def ask(
        self, name: str | None, instruction: str, question: str, *, timeout_s: float,
        schema: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        self.asked.append(question)
        assert schema is not None
        passages = orjson.loads(question).get("passages", {})
        grades = {key: 10 if "number 370" in text else 0 for key, text in passages.items()}
        return orjson.dumps({key: self.answers.get(key, grades.get(key)) for key in schema["properties"]}).decode()


def staged(store: Store, stages: dict[str, Any], models: Any = None, strategy: str = "hybrid", **config: Any):
    options = retrievers.options(strategy, config)
    bare = retrievers.build(strategy, config, embedder=EMBEDDER, store=store)
    return around(bare, options, stages, Needs(EMBEDDER, store, models or NoModels()))


def ids(found: Retrieval) -> list[str]:
    return [hit.id for hit in found.hits]


def numbers(found: Retrieval) -> list[int]:
    return [int(str(hit.metadata["chunk_index"])) for hit in found.hits]


def test_without_stages_the_hits_are_those_of_the_strategy(store: Store) -> None:
    bare = retrievers.build("hybrid", {}, embedder=EMBEDDER, store=store)
    query = Query("what is said of wool?", top_k=8)
    assert ids(staged(store, {}).retrieve(query)) == ids(bare.retrieve(query))


def test_a_copy_in_another_file_is_one_hit_and_the_next_takes_its_place(store: Store) -> None:
    query = Query("paragraph 0 on hay and the number 0", top_k=5)
    kept, collapsed = (staged(store, {"collapse_duplicates": each}, strategy="vector") for each in (False, True))
    assert numbers(kept.retrieve(query)).count(0) == 2
    found = collapsed.retrieve(query)
    assert (numbers(found).count(0), len(found.hits)) == (1, 5)
    assert ids(staged(store, {}, strategy="vector").retrieve(query)) == ids(found)


def test_a_rerank_model_decides_among_the_candidates(store: Store) -> None:
    query = Query("wool", top_k=3)
    found = staged(store, {"reranker": {"type": "llm", "candidates": 40}}, Answering()).retrieve(query)
    assert numbers(found)[0] == 10
    assert found.hits[0].scores["relevance"] == 1.0
    assert len(found.hits) == 3
    assert found.notes == ()


def test_candidates_behind_those_reranked_follow_them(store: Store) -> None:
    query = Query("wool", top_k=20)
    plain = ids(staged(store, {}).retrieve(query))
    found = ids(staged(store, {"reranker": {"type": "llm", "candidates": 5}}, Answering()).retrieve(query))
    assert set(found[:5]) == set(plain[:5])
    assert found[5:] == plain[5:]


def test_what_a_rerank_model_finds_irrelevant_is_left_out(store: Store) -> None:
    stages = {"reranker": {"type": "llm", "candidates": 40, "relevance_threshold": 0.5}}
    assert numbers(staged(store, stages, Answering()).retrieve(Query("wool", top_k=20))) == [10]


def test_the_number_is_the_requests_then_the_rerankers_then_the_strategys(store: Store) -> None:
    retriever = staged(store, {"reranker": {"type": "llm", "top_n": 4}}, Answering(), top_k=7)
    assert len(retriever.retrieve(Query("wool")).hits) == 4
    assert len(retriever.retrieve(Query("wool", top_k=6)).hits) == 6
    assert len(staged(store, {}, top_k=7).retrieve(Query("wool")).hits) == 7
    assert len(staged(store, {}, top_k=7, max_results=3).retrieve(Query("wool", top_k=6)).hits) == 3


def test_other_wordings_are_searched_for_and_merged(store: Store) -> None:
    one, other = "paragraph 5 on wool and the number 185", "paragraph 21 on hay and the number 777"
    for stages, models, text in (
        ({"query_transform": "multi_query"}, Answering(wordings=[other]), one),
        ({"query_transform": "decomposition"}, Answering(questions=[one, other]), f"{one}, and then: {other}"),
    ):
        found = staged(store, stages, models).retrieve(Query(text, top_k=3))
        assert {5, 21} <= set(numbers(found))
        assert "also asked" in found.notes[0]
        assert f"'{other}'" in found.notes[0]


def test_transforms_work_on_what_the_one_before_made(store: Store) -> None:
    models = Answering(question="and the number 777 on hay?", questions=["number 777", "which hay?"])
    query = Query("and what of that one, if I may ask you about it again?", top_k=3, history=(("user", "21"),))
    stages = {"query_transform": ["conversational", {"type": "decomposition", "min_chars": 0}]}
    found = staged(store, stages, models).retrieve(query)
    assert numbers(found)[0] == 21
    assert orjson.loads(models.asked[1])["question"] == "and the number 777 on hay?"
    assert found.notes == (
        "conversational: asked 'and the number 777 on hay?'",
        "decomposition: also asked 'number 777', 'which hay?'",
    )


def test_hits_grow_by_their_neighbours(store: Store) -> None:
    stages = {"expand": {"type": "neighbours", "before": 1, "after": 1}}
    query = Query("paragraph 21 on hay and the number 777", top_k=1)
    (hit,) = staged(store, stages).retrieve(query).hits
    assert [f"paragraph {number} " in hit.text for number in (19, 20, 21, 22, 23)] == [False, True, True, True, False]
    assert hit.metadata["expanded"] is True


def test_a_configured_filter_holds_for_what_hits_grow_by(store: Store) -> None:
    stages = {"expand": {"type": "neighbours", "before": 3, "after": 3}}
    filters = {"chunk_index": {"$gte": 21}}
    retriever = staged(store, stages, strategy="MetadataFilteredStrategy", filters=filters)
    (hit,) = retriever.retrieve(Query("paragraph 21 on hay and the number 777", top_k=1)).hits
    assert "paragraph 20 " not in hit.text
    assert "paragraph 22 " in hit.text


def test_a_threshold_cuts_reranked_hits(store: Store) -> None:
    retriever = staged(store, {"reranker": {"type": "llm", "candidates": 40}}, Answering())
    everything = retriever.retrieve(Query("wool", top_k=30)).hits
    least = everything[0].score - 1e-6
    found = retriever.retrieve(Query("wool", top_k=30, score_threshold=least)).hits
    assert found
    assert all(hit.score >= least for hit in found)


class TestExplain:
    def test_every_stage_appears_in_order_with_its_counts(self, store: Store) -> None:
        stages = {
            "query_transform": "multi_query",
            "reranker": {"type": "llm", "candidates": 12},
            "expand": "neighbours",
        }
        query = Query("wool and hay", top_k=3, trace=Trace())
        found = staged(store, stages, Answering(wordings=["fleece"])).retrieve(query)
        names = [stage.name for stage in found.stages]
        assert names[0] == "multi_query"
        assert sorted(names[1:7]) == ["fusion", "fusion", "vectors", "vectors", "words", "words"]
        assert names[7:] == ["merge", "collapse", "rerank", "expand"]
        by_name = {stage.name: stage for stage in found.stages}
        assert by_name["multi_query"].queries == ("wool and hay", "fleece")
        assert (by_name["vectors"].candidates_in, by_name["rerank"].candidates_in) == (None, 12)
        assert by_name["expand"].candidates_in == 6
        assert by_name["expand"].candidates_out == len(found.hits) <= 3
        assert all(stage.ms >= 0 for stage in found.stages)
        top = by_name["rerank"].top
        assert [hit.score for hit in top] == sorted((hit.score for hit in top), reverse=True)

    def test_what_is_asked_for_by_its_exact_form_is_a_stage_of_its_own(self, store: Store) -> None:
        found = staged(store, {}).retrieve(Query("which paragraph has 777?", top_k=3, trace=Trace()))
        (exact,) = [stage for stage in found.stages if stage.name == "exact"]
        assert exact.candidates_out == 1
        assert exact.top[0].id == found.hits[0].id

    def test_without_it_nothing_is_collected(self, store: Store) -> None:
        assert staged(store, {"expand": "neighbours"}).retrieve(Query("wool", top_k=3)).stages == ()

    def test_a_skipped_stage_says_why(self, store: Store) -> None:
        found = staged(store, {"reranker": "llm"}).retrieve(Query("wool", top_k=3, trace=Trace()))
        (note,) = found.notes
        assert note == "reranker 'llm' was skipped: no model is at hand; the order is that of the search"
        assert next(stage for stage in found.stages if stage.name == "rerank").notes == (note,)


class Counting:
    """Finds hits of which every fifth repeats the one before in another file."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def retrieve(self, query: Query) -> Retrieval:
        assert query.top_k is not None
        self.asked.append(query.top_k)
        texts = [f"text number {position - (position % 5 == 4)}" for position in range(query.top_k)]
        found = [Hit(f"{at}", text, 1 - at / 1000, f"docs/{at}", "g", {}) for at, text in enumerate(texts)]
        return Retrieval(tuple(found))


def test_a_few_near_copies_need_no_second_search() -> None:
    strategy = Counting()
    found = StagedRetriever(strategy, Stages(collapse=collapse), Limits()).retrieve(Query("text", top_k=10))
    assert len(found.hits) == len({hit.text for hit in found.hits}) == 10
    assert strategy.asked == [20]


class Stage:
    """A transform, reranker and expander that does what it is told to."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work

    def transform(self, query: Query) -> Transformed:
        self._work()
        return Transformed((query, replace(query, text="hay")))

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        self._work()
        return [float(len(text)) for text in texts]

    def expand(self, hits: Sequence[Hit], *, limit: int, where: Any) -> list[Hit]:
        self._work()
        return list(hits[:limit])

    def remark(self, hits: Sequence[Hit]) -> str | None:
        return None


def failing(error: RagError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def nothing() -> None:
    """Goes well."""


FAULTS: list[Callable[[], None]] = [
    nothing, failing(UpstreamError("away")), failing(InvalidInputError("no such folder")),
    lambda: time.sleep(0.08),
]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(faults=st.tuples(*[st.sampled_from(FAULTS)] * 3), top_k=st.integers(1, 12))
def test_no_optional_stage_costs_the_answer_and_each_that_fails_says_so(
    store: Store, faults: tuple[Callable[[], None], ...], top_k: int
) -> None:
    bare = retrievers.build("hybrid", {}, embedder=EMBEDDER, store=store)
    transform, reranker, expander = (Stage(fault) for fault in faults)
    stages = Stages(
        transforms=(("t", transform),),
        reranker=("r", reranker, RerankerOptions(timeout_s=0.03)),
        expand=("e", expander),
    )
    found = StagedRetriever(bare, stages, Limits()).retrieve(Query("wool", top_k=top_k))
    assert len(found.hits) == top_k
    failed = [fault not in (nothing, FAULTS[-1]) for fault in faults]
    told = " ".join(found.notes)
    assert [f"{kind} was skipped" in told for kind in ("query_transform 't'", "expand 'e'")] == [failed[0], failed[2]]
    assert ("reranker 'r' was skipped" in told) == (faults[1] is not nothing)


def test_a_reranker_that_takes_too_long_leaves_the_order_of_the_search(store: Store) -> None:
    bare = retrievers.build("hybrid", {}, embedder=EMBEDDER, store=store)
    go_on = threading.Event()
    slow = Stage(lambda: assert_waited(go_on))
    retriever = StagedRetriever(bare, Stages(reranker=("r", slow, RerankerOptions(timeout_s=0.05))), Limits())
    query = Query("wool", top_k=5)
    started_at = time.monotonic()
    found = retriever.retrieve(query)
    assert time.monotonic() - started_at < 2
    assert ids(found) == ids(bare.retrieve(query))
    assert found.notes == ("reranker 'r' was skipped: it took longer than 0.05 s; the order is that of the search",)
    go_on.set()


def assert_waited(event: threading.Event) -> None:
    assert event.wait(10)


def test_a_stage_takes_half_of_the_time_that_is_left(store: Store) -> None:
    query = Query("wool", deadline=time.monotonic() + 1)
    assert query.time_left(20) == pytest.approx(0.5, abs=0.05)
    assert query.time_left(0.1) == 0.1
    assert Query("wool", deadline=time.monotonic() - 1).time_left(5) == 0
    assert Query("wool").time_left(5) == 5


def test_another_wording_that_cannot_be_searched_for_is_left_out(store: Store) -> None:
    class Picky:
        def retrieve(self, query: Query) -> Retrieval:
            if query.text == "hay":
                raise UpstreamError("the index is busy")
            return retrievers.build("vector", {}, embedder=EMBEDDER, store=store).retrieve(query)

    found = StagedRetriever(Picky(), Stages(transforms=(("t", Stage(nothing)),)), Limits()).retrieve(Query("wool"))
    assert len(found.hits) == 10
    assert "'hay' was not searched for: the index is busy" in found.notes


class TestTimeBox:
    def test_the_result_and_the_error_of_the_work_come_back(self) -> None:
        assert time_box.within(5, "it", lambda: 42) == 42
        with pytest.raises(KeyError):
            time_box.within(5, "it", lambda: {}["x"])
        with pytest.raises(TimeoutError, match="its own"):
            time_box.within(5, "it", failing(TimeoutError("its own")))  # type: ignore[arg-type]

    def test_work_that_nobody_waits_for_does_not_pile_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time_box, "_free", threading.BoundedSemaphore(2))
        go_on, begun = threading.Event(), []

        def stuck() -> None:
            begun.append(1)
            assert_waited(go_on)

        for _ in range(4):
            with pytest.raises(UpstreamError, match=r"took longer|others are under way"):
                time_box.within(0.03, "it", stuck)
        assert len(begun) == 2
        go_on.set()
        assert time_box.within(5, "it", lambda: "free again") == "free again"


@pytest.mark.parametrize(
    ("stages", "text"),
    [
        ({"reranker": "none"}, r"reranker 'none' is not known.*cross_encoder"),
        ({"reranker": {"type": "llm", "odd": 1}}, "option 'odd' is not known"),
        ({"reranker": {"type": "llm", "candidates": 0}}, "'candidates' = 0"),
        ({"reranker": {"kind": "llm"}}, "reranker: expected the name of a type"),
        ({"reranker": ["llm"]}, "reranker: expected the name of a type"),
        ({"query_transform": ["expansion"] * 5}, "5 transforms are more than 4"),
        ({"query_transform": [3]}, r"query_transform\[0\]: expected"),
        ({"expand": {"type": "sideways"}}, r"expander 'sideways' is not known"),
        ({"collapse_duplicates": "maybe"}, "collapse_duplicates: expected true or false"),
    ],
    ids=str,
)
def test_a_wrong_stage_is_refused_by_name(store: Store, stages: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        staged(store, stages)
