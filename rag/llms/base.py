"""The LLM role. Asynchronous because it streams."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from rag.types import Hit

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"]
Message: TypeAlias = Mapping[str, Any]
"""An OpenAI chat message: role, content (text), tool_calls, tool_call_id."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """None means the provider's default. Names and ranges are OpenAI's; `top_k` and `n_ctx` are Ollama's."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n_ctx: int | None = None


@dataclass(frozen=True, slots=True)
class LLMRequest:
    """One turn. `hits` are the chunks laid into the prompt, in the order of their [numbers]: a model ignores them,
    the extractive answerer answers from them.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = None
    think: bool = False
    thinking_budget: int | None = None
    response_format: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer; the last one carries `finish_reason`, and `usage` when the provider counts."""

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


class LLM(Protocol):
    """`model` is the provider's model id. Raises UpstreamError (what failed, where, remedy) before or between deltas,
    and BadRequestError when the provider refuses what was asked.

    Closing the iterator (`aclose`) ends the generation upstream within a second.
    """

    model: str
    window_tokens: int | None
    """Tokens of prompt and answer that fit when a request names no `n_ctx`; None when nobody said."""
    calls_tools: bool
    """Whether tools in a request are of any use."""

    def stream(self, request: LLMRequest) -> AsyncIterator[Delta]: ...

    async def aclose(self) -> None: ...
