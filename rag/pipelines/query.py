"""Ask a retriever one question or several at once."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from rag.errors import RagError
from rag.retrievers.base import Query, Retrieval, Retriever

MAX_THREADS = 8
SAME_PREFIX_CHARS = 200


class QueryPipeline:
    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    def run(self, query: Query) -> Retrieval:
        """Retrieve for one query."""
        return self._retriever.retrieve(query)

    def run_many(self, queries: Sequence[Query], top_k: int) -> Retrieval:
        """Ask all at once and merge.

        Hits are taken in the order of the queries; of those that begin with the same 200 characters the first stays;
        the rest is sorted by score and cut to `top_k`.

        Raises:
            RagError: of the first query, when all failed. One that fails beside others is left out with a note.
        """
        if not queries:
            return Retrieval(())
        with ThreadPoolExecutor(min(MAX_THREADS, len(queries))) as pool:
            answers = [pool.submit(self.run, query) for query in queries]
        found, notes = _collect(queries, answers)
        hits = {_beginning(hit.text): hit for each in reversed(found) for hit in reversed(each.hits)}
        ranked = sorted(hits.values(), key=lambda hit: (-hit.score, hit.id))
        return Retrieval(tuple(ranked[:top_k]), tuple(dict.fromkeys(notes)), queries[0].trace.stages)


def _collect(queries: Sequence[Query], answers: Sequence["Future[Retrieval]"]) -> tuple[list[Retrieval], list[str]]:
    found: list[Retrieval] = []
    notes: list[str] = []
    errors: list[RagError] = []
    for query, answer in zip(queries, answers, strict=True):
        try:
            retrieval = answer.result()
        except RagError as error:
            errors.append(error)
            notes.append(f"query '{query.text[:80]}' failed and was left out: {error}")
        else:
            found.append(retrieval)
            notes.extend(retrieval.notes)
    if not found:
        raise errors[0]
    return found, notes


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _beginning(text: str) -> str:
    return _plain(text[:SAME_PREFIX_CHARS])
