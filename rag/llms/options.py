"""What every provider can be told in one entry of `runtime.models`."""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from rag.registry import ComponentOptions


class ProviderOptions(ComponentOptions):
    """Shared by all providers, so that a caller fills them in without asking which one it is."""

    model: str = Field(min_length=1, description="The provider's model id.")
    base_url: str | None = Field(None, description="The server's address; None where a provider needs no server.")
    api_key: str | None = Field(None, repr=False, description="The server's key.")
    timeout_s: float = Field(120.0, gt=0, description="Seconds without a byte before a call is abandoned.")
    connect_timeout_s: float = Field(2.0, gt=0, description="Seconds to wait for the server to accept a connection.")
    extra_body: Mapping[str, Any] = Field(
        default_factory=dict, description="The provider's own request parameters; they win over a request's."
    )
    tool_call_strategy: Literal["native_api", "prompt_based"] = Field(
        "native_api", description="`prompt_based` describes tools in the prompt and reads calls from the text."
    )


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine, where the environment's proxies must not be asked."""
    host = urlsplit(url if "://" in url else f"//{url}").hostname
    return host in ("localhost", "127.0.0.1", "::1")
