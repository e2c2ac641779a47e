"""The question in several wordings, all searched for at once."""

from dataclasses import replace
from typing import Literal

from pydantic import Field

from rag.asking import MAX_DATA_CHARS, AskingOptions, ask, list_schema, texts
from rag.embedders.base import Embedder
from rag.errors import RagError
from rag.retrievers.base import Query, Retriever
from rag.retrievers.models import Models
from rag.retrievers.multi_query import variants
from rag.transforms.base import Transformed

TASK = (
    "Write {count} other wordings of `question`, as someone would write who uses other words for the same things: "
    '{{"wordings": ["…"]}}.'
)


class MultiQuery:
    """A model writes the wordings; where there is none that answers, they are made by rule, with a note."""

    class Options(AskingOptions):
        num_queries: int = Field(3, ge=2, le=10, description="Wordings at most, the question itself included.")
        method: Literal["model", "rules"] = Field(
            "model", description="Who makes them; rules drop the opening and the filling words, and part clauses."
        )

    def __init__(self, options: Options, *, models: Models, embedder: Embedder, retriever: Retriever) -> None:
        self._options = options
        self._models = models

    def transform(self, query: Query) -> Transformed:
        notes: tuple[str, ...] = ()
        options = self._options
        if options.method == "rules":
            wordings = variants(query.text, options.num_queries)[1:]
        else:
            try:
                wordings = self._written(query)
            except RagError as error:
                wordings = variants(query.text, options.num_queries)[1:]
                notes = (f"multi_query: the wordings were made by rule, because {error.message}",)
        return Transformed((query, *(replace(query, text=each, words=None, vector=None) for each in wordings)), notes)

    def _written(self, query: Query) -> list[str]:
        options, count = self._options, self._options.num_queries - 1
        data = {"question": query.text[:MAX_DATA_CHARS]}
        answer = ask(self._models, options, query, TASK.format(count=count), data, list_schema("wordings", count))
        return texts(answer, "wordings", count=count, who=options.model_shown, unlike=query.text)
