"""The options that chunkers share: a size and an overlap, each in the chunker's own unit."""

from typing import Self

from pydantic import Field, model_validator

from rag.errors import InvalidInputError
from rag.registry import ComponentOptions


class SizeOptions(ComponentOptions):
    chunk_size: int = Field(1000, gt=0, description="Characters per chunk, at most.")
    chunk_overlap: int = Field(100, ge=0, description="Characters repeated from the end of the chunk before, at most.")

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if "chunk_overlap" in self.model_fields_set and self.chunk_overlap >= self.chunk_size:
            raise InvalidInputError(
                f"chunk_overlap = {self.chunk_overlap} must be smaller than chunk_size = {self.chunk_size}"
            )
        return self

    @property
    def overlap(self) -> int:
        """The overlap in force: a small `chunk_size` alone in the YAML also shrinks the default overlap."""
        return self.chunk_overlap if self.chunk_overlap < self.chunk_size else self.chunk_size // 10
