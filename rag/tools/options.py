"""What every MCP server can be told in one entry of `mcp.servers`."""

from pydantic import Field

from rag.registry import ComponentOptions


class SourceOptions(ComponentOptions):
    """Shared by all transports."""

    name: str = Field(min_length=1, description="What a model's `mcp_servers` call it.")
    timeout_s: float = Field(60.0, gt=0, description="Seconds a tool may take before the call is given up.")
    connect_timeout_s: float = Field(10.0, gt=0, description="Seconds to wait until the server is ready.")
