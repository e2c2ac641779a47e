"""Asking: how deep, how often, and what is kept."""

from collections.abc import Sequence

import pytest

from rag.errors import UpstreamError
from rag.evaluation.questions import Question, Target
from rag.evaluation.run import Configuration, Cutting, measures, run
from rag.retrievers.base import Query, Retrieval
from rag.types import Hit

CUTTING = Cutting("current", 3, 100.0, False)


class Ranked:
    """Finds the same files for every question."""

    def __init__(self, files: Sequence[str], notes: tuple[str, ...] = ()) -> None:
        self.queries: list[Query] = []
        self._files, self._notes = files, notes

    def retrieve(self, query: Query) -> Retrieval:
        self.queries.append(query)
        hits = [Hit(str(at), f"text {at}", 1 / (at + 1), f"d/{name}", "g", {"filename": name})
                for at, name in enumerate(self._files)]  # fmt: skip
        return Retrieval(tuple(hits[: query.top_k]), self._notes)


class Broken:
    def retrieve(self, query: Query) -> Retrieval:
        raise UpstreamError("the reranker is away")


FILES = [Question(str(at), f"q{at}", (Target("b"),)) for at in range(7)]


def test_every_measure_has_a_value_per_question() -> None:
    found = Ranked(["a", "a", "b"], notes=("fell back",))
    (outcome,) = run([Configuration("s", CUTTING, lambda: found)], FILES, [1, 5], lambda *_: None)
    assert list(outcome.values) == measures([1, 5]) == ["ndcg@10", "recall@1", "recall@5", "hit@1", "hit@5", "mrr@10"]
    assert {name: values[0] for name, values in outcome.values.items()} == pytest.approx(
        {"ndcg@10": 0.6309, "recall@1": 0, "recall@5": 1, "hit@1": 0, "hit@5": 1, "mrr@10": 0.5}, abs=1e-4
    )
    assert all(len(values) == 7 for values in outcome.values.values())
    assert list(outcome.notes) == ["fell back"]
    assert outcome.context_chars == [18] * 7
    assert len(outcome.misses) == 5, "the worst ones are kept"


def test_one_query_more_warms_up_and_whole_files_are_looked_for_deeper() -> None:
    found = Ranked(["b"])
    (outcome,) = run([Configuration("s", CUTTING, lambda: found)], FILES, [1, 20], lambda *_: None)
    assert [query.text for query in found.queries] == ["q0", *(each.text for each in FILES)]
    assert {query.top_k for query in found.queries} == {60}
    assert len(outcome.latencies_ms) == 7
    passage = [Question("p", "q", (Target(passage="text 0"),))]
    run([Configuration("s", CUTTING, lambda: found)], passage, [1], lambda *_: None)
    assert found.queries[-1].top_k == 10
    assert outcome.misses == []


def test_what_fails_is_kept_with_its_reason_and_the_others_go_on() -> None:
    both = [Configuration("x", CUTTING, Broken), Configuration("s", CUTTING, lambda: Ranked(["b"]))]
    broken, good = run(both, FILES, [1], lambda *_: None)
    assert (broken.error, broken.values, good.error) == ("the reranker is away", {}, None)
    with pytest.raises(UpstreamError):
        run(both[:1], FILES, [1], lambda *_: None)


def test_progress_is_told_per_question() -> None:
    told: list[int] = []
    run([Configuration("s", CUTTING, lambda: Ranked([]))], FILES, [1], lambda _, number: told.append(number))
    assert told == [1, 2, 3, 4, 5, 6, 7]
