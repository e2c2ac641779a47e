"""A rerank model of the project, behind the `POST …/v1/rerank` of its server."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from rag.rerankers.base import RerankerOptions

if TYPE_CHECKING:
    from rag.embedders.base import Embedder
    from rag.retrievers.models import Models


class ServedReranker:
    class Options(RerankerOptions):
        model_name: str = Field(min_length=1, description="Name of a rerank model in runtime.models.")

    def __init__(self, options: Options, *, embedder: "Embedder", models: "Models") -> None:
        self._options = options
        self._models = models

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        options = self._options
        return self._models.reranker(options.model_name, timeout_s=options.timeout_s).rerank(query, texts)
