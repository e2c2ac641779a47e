"""What strategies that ask a model are given: the models of a project, by the name in `runtime.models`."""

from typing import Protocol

from rag.errors import UpstreamError
from rag.rerankers.base import Reranker


class Models(Protocol):
    """Raises BadRequestError that lists the known ones for a name that no model has."""

    def reranker(self, name: str, *, timeout_s: float) -> Reranker: ...

    def ask(self, name: str, instruction: str, question: str, *, timeout_s: float) -> str:
        """The model's answer. Raises UpstreamError when its server fails or takes longer."""
        ...


class NoModels:
    """For a retriever that is built without a project: every model is away."""

    def reranker(self, name: str, *, timeout_s: float) -> Reranker:
        raise UpstreamError(f"no model '{name}' is at hand")

    def ask(self, name: str, instruction: str, question: str, *, timeout_s: float) -> str:
        raise UpstreamError(f"no model '{name}' is at hand")
