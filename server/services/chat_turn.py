"""One turn of a chat before anything is asked of anyone: which model, which parameters, which queries."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from rag.templates import Filler
from rag.types import Hit
from server.schemas.chat import ChatRequest
from server.schemas.openai import SamplingParameters
from server.schemas.rag import MAX_QUERY_CHARS
from server.services.chat_refusals import OPENAI_PROVIDERS, refuse_unsupported

UNKNOWN_WINDOW_TOKENS = 131_072
"""For servers that keep their window to themselves: they refuse what is too long by themselves, and say so."""
ANSWER_TOKENS = 1024
"""Kept free for the answer when nobody limits it."""

PASSED_ON = ("logit_bias", "parallel_tool_calls", "user")
"""Parameters of a request that go as they are to a provider that speaks OpenAI's protocol."""

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
    tools: tuple[Mapping[str, Any], ...]
    """The request's and the configured ones, in OpenAI's shape; of two with one name the request's."""
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

    @property
    def may_call_tools(self) -> bool:
        return self.llm.calls_tools and self.request.tool_choice != "none"

    @property
    def tool_names(self) -> list[str]:
        return [str(tool["function"]["name"]) for tool in self.tools]

    @property
    def prompt_tokens(self) -> int:
        """Tokens for messages, tools not counted."""
        return self._budget(self._bare_request()).prompt_tokens

    def llm_request(
        self,
        history: Sequence[Message],
        new: Sequence[Message],
        hits: Sequence[Hit] | None,
        more_tools: Sequence[Mapping[str, Any]] = (),
    ) -> LLMRequest:
        """The prompt within the budget; its `hits` are those that are in it.

        Args:
            more_tools: those that the server runs.
        """
        bare = self._bare_request(more_tools)
        messages, used = assemble(new, self.system_messages, [*self.examples, *history], hits, self._budget(bare))
        return replace(bare, messages=tuple(messages), hits=tuple(used))

    def _budget(self, bare: LLMRequest) -> Budget:
        answer_tokens = generation_limit(bare) or ANSWER_TOKENS
        return Budget(self._window_tokens, answer_tokens, estimate_json_tokens(bare.tools))

    def _bare_request(self, more_tools: Sequence[Mapping[str, Any]] = ()) -> LLMRequest:
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
            tools=(*self.tools, *more_tools),
            tool_choice=self.request.tool_choice,
            think=self.is_thinking,
            thinking_budget=wanted.thinking_budget,
            response_format=wanted.response_format,
            extra=self.extra,
        )

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
    parameters, extra = _parameters(model, request)
    refuse_unsupported(model, request, parameters)
    filler = Filler(request.variables)
    prompts = filler.fill(project.prompts_for(model))
    messages = tuple(message.model_dump(exclude_none=True) for message in request.messages)
    tools = tuple(_tools(model, request, filler))
    return Turn(
        project=project,
        request=request,
        model=model,
        llm=llm_for(model),
        parameters=parameters,
        extra=extra,
        system_messages=tuple(prompt["content"] for prompt in prompts if prompt["role"] == "system"),
        examples=tuple(prompt for prompt in prompts if prompt["role"] != "system"),
        tools=tools,
        messages=messages,
        size_bytes=len(orjson.dumps([messages, tools])),
    )


def _tools(model: ModelConfig, request: ChatRequest, filler: Filler) -> Iterator[dict[str, Any]]:
    """Braces in a request's tools are plain text for clients that know nothing of variables."""
    own: list[dict[str, Any]] = [tool.model_dump(exclude_none=True) for tool in request.tools or ()]
    if request.variables is not None:
        own = filler.fill(own)
    yield from own
    names = {tool["function"]["name"] for tool in own}
    for tool in model.tools:
        function = filler.fill({"name": tool.name, "description": tool.description, "parameters": tool.parameters})
        if function["name"] not in names:
            yield {"type": "function", "function": function}


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
