"""The shapes of OpenAI's chat completions and model list, as far as this server speaks them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
SEED_BOUND = 2**63
MAX_MESSAGES = 10_000


class ChatMessage(BaseModel):
    """One message. `content` may be missing where `tool_calls` or `tool_call_id` say enough."""

    role: Role
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class ToolFunction(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})


class Tool(BaseModel):
    type: Literal["function"] = "function"
    function: ToolFunction


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class SamplingParameters(BaseModel):
    """What a request, or `model_api_parameters` in the project's config, may say about generating."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=1_000_000)
    max_tokens: int | None = Field(None, ge=1, le=10_000_000, description="Tokens of the answer; thinking is extra.")
    max_completion_tokens: int | None = Field(None, ge=1, le=10_000_000, description="The same under its newer name.")
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    stop: str | list[str] | None = None
    seed: int | None = Field(None, ge=-SEED_BOUND, lt=SEED_BOUND)
    n_ctx: int | None = Field(None, ge=1, le=10_000_000, description="The window; a configured one wins.")
    think: bool | None = Field(None, description="Lets a model that can think do so.")
    thinking_budget: int | None = Field(None, ge=0, le=10_000_000, description="Tokens for thinking; default 1024.")
    response_format: dict[str, Any] | None = None


class ChatCompletionRequest(SamplingParameters):
    """OpenAI's request. Keys that are not listed are ignored."""

    messages: list[ChatMessage] = Field(max_length=MAX_MESSAGES)
    model: str | None = Field(None, description="Name of a configured model, or its provider's id.")
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, description="Only 1 is possible.")
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = Field(
        None, description="To force a call takes a provider that speaks OpenAI's protocol, and native_api."
    )
    parallel_tool_calls: bool | None = Field(
        None, description="Passed on where the provider speaks OpenAI's protocol; without effect elsewhere."
    )
    logit_bias: dict[str, float] | None = Field(None, description="Only where the provider speaks OpenAI's protocol.")
    logprobs: bool | None = Field(None, description="Not supported; must not be true.")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="Not supported; must be 0.")
    user: str | None = Field(
        None, description="Passed on where the provider speaks OpenAI's protocol; without effect elsewhere."
    )
    metadata: dict[str, Any] | None = Field(None, description="Accepted, without effect.")


class FunctionCall(BaseModel):
    name: str
    arguments: str


class ToolCall(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None
    tool_calls: list[ToolCall] | None = None


class Choice(BaseModel):
    index: int = 0
    message: AnswerMessage
    finish_reason: Literal["stop", "length", "tool_calls"]


class TokenUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str = Field(description="The provider's id of the model that answered.")
    choices: list[Choice]
    usage: TokenUsage


class ModelCard(BaseModel):
    """An entry of OpenAI's model list."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
