"""One turn of a chat before anything is asked of anyone: which model, which parameters, which queries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from config.project import ProjectConfig
from config.runtime import ModelConfig
from rag.errors import BadRequestError, ConfigError
from rag.llms.base import LLM, LLMRequest, Message, Sampling
from rag.llms.messages import last_user_text
from rag.llms.thinking import generation_limit
from rag.prompts import Budget, assemble, estimate_json_tokens
from rag.retrievers.base import Query
from rag.types import Hit
from server.schemas.chat import ChatRequest
from server.schemas.openai import SamplingParameters
from server.schemas.rag import MAX_QUERY_CHARS

UNKNOWN_WINDOW_TOKENS = 131_072
"""For servers that keep their window to themselves: they refuse what is too long by themselves, and say so."""
ANSWER_TOKENS = 1024
"""Kept free for the answer when nobody limits it."""

PASSED_ON = ("logit_bias", "parallel_tool_calls", "user")
"""Parameters of a request that go as they are to a provider that speaks OpenAI's protocol."""
OPENAI_PROVIDERS = frozenset({"openai", "lemonade", "universal"})

LLMFor = Callable[[ModelConfig], LLM]


@dataclass(frozen=True, slots=True)
class Turn:
    """A request, resolved against its project."""

    project: ProjectConfig
    request: ChatRequest
    model: ModelConfig
    llm: LLM
    parameters: SamplingParameters
    extra: Mapping[str, Any]
    system_messages: tuple[str, ...]
    examples: tuple[Message, ...]
    """Configured messages of other roles: they stand before the conversation."""
    messages: tuple[dict[str, Any], ...]
    """The request's own."""
    size_bytes: int
    """Of messages and tools, as JSON."""

    @property
    def is_thinking(self) -> bool:
        return bool(self.parameters.think)

    @property
    def database(self) -> str | None:
        """Name of the database to search; None means the project's default one."""
        return self.request.database or self.model.target_database

    @property
    def queries(self) -> list[Query]:
        """What to search for; empty when nothing is to be searched."""
        request = self.request
        if not self._is_retrieving:
            return []
        texts = [text for text in request.rag_queries or () if text.strip()]
        texts = texts or [last_user_text(self.messages)[:MAX_QUERY_CHARS]]
        return [
            Query(text=text, top_k=request.rag_top_k, score_threshold=request.rag_score_threshold)
            for text in texts
            if text.strip()
        ]

    @property
    def _is_retrieving(self) -> bool:
        """Clients say `rag_enabled: true` by habit, so without any database it asks for nothing."""
        has_database = bool(self.project.databases)
        for wanted in (self.request.rag_enabled, self.model.rag_enabled):
            if wanted is not None:
                return wanted and (has_database or self.request.database is not None)
        return has_database or self.request.database is not None

    def llm_request(
        self, history: Sequence[Message], new: Sequence[Message], hits: Sequence[Hit] | None
    ) -> tuple[LLMRequest, list[Hit]]:
        """The prompt within the budget, and the hits that are in it."""
        bare = self._bare_request()
        answer_tokens = generation_limit(bare) or ANSWER_TOKENS
        budget = Budget(self._window_tokens, answer_tokens, estimate_json_tokens(bare.tools))
        messages, used = assemble(new, self.system_messages, [*self.examples, *history], hits, budget)
        request = LLMRequest(
            messages=tuple(messages),
            sampling=bare.sampling,
            tools=bare.tools,
            tool_choice=self.request.tool_choice,
            think=bare.think,
            thinking_budget=bare.thinking_budget,
            response_format=self.parameters.response_format,
            extra=self.extra,
            hits=tuple(used),
        )
        return request, used

    def _bare_request(self) -> LLMRequest:
        wanted = self.parameters
        stop = [wanted.stop] if isinstance(wanted.stop, str) else wanted.stop or []
        sampling = Sampling(
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            top_k=wanted.top_k,
            max_tokens=wanted.max_completion_tokens or wanted.max_tokens,
            frequency_penalty=wanted.frequency_penalty,
            presence_penalty=wanted.presence_penalty,
            stop=tuple(stop),
            seed=wanted.seed,
            n_ctx=wanted.n_ctx,
        )
        return LLMRequest(
            messages=(),
            sampling=sampling,
            tools=tuple(self._tools()),
            think=self.is_thinking,
            thinking_budget=wanted.thinking_budget,
        )

    def _tools(self) -> list[dict[str, Any]]:
        """The request's tools and the configured ones; of two with one name the request's counts."""
        own = [tool.model_dump(exclude_none=True) for tool in self.request.tools or ()]
        names = {tool["function"]["name"] for tool in own}
        configured = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in self.model.tools
            if tool.name not in names
        ]
        return [*own, *configured]

    @property
    def _window_tokens(self) -> int:
        configured = self.model.extra_body.get("n_ctx") or self.model.extra_body.get("num_ctx")
        known = configured or self.parameters.n_ctx or self.llm.window_tokens
        return int(known) if known else UNKNOWN_WINDOW_TOKENS


def plan_turn(project: ProjectConfig, request: ChatRequest, llm_for: LLMFor) -> Turn:
    """Resolve a request.

    Raises:
        BadRequestError: no message, no such model, or something is asked for that it cannot do.
        ConfigError: a configured parameter is out of its range.
    """
    if not request.messages:
        raise BadRequestError("No user message provided")
    if request.n not in (None, 1):
        raise BadRequestError(f"n = {request.n}: only one answer per request is possible")
    model = project.model(request.model)
    _refuse_unsupported(model, request)
    prompts = project.prompts_for(model)
    parameters, extra = _parameters(model, request)
    messages = tuple(message.model_dump(exclude_none=True) for message in request.messages)
    tools = [tool.model_dump(exclude_none=True) for tool in request.tools or ()]
    return Turn(
        project=project,
        request=request,
        model=model,
        llm=llm_for(model),
        parameters=parameters,
        extra=extra,
        system_messages=tuple(prompt["content"] for prompt in prompts if prompt["role"] == "system"),
        examples=tuple(prompt for prompt in prompts if prompt["role"] != "system"),
        messages=messages,
        size_bytes=len(orjson.dumps([messages, tools])),
    )


def _parameters(model: ModelConfig, request: ChatRequest) -> tuple[SamplingParameters, dict[str, Any]]:
    """What is known by name, the request's over the configured; and what goes to the provider as it is."""
    known = set(SamplingParameters.model_fields)
    configured = {key: value for key, value in model.model_api_parameters.items() if value is not None}
    stated = request.model_dump(include=known, exclude_none=True)
    if stated.keys() & {"max_tokens", "max_completion_tokens"}:
        configured = {key: value for key, value in configured.items() if not key.startswith("max_")}
    merged = {"think": model.extra_body.get("think"), **configured, **stated}
    try:
        parameters = SamplingParameters.model_validate({key: merged[key] for key in merged if key in known})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ConfigError(
            f"model '{model.name}': model_api_parameters.{where} = {problem['input']!r}: {problem['msg']}"
        ) from error
    extra = {key: value for key, value in configured.items() if key not in known}
    if model.provider in OPENAI_PROVIDERS:
        extra |= request.model_dump(include=set(PASSED_ON), exclude_none=True)
    return parameters, extra


def _refuse_unsupported(model: ModelConfig, request: ChatRequest) -> None:
    """What would change the answer and cannot be done is said, never passed over."""
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
