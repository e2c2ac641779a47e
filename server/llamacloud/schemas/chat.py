"""Wire models of chat sessions over indexes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from server.llamacloud.schemas.text import Plain

MAX_PROMPT_CHARS = 100_000


def _said(text: str) -> str:
    if not text:
        raise ValueError("it is blank: say something")
    return text


Prompt = Annotated[Plain, StringConstraints(strip_whitespace=True, max_length=MAX_PROMPT_CHARS), AfterValidator(_said)]


class CreateSessionRequest(BaseModel):
    index_ids: list[Plain] | None = Field(
        None, description="What the session looks into, locked with its first message; null to say it in each message."
    )


class TitleRequest(BaseModel):
    first_message: Prompt


class StreamRequest(BaseModel):
    index_ids: list[Plain] = Field(
        description="What to look into, at most 10; empty for those that the session was made with."
    )
    prompt: Prompt
    require_all_indexes: bool | None = Field(
        None, description="True: an index that cannot be searched ends the turn, in place of being left out."
    )


class JobMetadata(BaseModel):
    """Of the last turn. Tokens are as the model's server counted them, an upper estimate where it does not count."""

    duration_ms: float | None = None
    error: str | None = None
    export_config_ids: list[str] = Field(default_factory=list)
    is_error: bool | None = None
    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    turns: int | None = Field(None, description="How often the model was asked.")


class SessionSummary(BaseModel):
    session_id: str
    last_updated_at: datetime
    generated_title: str | None = None
    index_ids: list[str] | None = Field(None, description="Null for a session that is bound to none.")
    job_metadata: JobMetadata | None = Field(None, description="Null before the first message.")
    shared_access: Literal["read_only", "query"] = Field("read_only", description="Always `read_only`.")


class ContentEvent(BaseModel):
    """`thinking` and `text` are whole blocks, `…_delta` pieces of the block that is being written."""

    type: Literal["user_input", "thinking_delta", "text_delta", "thinking", "text"]
    content: str


class ToolCallEvent(BaseModel):
    type: Literal["tool_call"]
    call_id: str
    name: str
    arguments: dict[str, Any]


class ToolResultEvent(BaseModel):
    type: Literal["tool_result"]
    call_id: str
    name: str
    result: Any = None
    image_attachment: None = None


class Usage(BaseModel):
    duration_ms: float
    total_input_tokens: int
    total_output_tokens: int
    turns: int


class StopEvent(BaseModel):
    type: Literal["stop"]
    is_error: bool
    error: str = Field(description="Why the turn ended early; empty when it did not.")
    usage: Usage
    skipped_index_ids: list[str] = Field(default_factory=list, description="Indexes that could not be searched.")


Event = Annotated[ContentEvent | ToolCallEvent | ToolResultEvent | StopEvent, Field(discriminator="type")]


class FullSession(SessionSummary):
    events: list[Event]


class SessionPage(BaseModel):
    items: list[SessionSummary]
    next_page_token: str | None = None
    total_size: int | None = None
