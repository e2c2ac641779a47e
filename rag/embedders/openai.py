"""Embeds through any server that speaks OpenAI's `/v1/embeddings`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import AliasChoices, Field, SecretStr

from rag.chunkers.base import TokenCounter
from rag.chunkers.tokens import EstimatedCounter
from rag.embedders.options import EmbedderOptions
from rag.embedders.remote import RemoteEmbedder
from rag.errors import EmbeddingError, InvalidInputError, RagError, UpstreamError

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_SHORTENABLE = "text-embedding-3"
_NO_KEY = "none"  # the SDK insists on a key; servers of one's own mostly do not


class OpenAIEmbedder(RemoteEmbedder):
    """Calls `POST {base_url}/embeddings`, many texts at a time."""

    class Options(EmbedderOptions):
        model: str = Field(
            "text-embedding-3-small",
            validation_alias=AliasChoices("model", "model_name"),
            description="As the server names it.",
        )
        base_url: str | None = Field(
            None,
            validation_alias=AliasChoices("base_url", "api_base"),
            description="Of the server; unset is OpenAI's own.",
        )
        api_key: SecretStr | None = Field(None, description="Sent as bearer token.")
        organization: str | None = Field(None, description="OpenAI organisation.")
        batch_size: int = Field(100, gt=0, le=2048, description="Texts per request.")
        timeout: float = Field(60.0, gt=0, description="Seconds without a byte before a request is abandoned.")
        max_retries: int = Field(3, ge=0, le=10, description="Further attempts after a failed request.")
        max_tokens: int = Field(8191, gt=0, description="Tokens that a chunk may have, by a safe estimate.")

    def __init__(self, options: Options, *, model_id: str | None = None, counter: TokenCounter | None = None) -> None:
        shortened = options.dimension if options.model.startswith(_SHORTENABLE) else None
        super().__init__(
            _OpenAIClient(options, dimensions=shortened),
            options,
            model_id=model_id or f"openai/{options.model}" + (f"@{shortened}" if shortened else ""),
            counter=counter or self.counter(options),
            batch_size=options.batch_size,
            max_retries=options.max_retries,
        )

    @staticmethod
    def counter(options: Options) -> TokenCounter:
        return EstimatedCounter(options.max_tokens)


class _OpenAIClient:
    def __init__(self, options: OpenAIEmbedder.Options, *, dimensions: int | None) -> None:
        import openai

        self.address = options.base_url or DEFAULT_BASE_URL
        self.name = f"embedding server at {options.base_url or 'api.openai.com'}"
        self._model = options.model
        self._extra: dict[str, Any] = {} if dimensions is None else {"dimensions": dimensions}
        if not options.api_key and not options.base_url:
            raise InvalidInputError("option 'api_key' is missing; OpenAI needs one: write api_key: ${OPENAI_API_KEY}")
        # All of it stated, so that nothing of the process's environment reaches an address that a config names.
        self._client = openai.OpenAI(
            api_key=options.api_key.get_secret_value() if options.api_key else _NO_KEY,
            base_url=self.address,
            timeout=options.timeout,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )
        # Afterwards, because the constructor reads None as "look into the environment".
        self._client.organization, self._client.project = options.organization, None

    def embed(self, texts: list[str], *, is_query: bool) -> Sequence[Sequence[float]]:
        # "float" because servers other than OpenAI's do not all know base64.
        with self._errors_translated():
            answer = self._client.embeddings.create(
                model=self._model, input=texts, encoding_format="float", **self._extra
            )
            return [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            raise self._explained(error.status_code, error.message) from error
        except openai.APIConnectionError as error:
            raise UpstreamError(f"{self.name} does not answer ({type(error).__name__})") from error
        except (openai.OpenAIError, ValueError, AttributeError, TypeError) as error:
            raise EmbeddingError(f"{self.name} answered in a form that is not understood") from error

    def _explained(self, status: int, reason: str) -> RagError:
        if status in {401, 403}:
            return InvalidInputError(f"{self.name} refused the api_key with status {status}")
        if status == 404:
            return InvalidInputError(f"{self.name} has no model '{self._model}' or no /embeddings there: {reason}")
        if status in {400, 413, 422}:
            return EmbeddingError(f"{self.name} refused texts for model '{self._model}': {reason}")
        return UpstreamError(f"{self.name} failed with status {status}: {reason}")
