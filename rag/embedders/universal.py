"""The embedder of projects written for a universal runtime: a server if one answers, else this process."""

import threading
import time

import numpy as np
from pydantic import AliasChoices, Field, SecretStr

from rag.chunkers.base import TokenCounter
from rag.chunkers.tokens import EstimatedCounter
from rag.embedders.base import Embedder
from rag.embedders.hardware import Precision
from rag.embedders.openai import OpenAIEmbedder
from rag.embedders.options import EmbedderOptions, secret_text
from rag.embedders.sentence_transformer import SentenceTransformerEmbedder
from rag.embedders.weights import DEFAULT_MODEL, canonical_name, token_counter_for
from rag.errors import InvalidInputError, UpstreamError
from rag.types import Matrix, Vector

_PROBE_TIMEOUT_S = 1.0
_PROBE_LIFETIME_S = 60.0
_probes: dict[tuple[str, str], tuple[float, bool]] = {}
_probes_lock = threading.Lock()


class UniversalEmbedder:
    """Asks the server at `base_url` if it answers when the embedder is built, else runs the model here.

    Both give vectors of the same model, so `model_id` is the same.
    """

    class Options(EmbedderOptions):
        model: str = Field(
            DEFAULT_MODEL,
            validation_alias=AliasChoices("model", "model_name"),
            description="Hugging Face name, or a folder (absolute, or starting with `.` or `~`).",
        )
        base_url: str | None = Field(
            None,
            validation_alias=AliasChoices("base_url", "api_base"),
            description="Of an OpenAI-style server; /v1 is appended when absent. Unset: the model runs here.",
        )
        api_key: SecretStr = Field(SecretStr("universal"), description="Sent as bearer token.")
        batch_size: int = Field(16, gt=0, le=2048, description="Texts per request.")
        timeout: float = Field(60.0, gt=0, description="Seconds without a byte before a request is abandoned.")
        device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="When the model runs here.")
        precision: Precision = Field("auto", description="When the model runs here.")
        hf_token: SecretStr | None = Field(None, description="For a private model; default: LF_HF_TOKEN.")
        normalize: bool = Field(
            True,
            validation_alias=AliasChoices("normalize", "normalize_embeddings"),
            description="Accepted for existing files; vectors always have unit length.",
        )
        max_tokens: int = Field(512, gt=0, description="Tokens per chunk, when the model's tokenizer is not here.")

    def __init__(self, options: Options) -> None:
        self._inner = self._chosen(options)
        self.model_id = self._inner.model_id

    @staticmethod
    def counter(options: Options) -> TokenCounter:
        """The model's own tokenizer if it is here, else an estimate; never asks the server."""
        try:
            return token_counter_for(options.model, secret_text(options.hf_token))
        except (UpstreamError, InvalidInputError):
            return EstimatedCounter(options.max_tokens)

    @property
    def inner(self) -> Embedder:
        """The one that was chosen."""
        return self._inner

    def cache_scope(self, project: str) -> str:
        return self._inner.cache_scope(project)

    @property
    def dimension(self) -> int:
        return self._inner.dimension

    @property
    def token_counter(self) -> TokenCounter:
        return self._inner.token_counter

    def embed_documents(self, texts: list[str]) -> Matrix:
        return self._inner.embed_documents(texts)

    def embed_query(self, text: str) -> Vector:
        return self._inner.embed_query(text)

    def embed_queries(self, texts: list[str]) -> Matrix:
        """Embed the questions of several callers together, where the model allows it."""
        if isinstance(self._inner, SentenceTransformerEmbedder):
            return self._inner.embed_queries(texts)
        return np.stack([self._inner.embed_query(text) for text in texts])

    def close(self) -> None:
        self._inner.close()

    def _chosen(self, options: Options) -> Embedder:
        server = _with_v1(options.base_url) if options.base_url else None
        if server and answers(server, options.model, options.api_key.get_secret_value()):
            return self._remote(options, server)
        try:
            return self._local(options)
        except UpstreamError as error:
            if server is None:
                raise
            raise UpstreamError(f"no embedding server answers at {server}, and {error}") from error

    def _remote(self, options: Options, server: str) -> Embedder:
        shared = {"model", "api_key", "batch_size", "timeout", "dimension", "circuit_breaker", "fail_fast"}
        values = {name: getattr(options, name) for name in shared}
        return OpenAIEmbedder(
            OpenAIEmbedder.Options(**values, base_url=server),
            model_id=canonical_name(options.model),
            counter=self.counter(options),
        )

    def _local(self, options: Options) -> Embedder:
        shared = {"model", "device", "precision", "hf_token", "dimension"}
        values = {name: getattr(options, name) for name in shared}
        return SentenceTransformerEmbedder(SentenceTransformerEmbedder.Options(**values))


def answers(server: str, model: str, api_key: str) -> bool:
    """Whether `server` embeds with `model`; asked at most once a minute."""
    with _probes_lock:
        asked_s, known = _probes.get((server, model), (float("-inf"), False))
        if time.monotonic() - asked_s < _PROBE_LIFETIME_S:
            return known
    found = _probe(server, model, api_key)
    with _probes_lock:
        _probes[server, model] = (time.monotonic(), found)
    return found


def _probe(server: str, model: str, api_key: str) -> bool:
    import httpx

    try:
        answer = httpx.post(
            f"{server}/embeddings",
            json={"model": model, "input": ["probe"]},
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=_PROBE_TIMEOUT_S,
        )
        return answer.status_code == httpx.codes.OK and "data" in answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError):
        return False


def _with_v1(base_url: str) -> str:
    base_url = base_url.rstrip("/")
    return base_url if base_url.endswith("/v1") else f"{base_url}/v1"
