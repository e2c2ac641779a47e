"""A question of several parts, split into questions that are looked up one by one."""

from dataclasses import replace

from pydantic import Field

from rag.asking import MAX_DATA_CHARS, AskingOptions, ask, list_schema, texts
from rag.embedders.base import Embedder
from rag.retrievers.base import Query, Retriever
from rag.retrievers.models import Models
from rag.transforms.base import Transformed

TASK = (
    "Split `question` into at most {count} shorter questions that can be looked up one by one and together cover it; "
    "one that asks for a single thing stays one question. Each must be understood without the others: "
    '{{"questions": ["…"]}}.'
)


class Decomposition:
    """The question itself is searched for beside its parts. One shorter than `min_chars` is left whole."""

    class Options(AskingOptions):
        max_questions: int = Field(3, ge=2, le=8, description="Parts at most.")
        min_chars: int = Field(40, ge=0, le=2000, description="Characters from which a question is split.")

    def __init__(self, options: Options, *, models: Models, embedder: Embedder, retriever: Retriever) -> None:
        self._options = options
        self._models = models

    def transform(self, query: Query) -> Transformed:
        options = self._options
        if len(query.text) < options.min_chars:
            note = f"The question was not split: it has fewer than {options.min_chars} characters (min_chars)."
            return Transformed((query,), (note,))
        data = {"question": query.text[:MAX_DATA_CHARS]}
        count = options.max_questions
        answer = ask(self._models, options, query, TASK.format(count=count), data, list_schema("questions", count))
        if answer.get("questions") in ([], [query.text]):
            return Transformed(
                (query,), (f"The question was not split: {options.model_shown} saw one question in it.",)
            )
        parts = texts(answer, "questions", count=count, who=options.model_shown, unlike=query.text)
        return Transformed((query, *(replace(query, text=each, words=None, vector=None) for each in parts)))
