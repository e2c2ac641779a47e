"""Facts about a whole document that are needed for each of its chunks, worked out once."""

from collections.abc import Callable
from typing import Generic, TypeVar

from rag.types import Document

Fact = TypeVar("Fact")


class PerDocument(Generic[Fact]):
    """Keeps the fact of the document asked for last: chunks come file by file."""

    def __init__(self, work_out: Callable[[Document], Fact]) -> None:
        self._work_out = work_out
        self._last: tuple[Document, Fact] | None = None

    def of(self, document: Document) -> Fact:
        last = self._last
        if last is None or last[0] is not document:
            last = (document, self._work_out(document))
            self._last = last
        return last[1]
