"""MCP servers of the older kind: an event stream that stays open, and messages posted beside it."""

import httpx2
from mcp.client import Transport
from mcp.client.sse import sse_client

from rag.llms.options import is_loopback
from rag.tools.http import RemoteOptions, origin
from rag.tools.mcp_source import McpSource

READ_TIMEOUT_S = 3600.0
"""Nothing comes over the stream while nothing is asked: its silence says nothing."""


class SseSource(McpSource):
    class Options(RemoteOptions):
        """Nothing beyond address and headers."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, where=origin(options.base_url), address=options.base_url)
        self._remote = options

    def _transport(self) -> Transport:
        options = self._remote

        def client(
            headers: dict[str, str] | None = None,
            timeout: httpx2.Timeout | None = None,
            auth: httpx2.Auth | None = None,
        ) -> httpx2.AsyncClient:
            trust_env = not is_loopback(options.base_url)
            return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, trust_env=trust_env)

        return sse_client(
            options.base_url,
            headers=dict(options.headers),
            timeout=options.connect_timeout_s,
            sse_read_timeout=READ_TIMEOUT_S,
            httpx_client_factory=client,
        )
