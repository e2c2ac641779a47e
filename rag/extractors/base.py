"""The extractor role: the text of a chunk → metadata."""

from typing import Protocol

from rag.types import Document, Scalar


class Extractor(Protocol):
    """Finds facts in a chunk. Deterministic; never fails on odd text: nothing found is an empty mapping."""

    def extract(self, text: str, document: Document) -> dict[str, Scalar | list[str]]: ...
