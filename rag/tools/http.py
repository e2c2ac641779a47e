"""MCP servers that speak streamable HTTP."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
from mcp.client import Transport
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client
from pydantic import Field

from rag.llms.options import is_loopback
from rag.tools.mcp_source import McpSource
from rag.tools.options import SourceOptions


class RemoteOptions(SourceOptions):
    base_url: str = Field(min_length=1, description="The server's whole address, such as https://host/mcp.")
    headers: Mapping[str, str] = Field(default_factory=dict, repr=False, description="Sent with every request.")


class HttpSource(McpSource):
    class Options(RemoteOptions):
        """Nothing beyond address and headers."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, where=origin(options.base_url), address=options.base_url)
        self._remote = options

    def _transport(self) -> Transport:
        return _streams(self._remote)


def origin(url: str) -> str:
    """Scheme, host and port: path and query may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@asynccontextmanager
async def _streams(options: RemoteOptions) -> AsyncGenerator[TransportStreams, None]:
    # A silent tool is cut off by the limit of its call, not by that of a read.
    timeout = httpx2.Timeout(options.connect_timeout_s, read=options.timeout_s + options.connect_timeout_s)
    async with (
        httpx2.AsyncClient(
            headers=dict(options.headers), timeout=timeout, trust_env=not is_loopback(options.base_url)
        ) as client,
        streamable_http_client(options.base_url, http_client=client) as streams,
    ):
        yield streams
