"""Wire models of the event log: the published fields and those of later LlamaFarm versions, side by side."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

_EATEN_PLUS = re.compile(r"(T[0-9:.]+) (\d\d:?\d\d)")


def _with_plus(value: object) -> object:
    """A `+` that a client forgot to encode arrives as a space: `…T10:30:00 02:00` means two hours ahead of UTC."""
    return _EATEN_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


Moment = Annotated[datetime, BeforeValidator(_with_plus)]


class Summary(BaseModel):
    model: str | None = Field(description="The language model, or the embedder of a file.")
    tokens: int | None = Field(description="Of prompt and answer together; null where no language model was asked.")
    duration_ms: float


class EventSummary(BaseModel):
    event_id: str
    type: str = Field(description="inference or rag_processing.")
    event_type: str = Field(description="The same as `type`.")
    request_id: str | None = Field(description="The X-Request-ID of the request that it began with.")
    timestamp: datetime = Field(description="When it began.")
    namespace: str
    project: str
    status: Literal["completed", "failed"]
    duration_ms: float
    config_hash: str | None = Field(description="Equal for two events of one type under the same configuration.")
    summary: Summary


class EventList(BaseModel):
    total: int = Field(description="Events that the filters let pass, on all pages.")
    events: list[EventSummary] = Field(description="Newest first.")
    limit: int
    offset: int


class Step(BaseModel):
    timestamp: datetime
    event_name: str
    duration_ms: float = Field(description="Since the step before; of the first, since the event began.")
    data: dict[str, Any]


class EventDetail(EventSummary):
    data: dict[str, Any]
    metadata: dict[str, Any]
    error: str | None
    total_elapsed_time_ms: float
    time_to_first_token_ms: float | None = Field(description="Of a chat: until the model's first words.")
    events: list[Step]
    sub_events: list[Step] = Field(description="The same as `events`.")
