"""Wire models of the server's own state."""

from typing import Any

from pydantic import BaseModel, Field

from server.schemas.rag import Status


class ComponentHealth(BaseModel):
    """One part. `details` never has a key `uptime`: a known client cannot read it."""

    name: str
    status: Status
    message: str
    latency_ms: int
    details: dict[str, Any] = Field(default_factory=dict)
    runtime: dict[str, Any] | None = None


class Health(BaseModel):
    status: Status
    summary: str
    services: dict[str, Status]
    components: list[ComponentHealth]
    seeds: list[ComponentHealth]
    timestamp: int


class Liveness(BaseModel):
    status: str = "alive"


class Hello(BaseModel):
    message: str = "Hello, World!"


class Info(BaseModel):
    version: str
    data_directory: str
