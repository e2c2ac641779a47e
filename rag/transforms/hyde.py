"""A passage that could answer the question, written by a model: what is like it in the files is searched for."""

from dataclasses import replace

import numpy as np
from pydantic import Field

from rag.asking import MAX_DATA_CHARS, AskingOptions, ask, list_schema, texts
from rag.embedders.base import Embedder
from rag.errors import EmbeddingError
from rag.retrievers.base import Query, Retriever
from rag.retrievers.models import Models
from rag.transforms.base import Transformed
from rag.types import Vector

TASK = (
    "Write {count} short passages, each as a handbook, a report or an article would say it that answers `question`. "
    'If you do not know a fact, leave it out: the style and the terms are what matters: {{"passages": ["…"]}}.'
)
PASSAGE_CHARS = 2_000


class Hyde:
    """Searches by meaning with the mean of the vectors of the question and of the passages; words stay the question's.

    Source:
        Gao, Ma, Lin and Callan, "Precise Zero-Shot Dense Retrieval without Relevance Labels", ACL 2023.
    """

    class Options(AskingOptions):
        passages: int = Field(1, ge=1, le=4, description="Passages to write.")

    def __init__(self, options: Options, *, models: Models, embedder: Embedder, retriever: Retriever) -> None:
        self._options = options
        self._models = models
        self._embedder = embedder

    def transform(self, query: Query) -> Transformed:
        options, count = self._options, self._options.passages
        data = {"question": query.text[:MAX_DATA_CHARS]}
        answer = ask(self._models, options, query, TASK.format(count=count), data, list_schema("passages", count))
        found = texts(answer, "passages", count=count, who=options.model_shown, limit=PASSAGE_CHARS)
        words = query.lexical
        return Transformed((replace(query, words=words, vector=self._vector(query, found)),), (_shown(found),))

    def _vector(self, query: Query, passages: list[str]) -> Vector:
        counter = self._embedder.token_counter
        cut = [_first_tokens(each, counter.spans(each), counter.max_tokens) for each in passages]
        vectors = np.vstack([query.vector_by(self._embedder)[None, :], self._embedder.embed_documents(cut)])
        mean = vectors.mean(axis=0)
        length = float(np.linalg.norm(mean))
        if not length:
            raise EmbeddingError("the vectors of the question and of the passages cancel each other")
        vector: Vector = (mean / length).astype(np.float32)
        return vector


def _first_tokens(text: str, spans: list[tuple[int, int]], count: int) -> str:
    return text if len(spans) <= count else text[: spans[count - 1][1]]


def _shown(passages: list[str]) -> str:
    return f"hyde: searched for what is like: {' / '.join(each[:200] for each in passages)}"
