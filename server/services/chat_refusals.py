"""What a request may ask for and its model cannot do: said before anything is asked of anyone, never passed over."""

from collections.abc import Iterator, Mapping

from config.runtime import ModelConfig
from rag.errors import BadRequestError
from rag.llms.formats import wanted_format
from server.schemas.chat import ChatRequest
from server.schemas.openai import SamplingParameters

OPENAI_PROVIDERS = frozenset({"openai", "lemonade", "universal"})
PARTS: Mapping[str, frozenset[str]] = {
    "ollama": frozenset({"text", "image_url"}),
    "extractive": frozenset({"text"}),
    "scripted": frozenset({"text"}),
}
"""Kinds of content that a provider can take; one that speaks OpenAI's protocol gets every kind as it is."""


def refuse_unsupported(model: ModelConfig, request: ChatRequest, parameters: SamplingParameters) -> None:
    """Raises BadRequestError that names the field, the model and the remedy."""
    if request.logprobs or request.top_logprobs:
        raise BadRequestError("logprobs: log probabilities are not supported; leave logprobs and top_logprobs out")
    speaks_openai = model.provider in OPENAI_PROVIDERS
    if request.logit_bias and not speaks_openai:
        raise BadRequestError(f"logit_bias: model '{model.name}' ({model.provider}) cannot do this; leave it out")
    is_forced = request.tool_choice not in (None, "auto", "none")
    if is_forced and not (speaks_openai and model.tool_call_strategy == "native_api"):
        raise BadRequestError(
            f"tool_choice: model '{model.name}' ({model.provider}, {model.tool_call_strategy}) cannot be made to call "
            "a tool; use 'auto' or 'none'"
        )
    if wanted_format(parameters.response_format) is not None and model.provider == "extractive":
        raise BadRequestError(
            f"response_format: model '{model.name}' (extractive) quotes and cannot write JSON: leave response_format "
            "out or choose a model"
        )
    accepted = PARTS.get(model.provider)
    kind = next((each for each in _kinds(request) if accepted is not None and each not in accepted), None)
    if accepted is not None and kind is not None:
        raise BadRequestError(
            f"messages: model '{model.name}' ({model.provider}) cannot take a content part of type '{kind[:50]}'; "
            f"accepted: {', '.join(sorted(accepted))}"
        )


def _kinds(request: ChatRequest) -> Iterator[str]:
    for message in request.messages:
        if isinstance(message.content, list):
            yield from (str(part.get("type", "text")) for part in message.content)
