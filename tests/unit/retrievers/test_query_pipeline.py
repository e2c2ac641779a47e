"""One question or several at once."""

import pytest

from rag.errors import UpstreamError
from rag.pipelines.query import QueryPipeline
from rag.retrievers.base import Query, Retrieval
from rag.types import Hit


def hit(chunk_id: str, score: float, text: str = "", file_key: str = "set/a") -> Hit:
    return Hit(chunk_id, text or f"text of {chunk_id}", score, file_key, "g1")


class ScriptedRetriever:
    """Answers from a table of question → hits; a question without an entry fails."""

    def __init__(self, table: dict[str, list[Hit]]) -> None:
        self._table = table

    def retrieve(self, query: Query) -> Retrieval:
        if query.text not in self._table:
            raise UpstreamError(f"no answer to {query.text}")
        return Retrieval(tuple(self._table[query.text][: query.top_k]), ("a note",))


def ids(found: Retrieval) -> list[str]:
    return [each.id for each in found.hits]


def test_several_questions_are_merged_and_the_first_occurrence_stays() -> None:
    shared = "x" * 200
    table = {
        "one": [hit("a", 0.5, shared + " one"), hit("b", 0.4)],
        "two": [hit("c", 0.9, shared + " two"), hit("d", 0.8)],
    }
    found = QueryPipeline(ScriptedRetriever(table)).run_many([Query("one"), Query("two")], top_k=3)
    assert ids(found) == ["d", "a", "b"]
    assert found.notes == ("a note",)
    assert ids(QueryPipeline(ScriptedRetriever(table)).run_many([Query("two"), Query("one")], top_k=1)) == ["c"]


def test_a_question_that_fails_beside_others_is_left_out_with_a_note() -> None:
    pipeline = QueryPipeline(ScriptedRetriever({"one": [hit("a", 0.5)]}))
    found = pipeline.run_many([Query("bad"), Query("one")], top_k=5)
    assert ids(found) == ["a"]
    assert "query 'bad' failed and was left out: no answer to bad" in found.notes


def test_when_all_fail_the_first_error_is_raised() -> None:
    with pytest.raises(UpstreamError, match="no answer to bad"):
        QueryPipeline(ScriptedRetriever({})).run_many([Query("bad"), Query("worse")], top_k=5)


def test_no_questions_no_hits() -> None:
    assert QueryPipeline(ScriptedRetriever({})).run_many([], top_k=5) == Retrieval(())
