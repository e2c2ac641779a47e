"""A deterministic embedder without a model, for tests and dry runs."""

import re
from hashlib import blake2b

import numpy as np
from pydantic import Field

from rag.chunkers.base import TokenCounter
from rag.chunkers.tokens import EstimatedCounter
from rag.embedders.checks import checked
from rag.embedders.options import EmbedderOptions
from rag.types import Matrix, Vector

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """Adds one pseudo-random direction per distinct word: texts that share words are similar.

    Equal texts give equal vectors on every machine. A text without words gets a direction of its own.
    """

    class Options(EmbedderOptions):
        dimension: int = Field(256, gt=0, le=16384, description="Length of a vector.")
        max_tokens: int = Field(512, gt=0, description="Tokens that a chunk may have.")

    def __init__(self, options: Options) -> None:
        self.model_id = f"hash/{options.dimension}"
        self._dimension = options.dimension
        self._counter = self.counter(options)

    @staticmethod
    def counter(options: Options) -> TokenCounter:
        return EstimatedCounter(options.max_tokens)

    def cache_scope(self, project: str) -> str:
        return "computed"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def token_counter(self) -> TokenCounter:
        return self._counter

    def embed_documents(self, texts: list[str]) -> Matrix:
        return checked([self._sum_of_words(text) for text in texts], self._dimension)

    def embed_query(self, text: str) -> Vector:
        vector: Vector = self.embed_documents([text])[0]
        return vector

    def close(self) -> None:
        """Nothing to release."""

    def _sum_of_words(self, text: str) -> Vector:
        words = sorted(set(_WORD.findall(text.casefold()))) or [f"\0{text}"]
        directions = np.stack([self._direction(word) for word in words])
        vector: Vector = directions.sum(axis=0, dtype=np.float32)
        return vector

    def _direction(self, word: str) -> Vector:
        seed = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        generator = np.random.Generator(np.random.PCG64(int.from_bytes(seed, "big")))
        return generator.standard_normal(self._dimension).astype(np.float32)
