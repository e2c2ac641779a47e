"""Wire models of the list of chat sessions."""

from datetime import datetime

from pydantic import BaseModel, Field


class SessionView(BaseModel):
    session_id: str
    live: bool = Field(description="Used within LF_SESSION_IDLE_S. One that is not goes on when it is used again.")
    message_count: int
    created_at: datetime | None = Field(description="null for a conversation that LlamaFarm left in a file.")
    last_used_at: datetime | None


class SessionList(BaseModel):
    total: int
    live_count: int
    sessions: list[SessionView] = Field(description="Last used first.")
    limit: int
    offset: int
