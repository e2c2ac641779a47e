"""Options that several embedders share."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from rag.registry import ComponentOptions


class BreakerOptions(BaseModel):
    """When calls to a failing server stop, and for how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failure_threshold: int = Field(5, gt=0, description="Consecutive failures that open the circuit.")
    reset_timeout: float = Field(60.0, gt=0, description="Seconds until an open circuit lets one call through.")


def secret_text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class EmbedderOptions(ComponentOptions):
    """What every embedder accepts."""

    dimension: int | None = Field(None, gt=0, le=16384, description="Expected length of a vector; checked.")
    circuit_breaker: BreakerOptions = Field(BreakerOptions(), description="For embedders that call a server.")
    fail_fast: bool = Field(True, description="While the circuit is open, fail at once instead of trying the server.")
