"""Wire models of chat: OpenAI's, and what a project adds to them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from server.schemas.openai import ChatCompletion, ChatCompletionRequest, ModelCard
from server.schemas.rag import MAX_QUERY_CHARS

QueryText = Annotated[str, StringConstraints(max_length=MAX_QUERY_CHARS)]

Primitive = bool | int | float | str


class ChatRequest(ChatCompletionRequest):
    """An OpenAI request that may say what to retrieve."""

    rag_enabled: bool | None = Field(
        None, description="Default: what the model says, else whether there is a database."
    )
    database: str | None = Field(None, description="Default: the model's, else the project's default database.")
    rag_retrieval_strategy: str | None = None
    rag_top_k: int | None = Field(None, ge=1, le=100)
    rag_score_threshold: float | None = Field(None, ge=0, le=1)
    rag_queries: list[QueryText] | None = Field(
        None, max_length=20, description="Searched instead of the last user message; several are merged."
    )
    variables: dict[str, Primitive | None] | None = Field(
        None,
        max_length=1000,
        description="Fill in `{{name}}` and `{{name | default}}` in configured prompts and tools and in `tools`.",
    )
    include_sources: bool = Field(False, description="Adds the sources that [1] in the answer refers to.")
    sources_limit: int = Field(10, ge=1, le=50, description="Most sources to list.")


class Source(BaseModel):
    """A chunk that the answer was made from."""

    number: int = Field(description="What `[1]` in the answer refers to.")
    content: str
    source: str = Field(description="The file's name.")
    score: float
    metadata: dict[str, Any]


class Thinking(BaseModel):
    content: str
    tokens: int | None = None


class ChatAnswer(ChatCompletion):
    thinking: Thinking | None = Field(None, description="Only when the request asked to think, and the model did.")
    sources: list[Source] | None = Field(None, description="Only with include_sources; empty: nothing was found.")
    notes: list[str] | None = Field(None, description="What was skipped or left out, and why.")


class History(BaseModel):
    messages: list[dict[str, Any]]


class SessionDeleted(BaseModel):
    message: str


class SessionsDeleted(SessionDeleted):
    count: int


class ModelEntry(BaseModel):
    """A configured model, as it stands in the project's config."""

    model_config = ConfigDict(extra="allow")

    name: str
    provider: str
    model: str
    base_url: str | None = None
    description: str | None = None
    default: bool


class ModelList(BaseModel):
    """The project's models, in this server's shape and in OpenAI's."""

    total: int
    models: list[ModelEntry]
    object: Literal["list"] = "list"
    data: list[ModelCard]
