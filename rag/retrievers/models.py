"""What strategies and stages that ask a model are given: the models of a project, by the name in `runtime.models`."""

from collections.abc import Mapping
from typing import Any, Protocol

from rag.errors import UpstreamError
from rag.rerankers.base import Reranker


class Models(Protocol):
    """Raises BadRequestError that lists the known ones for a name that no model has; None is the default model."""

    def reranker(self, name: str, *, timeout_s: float) -> Reranker: ...

    def ask(
        self,
        name: str | None,
        instruction: str,
        question: str,
        *,
        timeout_s: float,
        schema: Mapping[str, Any] | None = None,
    ) -> str:
        """The model's answer, of the shape of `schema` where its server can see to that.

        Raises UpstreamError when the server fails or takes longer, and for a model that only quotes.
        """
        ...


class NoModels:
    """For a retriever that is built without a project: every model is away."""

    def reranker(self, name: str, *, timeout_s: float) -> Reranker:
        raise UpstreamError(f"no model '{name}' is at hand")

    def ask(
        self,
        name: str | None,
        instruction: str,
        question: str,
        *,
        timeout_s: float,
        schema: Mapping[str, Any] | None = None,
    ) -> str:
        raise UpstreamError("no model is at hand" if name is None else f"no model '{name}' is at hand")
