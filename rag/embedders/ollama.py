"""Embeds with a model that an Ollama server runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydantic import AliasChoices, Field, ValidationError

from rag.chunkers.base import TokenCounter
from rag.chunkers.tokens import EstimatedCounter
from rag.embedders.options import EmbedderOptions
from rag.embedders.remote import RemoteEmbedder
from rag.errors import EmbeddingError, InvalidInputError, RagError, UpstreamError


class OllamaEmbedder(RemoteEmbedder):
    """Calls `POST /api/embed`, many texts at a time. A document above the model's window is refused, never cut."""

    class Options(EmbedderOptions):
        model: str = Field(
            "nomic-embed-text", validation_alias=AliasChoices("model", "model_name"), description="As Ollama names it."
        )
        base_url: str = Field(
            "http://localhost:11434",
            validation_alias=AliasChoices("base_url", "api_base"),
            description="Of the server; a trailing /v1 is ignored.",
        )
        batch_size: int = Field(16, gt=0, le=2048, description="Texts per request.")
        timeout: float = Field(60.0, gt=0, description="Seconds without a byte before a request is abandoned.")
        auto_pull: bool = Field(True, description="Fetch a model that the server does not have.")
        max_retries: int = Field(3, ge=0, le=10, description="Further attempts after a failed request.")
        max_tokens: int = Field(512, gt=0, description="Tokens that a chunk may have, by a safe estimate.")

    def __init__(self, options: Options) -> None:
        super().__init__(
            _OllamaClient(options),
            options,
            model_id=f"ollama/{options.model.removesuffix(':latest')}",
            counter=self.counter(options),
            batch_size=options.batch_size,
            max_retries=options.max_retries,
        )

    @staticmethod
    def counter(options: Options) -> TokenCounter:
        return EstimatedCounter(options.max_tokens)


class _MissingModelError(InvalidInputError):
    pass


class _OllamaClient:
    def __init__(self, options: OllamaEmbedder.Options) -> None:
        import ollama

        base_url = options.base_url.rstrip("/").removesuffix("/v1")
        self.address = base_url
        self.name = f"Ollama at {base_url}"
        self._model = options.model
        self._auto_pull = options.auto_pull
        # A key of the process's environment must not reach an address that a project's config names.
        headers = {"authorization": "Bearer ollama"}
        self._client = ollama.Client(host=base_url, timeout=options.timeout, headers=headers, follow_redirects=False)
        # Fetching a model sends nothing for long stretches.
        self._pull_client = ollama.Client(host=base_url, timeout=None, headers=headers, follow_redirects=False)

    def embed(self, texts: list[str], *, is_query: bool) -> Sequence[Sequence[float]]:
        try:
            return self._embed(texts, truncate=is_query)
        except _MissingModelError:
            if not self._auto_pull:
                raise
        with self._errors_translated():
            self._pull_client.pull(self._model)
        return self._embed(texts, truncate=is_query)

    def close(self) -> None:
        for client in (self._client, self._pull_client):
            client.close()  # type: ignore[no-untyped-call]  # the package leaves it unannotated

    def _embed(self, texts: list[str], *, truncate: bool) -> Sequence[Sequence[float]]:
        with self._errors_translated():
            return self._client.embed(model=self._model, input=texts, truncate=truncate).embeddings

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        import httpx
        import ollama

        try:
            yield
        except ollama.ResponseError as error:
            raise self._explained(error.status_code, error.error) from error
        except (httpx.HTTPError, ConnectionError) as error:
            raise UpstreamError(f"{self.name} does not answer ({type(error).__name__}); is it running?") from error
        except (ValidationError, ValueError) as error:
            raise EmbeddingError(f"{self.name} answered in a form that is not understood") from error

    def _explained(self, status: int, reason: str) -> RagError:
        if status == 404:
            return _MissingModelError(
                f"{self.name} has no model '{self._model}'; run `ollama pull {self._model}` or set auto_pull: true"
            )
        if status == 400:
            return EmbeddingError(f"{self.name} refused texts for model '{self._model}': {reason}")
        if status in {401, 403}:
            return InvalidInputError(f"{self.name} refused access with status {status}")
        return UpstreamError(f"{self.name} failed with status {status}: {reason}")
