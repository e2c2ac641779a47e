"""Embeddings for clients of OpenAI's API, from the embedders that projects use too."""

import base64
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import orjson
from anyio import CapacityLimiter, to_thread

from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from rag.embedders.base import Embedder
from rag.embedders.weights import DEFAULT_MODEL, canonical_name
from rag.errors import BadRequestError, NotFoundError
from rag.model_cache import ModelCache
from rag.types import Matrix
from server.schemas.embeddings import MAX_TOTAL_TOKENS, EmbeddingRequest

THREADS = 16
TEXTS_AT_ONCE = 64
"""Between two such portions a request ends when its client has left."""

Result = TypeVar("Result")


class EmbedderFor(Protocol):
    """The part of `config.assemble.Assembly` that is needed here."""

    def embedder(self, database: DatabaseConfig) -> Embedder: ...


class EmbeddingService:
    """Args:
    find_project: None where there is no such project.
    warm_model: is loaded anyway; may be empty.
    """

    def __init__(
        self,
        find_project: Callable[[str, str], ProjectConfig | None],
        assembly: EmbedderFor,
        cache: ModelCache,
        *,
        warm_model: str,
    ) -> None:
        self._find_project = find_project
        self._assembly = assembly
        self._cache = cache
        self._own = {canonical_name(name) for name in (DEFAULT_MODEL, warm_model) if name}
        self._found: set[str] = set()
        self._threads = CapacityLimiter(THREADS)

    async def embed(self, request: EmbeddingRequest) -> bytes:
        """The answer as JSON. Vectors have unit length and are those that documents are stored with.

        Raises:
            NotFoundError: no project and no embedding model on this machine has this name.
            BadRequestError: a text is empty or too long, or another length of vectors is asked for.
            UpstreamError: the embedder failed.
        """
        texts = [request.input] if isinstance(request.input, str) else request.input
        embedder, counts = await self._run(lambda: self._prepared(request, texts))
        portions = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            portion = texts[start : start + TEXTS_AT_ONCE]
            portions.append(await self._run(lambda portion=portion: embedder.embed_documents(portion)))  # type: ignore[misc]  # a default argument has no type
        return await self._run(lambda: _answer(request, np.concatenate(portions), sum(counts)))

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)

    def _prepared(self, request: EmbeddingRequest, texts: list[str]) -> tuple[Embedder, list[int]]:
        empty = next((index for index, text in enumerate(texts) if not text.strip()), None)
        if empty is not None:
            raise BadRequestError(f"input[{empty}] is empty: every input needs text")
        embedder = self._assembly.embedder(self._database(request.model))
        counts = embedder.token_counter.count_batch(texts)
        _check_lengths(counts, embedder.token_counter.max_tokens, request.model)
        if request.dimensions not in (None, embedder.dimension):
            raise BadRequestError(
                f"dimensions = {request.dimensions}: vectors of '{request.model}' have {embedder.dimension} and are "
                "not shortened; leave it out"
            )
        return embedder, counts

    def _database(self, name: str) -> DatabaseConfig:
        """A project's database, or one that stands for a model by its name."""
        namespace, _, rest = name.partition("/")
        project_name, _, database = rest.partition("/")
        project = self._find_project(namespace, project_name)
        if project is not None:
            return project.database(database or None)
        model = canonical_name(name)
        if model not in self._own and not self._is_cached_embedder(model):
            known = ", ".join(sorted(self._own))
            raise NotFoundError(
                f"Model '{name}' not found: it is neither 'namespace/project[/database]' nor an embedding model on "
                f"this machine. Available: {known}, and what GET /v1/models lists",
                code="ModelNotFound",
            )
        strategy = {"name": "direct", "type": "SentenceTransformerEmbedder", "config": {"model": model}}
        return DatabaseConfig.model_validate(
            {"name": "direct", "type": "ChromaStore", "embedding_strategies": [strategy]}
        )

    def _is_cached_embedder(self, model: str) -> bool:
        """Looked for on disk once: what was found is loaded, and stays so."""
        if model not in self._found:
            try:
                if not self._cache.find(model).is_embedder:
                    return False
            except NotFoundError:
                return False
            self._found.add(model)
        return True


def _check_lengths(counts: list[int], max_tokens: int, model: str) -> None:
    for index, count in enumerate(counts):
        if count > max_tokens:
            raise BadRequestError(
                f"input[{index}] has {count} tokens; '{model}' takes {max_tokens}: send shorter texts"
            )
    if sum(counts) > MAX_TOTAL_TOKENS:
        raise BadRequestError(f"the inputs have {sum(counts)} tokens together; a request may have {MAX_TOTAL_TOKENS}")


def _answer(request: EmbeddingRequest, vectors: Matrix, token_count: int) -> bytes:
    rows: list[Any] = [*np.ascontiguousarray(vectors, dtype="<f4")]
    if request.encoding_format == "base64":
        rows = [base64.b64encode(row.tobytes()).decode() for row in rows]
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": request.model,
        "usage": {"prompt_tokens": token_count, "total_tokens": token_count},
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
